"""Lets `python -m glassbook.cli` do what `glassbook` does."""

from glassbook.cli.app import main

main()
