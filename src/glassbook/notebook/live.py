"""Live pieces: numbers, pictures and tables in a text that come from runs, lead to them, and say when they are stale."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

from glassbook.core.errors import GlassbookError
from glassbook.evidence import Claim, Judgement, claim_table
from glassbook.notebook.entries import Entry
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.kept import USUAL_SIZE, KeptRun, Known, Place, kept_runs, missing, places
from glassbook.notebook.markdown.resolving import Piece
from glassbook.stats.intervals import Interval
from glassbook.views.claim_table import NO_VERDICT, SIGNS
from glassbook.views.markup import element, join
from glassbook.views.numbers import spell
from glassbook.views.view import View


@dataclass(frozen=True)
class Measurements:
    """What a notebook shows of its runs. `to_root` leads from the page that asks to the root of the site.

    `hidden` are pinned runs that only private entries are about: they get no page, and no text may show them.
    """

    root: Path
    known: Known
    to_root: str = "../"
    hidden: frozenset[str] = frozenset()

    @cached_property
    def places(self) -> dict[str, Place]:
        """Return the kept results of studies, by `STUDY/SIZE`."""
        return places(self.root, self.known)

    @cached_property
    def runs(self) -> dict[str, KeptRun]:
        """Return the runs that were pinned and may be shown, by name."""
        return {name: run for name, run in kept_runs(self.root).items() if name not in self.hidden}

    def claim(self, key: str) -> Piece:
        """Return what `{{claim STUDY/CLAIM}}` or `{{claim STUDY/SIZE/CLAIM}}` shows: value, interval and verdict in a line."""
        place, name = self._place_and_name(key, "claim")
        claim, judged = place.claim(name)
        verdict = judged.verdict or NO_VERDICT
        # The sign says it to the eye; the words are there for those who listen, and without a script.
        told = element("span", f", {verdict}, {_rests_on(place, claim, judged)}", class_="unseen")
        shown = join(_spell(judged.interval), _sign(judged), told)
        unit = f" {claim.unit}" if claim.unit else ""
        return Piece(
            join(self._marked(place, name, shown, judged, facts(place, claim, judged)), unit),
            f"{_spell(judged.interval)}{unit} ({verdict})",
            claim_block(place, claim, judged, f"{self.to_root}{place.address}#{name}"),
        )

    def number(self, place: str, field: str, text: str) -> Piece:
        """Return a number that a text states; raise NotebookError where its run has another one."""
        kept = self.runs.get(place) or self._place(place)
        try:
            value = self.known.numbers.value(place, field)
        except GlassbookError as fault:
            raise NotebookError(f"'{text}' is said to stand in run:{place}#{field}, but {fault}") from fault
        if not self.known.says(text, value):
            now = value if isinstance(value, str) else spell(value)
            raise NotebookError(f"the text states '{text}' and run:{place}#{field} has {now}; write that")
        if isinstance(kept, KeptRun):
            said = f"{field}\nThe run {kept.id}, {kept.date}.{self._changed(kept)}"
            return Piece(
                self._link(text, f"{kept.address}#numbers", said, is_stale=kept.id in self.known.changed), text
            )
        name = field.partition(".")[0]
        if name in kept.judgements:
            claim, judged = kept.claim(name)
            shown = join(text, _sign(judged)) if field.endswith(".verdict") else text
            return Piece(self._marked(kept, name, shown, judged, facts(kept, claim, judged)), text)
        arm, _, column = field.partition(":")
        said = f"The mean of '{column}' over items and seeds\nArm: {arm}\nRuns: {kept.name}, {kept.date}"
        return Piece(self._link(text, kept.address, said), text)

    def view(self, key: str) -> Piece:
        """Return what `{{view STUDY/NAME}}`, `{{view STUDY/SIZE/NAME}}` or `{{view RUN/NAME}}` shows: a figure."""
        run, slash, name = key.partition("/")
        if slash and run in self.runs:
            found = self.runs[run]
            return self._figure(found.view(name), found.address, f"From the run {found.id}.{self._changed(found)}")
        place, name = self._place_and_name(key, "view")
        return self._figure(place.view(name), place.address, f"From the runs of {place.name}, {place.date}.")

    def picture(self, address: str) -> Piece:
        """Return what `![…](view:STUDY/SIZE/views/NAME.json)` shows; the address is that of the file below `entries/studies`."""
        study, _, rest = address.removesuffix(".json").partition("/")
        size, _, name = rest.partition("/")
        return self.view(f"{study}/{size}/{name.rpartition('/')[2]}")

    def study(self, key: str) -> Piece:
        """Return what `{{study NAME}}` or `{{study NAME/SIZE}}` shows: the table of its claims, the paper beside ours."""
        place = self._place(key if "/" in key else f"{key}/{USUAL_SIZE}")
        table = claim_table(place.claims.claims, place.judgements, title=f"{place.claims.study}, size {place.size}")
        stale = [name for name in place.judgements if place.stale(name)]
        marked = f" Stale: {', '.join(stale)}." if stale else ""
        piece = self._figure(table, place.address, f"Measured {place.date}.{marked}")
        return Piece(piece.html, table.finding())

    def in_full(self, key: str) -> Markup:
        """Return a claim with all that belongs to it, as a block of its own."""
        place, name = self._place_and_name(key, "claim")
        claim, judged = place.claim(name)
        return claim_block(place, claim, judged, f"{self.to_root}{place.address}#{name}")

    def _marked(self, place: Place, name: str, shown: str, judged: Judgement, said: str) -> Markup:
        """Return a link to where a claim is told in full, marked by its verdict and, in words, when it is stale."""
        stale = place.stale(name)
        kind = " ".join(["measured", (judged.verdict or "none").replace(" ", "-"), *(["stale"] if stale else [])])
        mark = (
            element("span", " stale", element("span", f": {stale}", class_="unseen"), class_="sign") if stale else None
        )
        return element("a", shown, mark, class_=kind, href=f"{self.to_root}{place.address}#{name}", data_live=said)

    def _link(self, text: str, address: str, said: str, is_stale: bool = False) -> Markup:
        """Return a link to where a number without a verdict was measured."""
        mark = element("span", " stale", class_="sign") if is_stale else None
        kind = "measured stale" if is_stale else "measured"
        return element("a", text, mark, class_=kind, href=f"{self.to_root}{address}", data_live=said)

    def _figure(self, view: View, address: str, source: str) -> Piece:
        link = element("a", source, href=f"{self.to_root}{address}")
        html = Markup(view.html()).replace(Markup("</figcaption>"), join(" ", link, Markup("</figcaption>")))
        return Piece(html, f"{view.title}. {view.caption}")

    def _changed(self, run: KeptRun) -> str:
        return " Stale: the code that made it has changed." if run.id in self.known.changed else ""

    def _place_and_name(self, key: str, what: str) -> tuple[Place, str]:
        parts = key.strip().split("/")
        if len(parts) == 2:
            return self._place(f"{parts[0]}/{USUAL_SIZE}"), parts[1]
        if len(parts) == 3:
            return self._place(f"{parts[0]}/{parts[1]}"), parts[2]
        raise NotebookError(f"'{{{{{what} {key}}}}}' names no {what}; write {{{{{what} STUDY/NAME}}}}")

    def _place(self, name: str) -> Place:
        if name in self.places:
            return self.places[name]
        run = name.partition("/")[0]
        if run in self.hidden:
            raise NotebookError(f"the run {run} belongs to a private entry; make that public, or take this out")
        near = get_close_matches(name, [*self.places, *self.runs], n=1)
        if near or not run[:8].isdigit():
            raise missing(f"this notebook keeps no results of '{name}'", name, {**self.places, **self.runs})
        raise NotebookError(f"this notebook keeps no run '{run}'; `glassbook pin {run}` copies it here")


def private_runs(entries: Iterable[Entry]) -> frozenset[str]:
    """Return the runs that entries are about of which all are private."""
    about: dict[bool, set[str]] = {True: set(), False: set()}
    for entry in entries:
        about[entry.private].add(str(entry.fields.get("run")))
    return frozenset(about[True] - about[False])


def facts(place: Place, claim: Claim, judged: Judgement) -> str:
    """Return what stands behind a number, a line each: the claim, its verdict, on how much it rests, when, and what is stale."""
    lines = [
        claim.says,
        f"{_spell(judged.interval)} {claim.unit}".rstrip(),
        f"{(judged.verdict or NO_VERDICT).capitalize()}: {judged.because}",
        _rests_on(place, claim, judged),
    ]
    stale = place.stale(claim.id)
    return "\n".join([*lines, f"Stale: {stale}"] if stale else lines)


def claim_block(place: Place, claim: Claim, judged: Judgement, href: str, level: str = "p") -> Markup:
    """Return a claim as a block: verdict, sentence, number with its interval, what it rests on."""
    verdict = judged.verdict or NO_VERDICT
    stale = place.stale(claim.id)
    kind = " ".join(["claim", verdict.replace(" ", "-"), *(["stale"] if stale else [])])
    sign = element("span", f"{SIGNS.get(verdict, '–')} ", aria_hidden="true")
    unit = element("span", claim.unit) if claim.unit else None
    ends = element("span", _ends(judged.interval))
    said = f"{len(judged.each_seed)} seeds, {spell(judged.n_items)} {claim.items}, {place.date}. "
    return element(
        "aside",
        element(
            "p",
            element("span", sign, verdict, class_="outcome"),
            element("span", "stale", class_="chip stale") if stale else None,
            class_="claim-verdict",
        ),
        element(level, claim.says, class_="claim-says"),
        element("p", element("b", spell(judged.interval.estimate)), unit, ends, class_="claim-number"),
        element("p", said, element("a", "How this was measured", href=href), class_="claim-facts"),
        element("p", f"Stale: {stale}", class_="claim-facts") if stale else None,
        class_=kind,
        role="note",
        aria_label=f"A claim that was measured: {verdict}",
    )


def _sign(judged: Judgement) -> Markup:
    return element("span", f" {SIGNS.get(judged.verdict or '', '–')}", class_="sign", aria_hidden="true")


def _rests_on(place: Place, claim: Claim, judged: Judgement) -> str:
    """Return on how much a claim rests, and when it was measured."""
    return f"{len(judged.each_seed)} seeds, {spell(judged.n_items)} {claim.items}, size {place.size}, {place.date}"


def _spell(found: Interval) -> str:
    return f"{spell(found.estimate)} {_ends(found)}".rstrip()


def _ends(found: Interval) -> str:
    is_known = math.isfinite(found.low) and math.isfinite(found.high)
    return f"[{spell(found.low)}, {spell(found.high)}]" if is_known else ""
