"""Templates become pages: the one place where HTML is put together, with everything escaped that is not Markup."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import jinja2

from glassbook.notebook.site.cards import Shelf
from glassbook.notebook.site.contexts import PageContext, SiteContext

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What a page may load: its own files. Styles of single elements are those of formulas and drawings; wasm is the search's."""

# Not those of the machine's language.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True)
class Page:
    """One page before it is written: where it stands, what is put into which template, and which line of the menu it is."""

    address: str
    template: str
    head: PageContext
    content: Mapping[str, Any]
    active: str = ""

    @property
    def root(self) -> str:
        """Return what leads from the page to the root of the site."""
        return "../" * self.address.count("/")


@dataclass(frozen=True)
class Dressing:
    """Writes the pages of one site."""

    shelf: Shelf
    full_text: bool

    def html(self, page: Page) -> str:
        """Return a page as HTML."""
        root = self._deep_root if page.address == "404.html" else page.root
        site = self.site(root, page.active)
        return self._templates.get_template(page.template).render(site=site, root=root, page=page.head, **page.content)

    def site(self, root: str, active: str) -> SiteContext:
        """Return what all pages share, as seen from one of them."""
        settings = self.shelf.notebook.settings
        return SiteContext(
            title=settings.title,
            description=settings.description,
            language=settings.language,
            author=settings.author,
            address=settings.address,
            repository=settings.repository,
            policy=POLICY,
            menu=self.shelf.menu(root, active),
            full_text=self.full_text,
        )

    @property
    def _deep_root(self) -> str:
        """Return the root as a path from the host's top: a page that stands for missing ones is shown at any depth."""
        path = urlsplit(self.shelf.notebook.settings.address).path or "/"
        return path if path.endswith("/") else f"{path}/"

    @cached_property
    def _templates(self) -> jinja2.Environment:
        folder = files("glassbook.notebook.site").joinpath("templates")
        found = jinja2.Environment(
            loader=jinja2.FileSystemLoader(str(folder)),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        found.filters.update(day=say_day, month=say_month, host=lambda address: urlsplit(address).hostname or address)
        return found


def say_day(iso: str) -> str:
    """Return a day in words: 23 November 2026."""
    found = date.fromisoformat(str(iso)[:10])
    return f"{found.day} {_MONTHS[found.month - 1]} {found.year}"


def say_month(iso: str) -> str:
    """Return a month in words: November 2026."""
    year, month = str(iso).split("-")[:2]
    return f"{_MONTHS[int(month) - 1]} {year}"


def absolute(address: str, path: str) -> str:
    """Return where a page stands in the world, or nothing where the notebook has no address."""
    return f"{address.rstrip('/')}/{path}" if address else ""
