"""A model as two files that need nothing of ours: `parameters.bin`, and `model.c`, which any C compiler takes."""

from glassbook.models.two_files.writing import TwoFiles, write_two_files

__all__ = ["TwoFiles", "write_two_files"]
