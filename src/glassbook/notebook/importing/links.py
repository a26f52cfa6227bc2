"""Where the addresses on a page lead now: to entries, to files that are copied, elsewhere, or nowhere."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from glassbook.notebook.importing.assets import Assets
from glassbook.notebook.importing.atoms import normal
from glassbook.notebook.importing.dialect import Reference
from glassbook.notebook.importing.mending import Edit
from glassbook.notebook.importing.plan import PagePlan, Planned
from glassbook.notebook.importing.sources import ENDINGS

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NOWHERE = ("", "#", "#top")
_TO_WORDS = ":~:text="
_PAGE_ENDINGS = (*ENDINGS, ".html", ".htm")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An address that leads to nothing: the page and line where it stands, as it is written, and its words."""

    page: str
    line: int
    address: str
    shown: str
    kind: Literal["link", "image", "anchor", "remote image"]


@dataclass(slots=True)
class Links:
    """What is known of the addresses of one page: the new spelling of each, and those that lead nowhere."""

    moved: dict[str, str] = field(default_factory=dict)
    edits: list[Edit] = field(default_factory=list)
    unresolved: list[Unresolved] = field(default_factory=list)

    def address(self, found: str) -> str:
        """Return how an address of the source is written in the entries, seen from any of them."""
        return normal(self.moved.get(found, found))


class Site:
    """All pages of an import, to be found by the addresses that lead to them."""

    def __init__(self, plans: Sequence[PagePlan]) -> None:
        self._by_path: dict[str, PagePlan] = {}
        names: dict[str, list[PagePlan]] = {}
        for plan in plans:
            source = plan.source
            stem = _bare(source.name)
            places = [stem, f"{source.base}/{stem}", *_permalinks(source.fields)]
            for place in places:
                self._by_path.setdefault(place.strip("/").lower(), plan)
            names.setdefault(posixpath.basename(stem).lower(), []).append(plan)
        # By its last part alone a page is found where only one has it: `/blog/x` for the page `posts/x.md`.
        self._by_name = {name: found[0] for name, found in names.items() if len(found) == 1}

    def find(self, address: str, plan: PagePlan) -> PagePlan | None:
        """Return the page to which an address on a page leads."""
        path = unquote(urlsplit(address).path)
        if not path or _is_file(path):
            return None
        here = posixpath.dirname(f"{plan.source.base}/{plan.source.name}")
        joined = posixpath.normpath(posixpath.join(here, path)) if not path.startswith("/") else path
        for place in (joined, path):
            bare = _bare(place.strip("/")).lower()
            if bare in self._by_path:
                return self._by_path[bare]
        return self._by_name.get(posixpath.basename(_bare(path.strip("/"))).lower())


def resolve(plan: PagePlan, site: Site, assets: Assets) -> Links:
    """Return what becomes of every address of a page."""
    links = Links()
    for reference in plan.page.references:
        new = _resolve(reference, plan, site, assets, links)
        if new is None or new == reference.address:
            continue
        links.moved[normal(reference.address)] = new
        own = plan.owner(reference.line)
        here = new.removeprefix(own.address) if reference.kind != "definition" else new
        shown = here if here.startswith("#") else new
        links.edits.append(Edit(reference.start, reference.end, _spelled(shown, reference)))
    return links


def seen_from(entry: Planned, address: str) -> str:
    """Return an address in an entry as it is compared: a place of the entry itself by the entry's name."""
    if address.startswith("#") and len(address) > 1 and not address.startswith(f"#{_TO_WORDS}"):
        return normal(f"{entry.address}{address}")
    return normal(address)


