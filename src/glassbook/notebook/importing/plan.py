"""What becomes of every page: the entries that it is cut into, with their names, before any text is written."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from glassbook.notebook.entries import KINDS
from glassbook.notebook.fields import check_fields, day, is_yes, means_private
from glassbook.notebook.importing.anchors import Anchor, entry_ids, old_anchors
from glassbook.notebook.importing.deciding import Decision, Doubt, Part
from glassbook.notebook.importing.dialect import Named, Page
from glassbook.notebook.importing.naming import Slugs, page_slug, slug_of
from glassbook.notebook.importing.outline import Heading, Section, headings
from glassbook.notebook.importing.sources import Source


@dataclass(slots=True)
class Planned:
    """One new entry: a part of a page, or what is left of the page where `part` is None."""

    key: str
    kind: str
    slug: str
    title: str
    fields: dict[str, Any]
    part: Part | None
    ids: set[str] = field(default_factory=set)
    heading_ids: dict[int, str] = field(default_factory=dict)
    anchors: list[Anchor] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Return the place of the entry below the folder `entries`."""
        return Path(KINDS.find(self.kind).folder, f"{self.slug}.md")

    @property
    def address(self) -> str:
        """Return the link to the entry from any other."""
        return f"../{self.path.as_posix()}"


@dataclass(slots=True)
class PagePlan:
    """A page on its way: what was found, what was decided, and the entries it becomes; the page itself comes last.

    `original` is the page as it was read; `page` has the same lines, mended so that they mean here what they meant there.
    """

    source: Source
    original: Page
    page: Page
    root: Section
    decision: Decision
    doubts: list[Doubt] = field(default_factory=list)
    entries: list[Planned] = field(default_factory=list)
    anchors: dict[str, Anchor] = field(default_factory=dict)
    owners: list[int] = field(default_factory=list)
    title_heading: Heading | None = None
    headings: list[Heading] = field(default_factory=list)

    @property
    def rest(self) -> Planned:
        """Return the entry that keeps the page's own name."""
        return self.entries[-1]

    def owner(self, line: int) -> Planned:
        """Return the entry into which a line of the page goes."""
        return self.entries[self.owners[min(line, len(self.owners) - 1)]]

    def place(self, anchor: Anchor) -> tuple[Planned, str]:
        """Return the entry where an old id leads now, and the id there; none where it is the whole entry."""
        entry = self.owner(anchor.line)
        if anchor.id in entry.ids and (anchor.heading is None or anchor.made_by == "the page itself"):
            return entry, anchor.id
        if anchor.heading is None:
            return entry, anchor.id
        if entry.part is not None and entry.part.heading is not None and entry.part.start == anchor.heading.start:
            return entry, "" if entry.part.kept_ids is not None else entry.heading_ids.get(anchor.heading.start, "")
        return entry, entry.heading_ids.get(anchor.heading.start, "")


def plan_entries(plan: PagePlan, kind: str, title: str, slugs: Slugs) -> None:
    """Name the entries of a page and say which line goes where."""
    source = plan.source
    asked = {"private": means_private(source.fields), "draft": is_yes(source.fields.get("draft"))}
    inherited: dict[str, Any] = {name: True for name, wanted in asked.items() if wanted}
    if source.fields.get("published") is False:
        inherited["draft"] = True
    seen: dict[str, int] = {}
    for part in plan.decision.parts:
        name = f"{source.origin}#{part.kind}/{slug_of(part.title)}"
        seen[name] = seen.get(name, 0) + 1
        key = name if seen[name] == 1 else f"{name}-{seen[name]}"
        slug = slugs.claim(key, slug_of(part.title))
        plan.entries.append(Planned(key, part.kind, slug, part.title, {**part.fields, **inherited}, part))
    fields = page_fields(source, kind, plan.doubts)
    slug = slugs.claim(source.origin, page_slug(source))
    plan.entries.append(Planned(source.origin, kind, slug, title, fields, None))
    plan.owners = [len(plan.entries) - 1] * max(1, len(plan.page.lines))
    for index, part in enumerate(plan.decision.parts):
        plan.owners[part.start : part.end] = [index] * (part.end - part.start)
    plan.headings = list(headings(plan.page))
    plan.anchors = old_anchors(plan.original, {heading.start: heading for heading in plan.headings})
    _count_ids(plan)


def _count_ids(plan: PagePlan) -> None:
    """Say which ids each entry will have; a heading that becomes a title has none."""
    own_headings: dict[int, list[Heading]] = {}
    own_names: dict[int, list[Named]] = {}
    for anchor in plan.anchors.values():
        plan.owner(anchor.line).anchors.append(anchor)
    for heading in plan.headings:
        own_headings.setdefault(plan.owners[heading.start], []).append(heading)
    for name in plan.page.names:
        own_names.setdefault(plan.owners[name.line], []).append(name)
    for index, entry in enumerate(plan.entries):
        title = plan.title_heading if entry.part is None else entry.part.title_heading
        line = title.start if title is not None else None
        kept = [heading for heading in own_headings.get(index, ()) if heading.start != line]
        # The old page has the ids of all that left it, before the links to their new places.
        left = [Named(anchor.id, 0) for anchor in plan.anchors.values()] if entry is plan.rest else []
        left = [name for name in left if plan.owner(plan.anchors[name.id].line) is not entry]
        entry.ids, entry.heading_ids = entry_ids(kept, [*own_names.get(index, ()), *left])


def page_fields(source: Source, kind: str, doubts: list[Doubt]) -> dict[str, Any]:
    """Return the front matter of a page as found, with what the notebook would read otherwise under another name."""
    fields = {key: value for key, value in source.fields.items() if key not in ("title", "kind")}
    if source.fields.get("kind") not in (None, kind):
        fields["source_kind"] = source.fields["kind"]
        doubts.append(Doubt(-1, f"'kind: {fields['source_kind']}' is no kind of entry; it was kept as source_kind"))
    if isinstance(fields.get("tags"), str):
        fields["tags"] = [tag.strip() for tag in str(fields["tags"]).split(",") if tag.strip()]
    if fields.get("published") is False:
        fields.setdefault("draft", True)
    for name, sentence in list(check_fields(fields, KINDS.find(kind).all_fields, kind)):
        fields[f"source_{name}"] = fields.pop(name)
        doubts.append(Doubt(-1, f"{sentence}; it was kept as source_{name}"))
    if means_private(source.fields):
        fields["private"] = True
    dated = (source.fields.get(name) for name in ("date", "publish_date", "publishDate", "pubDate", "published_at"))
    found = next((value for value in map(_day, dated) if value), _day(source.path.name[:10]))
    if found is not None and "date" not in fields:
        fields["date"] = found
    return fields


def _day(value: Any) -> date | None:
    return day(value) if isinstance(value, date | str) else None
