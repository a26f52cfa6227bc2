"""Import: one long page, or the pages of a whole site, become entries of the right kinds, and nothing is lost."""

from glassbook.notebook.importing.pages import ImportOptions, import_pages
from glassbook.notebook.importing.report import ImportReport

__all__ = ["ImportOptions", "ImportReport", "import_pages"]