def _resolve(reference: Reference, plan: PagePlan, site: Site, assets: Assets, links: Links) -> str | None:
    """Return the new spelling of an address; None where it stays."""
    address = reference.address
    if address in _NOWHERE:
        return "#" if address == "#top" else None
    if _SCHEME.match(address) or address.startswith("//"):
        return _remote(reference, plan, assets, links)
    if address.startswith("#"):
        return _on_page(address[1:], plan, reference, links)
    is_picture = reference.kind in ("image", "src")
    other = None if is_picture else site.find(address, plan)
    if other is not None:
        return _on_other(address, other, reference, plan, links)
    copied = assets.local(plan.source, address)
    if copied is not None:
        fragment = address.partition("#")[2]
        return f"../assets/{copied}" + (f"#{fragment}" if fragment else "")
    _miss(reference, plan, links, "image" if is_picture else "link")
    return None


def _remote(reference: Reference, plan: PagePlan, assets: Assets, links: Links) -> str | None:
    """Return the copy of a picture that lies elsewhere, if it was fetched; it is listed where it was not."""
    if reference.kind not in ("image", "src") or not reference.address.lower().startswith(("http:", "https:", "//")):
        return None
    fetched = assets.remote(reference.address)
    if fetched is not None:
        return f"../assets/{fetched}"
    _miss(reference, plan, links, "remote image")
    return None


def _on_page(fragment: str, plan: PagePlan, reference: Reference, links: Links) -> str | None:
    name = fragment.partition(_TO_WORDS)[0]
    if not name:
        return None
    found = _place(plan, name)
    if found is None:
        _miss(reference, plan, links, "anchor")
        # An address on the same page that leads nowhere is a fault of an entry; of a page that is not there, a gap.
        return f"../{plan.source.path.name}#{fragment}".replace(" ", "%20")
    return found


def _on_other(address: str, other: PagePlan, reference: Reference, plan: PagePlan, links: Links) -> str:
    name = address.partition("#")[2].partition(_TO_WORDS)[0]
    found = _place(other, name) if name else None
    if name and found is None:
        _miss(reference, plan, links, "anchor")
    return found or other.rest.address


def _place(plan: PagePlan, name: str) -> str | None:
    anchor = plan.anchors.get(name) or plan.anchors.get(unquote(name)) or plan.anchors.get(unquote(name).lower())
    if anchor is None:
        return None
    entry, place = plan.place(anchor)
    return entry.address + (f"#{_quoted(place)}" if place else "")


def _miss(
    reference: Reference, plan: PagePlan, links: Links, kind: Literal["link", "image", "anchor", "remote image"]
) -> None:
    line = plan.source.line(reference.line)
    links.unresolved.append(Unresolved(plan.source.label, line, reference.address, reference.shown, kind))


def _spelled(address: str, reference: Reference) -> str:
    """Return an address as it may stand where the old one stood; the new ones hold no brackets, quotes or blanks."""
    if reference.kind in ("href", "src"):
        return address.replace("&", "&amp;").replace('"', "%22").replace("'", "%27")
    return address


def _quoted(place: str) -> str:
    return re.sub(r"[\s()<>\"'\\]", lambda match: f"%{ord(match[0]):02X}", place)


def _bare(path: str) -> str:
    """Return the path of a page without its ending, and of the first page of a folder the folder."""
    path = path.rstrip("/")
    stem, ending = posixpath.splitext(path)
    path = stem if ending.lower() in _PAGE_ENDINGS else path
    folder, name = posixpath.split(path)
    return folder if name.lower() in ("index", "_index", "readme") and folder else path


def _is_file(path: str) -> bool:
    ending = posixpath.splitext(path.rstrip("/"))[1].lower()
    return bool(re.fullmatch(r"\.[a-z][a-z0-9]{1,4}", ending)) and ending not in _PAGE_ENDINGS


def _permalinks(fields: Mapping[str, object]) -> list[str]:
    named = [fields.get("permalink"), fields.get("url"), fields.get("slug"), *_listed(fields.get("redirect_from"))]
    return [_bare(str(name)) for name in named if isinstance(name, str) and not _SCHEME.match(name)]


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else [value]
