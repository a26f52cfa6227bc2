"""The law of an import, checked before anything is written: nothing is lost, nothing stands twice, every old id leads on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.importing.anchors import entry_ids
from glassbook.notebook.importing.atoms import Atom, atoms, of_title
from glassbook.notebook.importing.cutting import MOVED
from glassbook.notebook.importing.dialect import Page, parse
from glassbook.notebook.importing.links import Links, seen_from
from glassbook.notebook.importing.outline import Heading, headings
from glassbook.notebook.importing.plan import PagePlan, Planned

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """What the source holds and the entries do not, and the other way round."""

    lost: Counter[Atom]
    gained: Counter[Atom]

    def __bool__(self) -> bool:
        return bool(self.lost or self.gained)

    def sentence(self) -> str:
        """Return what is lost, or stands twice, in words."""
        parts = [
            f"{word} {_told(found)}" for word, found in (("lost", self.lost), ("more than once", self.gained)) if found
        ]
        return "; ".join(parts)


def compare(plan: PagePlan, bodies: Sequence[Page], links: Links) -> Difference:
    """Return how the entries of a page differ from its source, `bodies` being their texts in order."""
    source = atoms(plan.original, links.address)
    result: Counter[Atom] = Counter()
    for entry, body in zip(plan.entries, bodies, strict=True):
        result.update(_of_entry(plan, entry, body))
    for atom in [atom for atom in result if atom[0] in ("note", "definition")]:
        result[atom] = 1
    return Difference(source - result, result - source)


def _of_entry(plan: PagePlan, entry: Planned, body: Page) -> Counter[Atom]:
    own = parse(MOVED.sub("", body.body)) if entry.part is None else body
    found = atoms(own, partial(seen_from, entry))
    title = plan.title_heading if entry.part is None else entry.part.title_heading
    return found + of_title(title.text) + _tag(title) if title is not None else found


def _tag(title: Heading) -> Counter[Atom]:
    """Return what a raw heading was besides its words; its ids stand in the text of the entry."""
    return Counter([("tag", f"h{title.level}")]) if title.is_raw else Counter()


def missing_anchors(plan: PagePlan, bodies: Sequence[Page]) -> list[str]:
    """Return the old ids that the page no longer has, or whose link leads to no id of its entry."""
    ids = {id(entry): _ids(body) for entry, body in zip(plan.entries, bodies, strict=True)}
    missing = []
    for name, anchor in plan.anchors.items():
        entry, place = plan.place(anchor)
        if "-".join(name.split()) not in ids[id(plan.rest)] or (
            place and "-".join(place.split()) not in ids[id(entry)]
        ):
            missing.append(name)
    return missing


def _ids(body: Page) -> set[str]:
    return {"-".join(name.split()) for name in entry_ids(headings(body), body.names)[0]}


def refuse(plan: PagePlan, sentence: str) -> NotebookError:
    """Return the error for a page whose import would break the law."""
    told = f"the import was refused and nothing was written, for it would not keep the law: {sentence}; please report this page"
    return NotebookError(told, path=plan.source.label)


def _told(found: Counter[Atom]) -> str:
    shown = [f"{atom[0]} '{' | '.join(part for part in atom[1:] if part)[:80]}'" for atom in list(found)[:_SHOWN]]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
