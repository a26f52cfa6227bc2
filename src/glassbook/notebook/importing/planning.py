"""From sources to plans: each page is parsed and mended, its parts are decided, its entries named."""

from functools import partial
from pathlib import Path

from glassbook.notebook.entries import KINDS, Entry
from glassbook.notebook.importing.deciding import Decision, decide
from glassbook.notebook.importing.dialect import Page, parse
from glassbook.notebook.importing.journal import Journal
from glassbook.notebook.importing.leads import plain_ids
from glassbook.notebook.importing.links import Site
from glassbook.notebook.importing.mending import apply, mend
from glassbook.notebook.importing.naming import Slugs
from glassbook.notebook.importing.outline import Heading, Section, outline
from glassbook.notebook.importing.plan import PagePlan, plan_entries
from glassbook.notebook.importing.sources import Found, Source
from glassbook.notebook.importing.words import FOLDERS
from glassbook.notebook.notebook import Notebook, spoken

IMPORTED = "imported"
"""The field in which an entry says from which part of which page it came."""

_POST_WORDS = ("post", "blog", "article")


def plan_pages(notebook: Notebook, found: Found, last: Journal) -> tuple[list[PagePlan], list[str]]:
    """Return what becomes of each page, and remarks on names that clash.

    Which address leads to another page of the import is known before any page is taken apart.
    """
    plans = [_read(source, found, notebook) for source in found.sources]
    ours = {kept.path for kept in last.entries.values()}
    origins = tuple(source.origin for source in found.sources)
    # An entry says itself where it came from, for those who lost the record of the import.
    known = {str(entry.fields.get(IMPORTED)): entry for entry in notebook.entries}
    known = {key: entry for key, entry in known.items() if key.partition("#")[0] in origins}
    others = [entry for entry in notebook.entries if _path(notebook, entry) not in ours and entry not in known.values()]
    kept_slugs = {key: entry.slug for key, entry in known.items()}
    kept_slugs |= {key: Path(kept.path).stem for key, kept in last.entries.items()}
    slugs = Slugs({entry.slug: _path(notebook, entry) for entry in others}, kept_slugs)
    site = Site(plans)
    for plan in plans:
        title, plan.title_heading = title_of_page(plan.source, plan.root)
        kind = kind_of_page(plan.source)
        if kind == "page":
            plan.decision = decide(plan.page, plan.root, (title, plan.title_heading), partial(_leads_on, site, plan))
        plan_entries(plan, kind, title, slugs)
    return plans, slugs.clashes + _drop_doubles(plans, others)


def _path(notebook: Notebook, entry: Entry) -> str:
    return entry.path.relative_to(notebook.root).as_posix()


def title_of_page(source: Source, root: Section) -> tuple[str, Heading | None]:
    """Return the title of a page, and its first heading where that says the title and nothing else."""
    named = source.fields.get("title")
    title = " ".join(str(named).split()) if named is not None else ""
    first = root.sections[0] if root.sections and not root.blocks else None
    heading = first.heading if first is not None else None
    if heading is not None and heading.level == 1 and heading.text and title in ("", heading.text):
        return heading.text, heading if plain_ids(heading) is not None else None
    stem = source.path.stem if source.path.stem.lower() not in ("index", "readme") else source.path.parent.name
    words = stem.replace("-", " ").replace("_", " ").strip() or "page"
    return title or words[0].upper() + words[1:], None


def kind_of_page(source: Source) -> str:
    """Return the kind of a whole page: what its front matter says, or its folder; else it is a page, which is taken apart."""
    named = source.fields.get("kind")
    if isinstance(named, str) and named in KINDS:
        return named
    if any(source.fields.get(key) in _POST_WORDS for key in ("layout", "type")):
        return "post"
    folders = [source.base, *Path(source.name).parts[:-1]]
    return next((FOLDERS[folder.lower()] for folder in reversed(folders) if folder.lower() in FOLDERS), "page")


def _leads_on(site: Site, plan: PagePlan, address: str) -> bool:
    found = site.find(address, plan) if not address.startswith("#") and "://" not in address else None
    return found is not None and found is not plan


def _read(source: Source, found: Found, notebook: Notebook) -> PagePlan:
    original = parse(source.body)
    edits, doubts = mend(original, _known(original, found, notebook))
    page = parse(apply(source.body, edits)) if edits else original
    return PagePlan(source, original, page, outline(page), Decision(), doubts)


def _known(page: Page, found: Found, notebook: Notebook) -> frozenset[str]:
    """Return the wiki links and citations of a page that this notebook, or the pages of this import, can answer."""
    names = {spoken(name) for source in found.sources for name in (source.path.stem, str(source.fields.get("title")))}
    known = set()
    for text in {foreign.text for foreign in page.foreign}:
        inside = text.strip("[]")
        if text.startswith("[["):
            target = inside.partition("|")[0].strip()
            if "#" not in target and (notebook.find(target) or spoken(target) in names):
                known.add(text)
        elif text.startswith("[@"):
            keys = [part.strip().removeprefix("@").partition(",")[0].strip() for part in inside.split(";")]
            if all(key in notebook.references for key in keys):
                known.add(text)
    return frozenset(known)


def _drop_doubles(plans: list[PagePlan], others: list[Entry]) -> list[str]:
    """Take away aliases that would name two entries; return a remark on each."""
    taken = {spoken(name) for entry in others for name in (entry.slug, *entry.aliases)}
    taken |= {spoken(entry.slug) for plan in plans for entry in plan.entries}
    remarks = []
    for plan in plans:
        for entry in plan.entries:
            aliases = entry.fields.get("aliases")
            if entry.part is None or not isinstance(aliases, list):
                continue
            kept = [alias for alias in aliases if spoken(alias) not in taken or spoken(alias) == spoken(entry.slug)]
            taken.update(map(spoken, kept))
            dropped = [alias for alias in aliases if alias not in kept]
            remarks += [
                f"'{alias}' names another entry already, so it is no alias of {entry.slug}" for alias in dropped
            ]
            entry.fields.pop("aliases")
            if kept:
                entry.fields["aliases"] = kept
    return remarks
