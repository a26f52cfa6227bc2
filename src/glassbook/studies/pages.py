"""A study's page: the text of its `report.md` with every number, table and picture filled in from kept results."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from glassbook.core.errors import EvidenceError
from glassbook.evidence import (
    Claim,
    ClaimSet,
    Judgement,
    OurCost,
    as_markdown,
    claim_table,
    corrections_markdown,
    cost_table,
    deviations_table,
    find_reference,
    read_claims,
    say_paper,
)
from glassbook.evidence.judging import say_bar
from glassbook.files.atomic import write_text
from glassbook.studies.contract import Study
from glassbook.studies.finding import CLAIMS_FILE, REPORT_FILE, folder_of
from glassbook.studies.keeping import VIEWS_FOLDER
from glassbook.studies.numbers import Kept, link
from glassbook.studies.results import Results, judge_as_begun
from glassbook.views.numbers import spell
from glassbook.views.page import Making, Section, render_page
from glassbook.views.table import Table
from glassbook.views.view import View, read_view

_COLUMNS = ("Claim", "Verdict", "The paper", "Ours", "Bar", "Baseline", "Control, which should fail")
_FIELDS = ("estimate", "low", "high", "verdict", "n_items", "baseline", "control", "precondition")


@dataclass(frozen=True)
class Page:
    """What a page is made from: the study, its claims, and the results kept at `place`, which is `STUDY/SIZE`."""

    study: Study
    claims: ClaimSet
    kept: Kept
    place: str

    @property
    def results(self) -> Results:
        """Return the results that the page tells of."""
        return self.kept.results(self.place)

    @property
    def begun(self) -> str:
        """Return the day on which the first of the runs was begun."""
        return min(str(seed.record["started"]) for seed in self.results.seeds.values())[:10]

    @cached_property
    def judgements(self) -> dict[str, Judgement]:
        """Return the judgements of every claim whose bar is still the one of its runs, made anew from the items."""
        return judge_as_begun(self.results, self.claims.claims)

    def claim(self, name: str) -> dict[str, str]:
        """Return the numbers of a claim, each as a link: estimate, low, high, interval, verdict, baseline, control, ..."""
        self.claims.find(name)
        judged = self.kept.judgements(self.place).get(name)
        if judged is None:
            return dict.fromkeys((*_FIELDS, "interval"), "(not measured)")
        fields = [one for one in _FIELDS if judged.get(one) is not None or one in ("estimate", "low", "high")]
        said = {one: link(self.kept.value(self.place, f"{name}.{one}"), self.place, f"{name}.{one}") for one in fields}
        said["interval"] = f"{said['estimate']} ({said['low']} to {said['high']})"
        said.setdefault("verdict", "no verdict")
        return said

    def mean(self, arm: str, column: str) -> str:
        """Return the mean of a column over its items and seeds, as a link."""
        field = f"{arm}:{column}"
        return link(self.kept.value(self.place, field), self.place, field)

    def view(self, name: str) -> str:
        """Return a picture as Markdown: the address of its data, which the notebook draws, and its title and caption in words."""
        path = self._view_path(name)
        view = read_view(path.read_bytes())
        address = path.relative_to(self.kept.folder).as_posix()
        end = "" if view.title.endswith((".", "?", "!")) else "."
        return f"![{_one_line(f'{view.title}{end} {view.caption}')}](view:{address})"

    def _view_path(self, name: str) -> Path:
        """Return where a picture lies: those of all seeds first, then the first seed's own, named `<arm>.<name>`."""
        folder = self.kept.folder / self.place
        places = [folder / VIEWS_FOLDER, *(folder / f"seed-{seed}" / VIEWS_FOLDER for seed in self.results.seeds)]
        for place in places:
            if (place / f"{name}.json").is_file():
                return place / f"{name}.json"
        known = sorted({path.stem for place in places for path in place.glob("*.json")})
        raise EvidenceError(f"there is no picture '{name}' in {self.place}; there are: {', '.join(known) or 'none'}")

    def views(self) -> list[View]:
        """Return the pictures that the study draws from all seeds."""
        folder = self.kept.folder / self.place / VIEWS_FOLDER
        return [read_view(path.read_bytes()) for path in sorted(folder.glob("*.json"))]

    def claims_table(self) -> str:
        """Return the paper beside ours, claim by claim; what we measured leads to its runs, where every seed stands."""
        rows = [self._row(claim) for claim in self.claims.claims if claim.id in self.kept.judgements(self.place)]
        return as_markdown(Table(title="Claims", caption="", columns=_COLUMNS, rows=rows)).strip()

    def _row(self, claim: Claim) -> tuple[str, ...]:
        said = self.claim(claim.id)
        low, high = (self.kept.value(self.place, f"{claim.id}.{end}") for end in ("low", "high"))
        has_ends = not isinstance(low, str) and not isinstance(high, str)
        ends = f" [{spell(float(low))}, {spell(float(high))}]" if has_ends else ""
        ours = f"{said['estimate']}{ends} {claim.unit}".rstrip()
        beside = (f"{said[name]} ({getattr(claim, name).says})" for name in ("baseline", "control"))
        return (
            claim.says,
            said["verdict"],
            say_paper(claim.paper),
            ours,
            f"{claim.direction} {say_bar(claim.bar)}",
            *beside,
        )

    def deviations(self) -> str:
        """Return what is done otherwise than in the paper."""
        return as_markdown(deviations_table(self.claims.deviations)).strip()

    def costs(self) -> str:
        """Return what the paper and we have spent."""
        return as_markdown(cost_table(self.claims, our_cost(self.results))).strip()

    def corrections(self) -> str:
        """Return what sources said and what is right."""
        return corrections_markdown(self.claims.corrections, self.claims.references)

    def cite(self, key: str) -> str:
        """Return the short form of a reference, leading to where it can be read."""
        found = find_reference(self.claims.references, key)
        return f"[{found.short}]({found.link})" if found.link else found.short

    def made(self) -> str:
        """Return how the results were made: size, seeds, machine, time, runs."""
        first = next(iter(self.results.seeds.values())).record
        hardware = first.get("hardware") or {}
        seeds = ", ".join(map(str, self.results.seeds))
        took = sum(cell.wall_s for seed in self.results.seeds.values() for cell in seed.cells) / 60
        runs = ", ".join(f"`{seed.run}`" for seed in self.results.seeds.values())
        processor = hardware.get("processor") or "an unnamed processor"
        return (
            f"Size {self.results.size}, seeds {seeds}, begun {self.begun} on {processor} "
            f"({hardware.get('cores')} cores, {hardware.get('threads')} threads): {took:.0f} minutes in all. Runs: {runs}."
        )


def our_cost(results: Results) -> OurCost:
    """Return what all cells of all seeds have spent."""
    cells = [cell for seed in results.seeds.values() for cell in seed.cells]
    return OurCost(
        parameters=max((cell.parameters for cell in cells), default=0) or None,
        tokens=sum(cell.tokens for cell in cells) or None,
        flop=sum(cell.flop for cell in cells) or None,
        seconds=sum(cell.wall_s for cell in cells),
    )


def open_page(study: Study, notebook: Path, place: str) -> Page:
    """Return the page of a study from the results kept at `STUDY/SIZE` in a notebook."""
    return Page(study, read_claims(folder_of(study) / CLAIMS_FILE), Kept(notebook), place)


def render(page: Page) -> str:
    """Return the page as Markdown; raise EvidenceError where its text asks for what there is not."""
    path = folder_of(page.study) / REPORT_FILE
    names = ("claim", "mean", "view", "claims_table", "deviations", "costs", "corrections", "cite", "made")
    environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    try:
        template = environment.from_string(path.read_text(encoding="utf-8"))
        text = template.render({name: getattr(page, name) for name in names})
    except FileNotFoundError as fault:
        raise EvidenceError(
            f"the study '{page.study.name}' has no page: there is no '{path.name}'; write it"
        ) from fault
    except jinja2.TemplateError as fault:
        line = getattr(fault, "lineno", None)
        where = f", line {line}" if line else ""
        raise EvidenceError(f"'{path.name}' of '{page.study.name}'{where} cannot be filled in: {fault}") from fault
    return _front_matter(page) + _without_title(text)


def as_html(page: Page) -> str:
    """Return one self-contained HTML page with the claims, every picture, the deviations and what it cost."""
    found = page.claims
    paper = find_reference(found.references, found.paper)
    first = next(iter(page.results.seeds.values()))
    own = [read_view(path.read_bytes()) for path in sorted((page.kept.folder / page.place).glob("seed-0/views/*.json"))]
    sections = [
        Section("The claims", views=[claim_table(found.claims, page.judgements)]),
        Section("The pictures, drawn from all seeds", views=page.views()),
        Section("Pictures of the first seed", views=own),
        Section("What was done otherwise", views=[deviations_table(found.deviations)]),
        Section("What it cost", views=[cost_table(found, our_cost(page.results))]),
    ]
    facts = {
        "size": page.results.size,
        "seeds": ", ".join(map(str, page.results.seeds)),
        "begun": first.record["started"],
    }
    making = Making({"command": f"glassbook study run {page.study.name}", "run of the first seed": first.run})
    kept = [one for one in sections if one.views]
    return render_page(page.study.title, paper.full, kept, {name: str(value) for name, value in facts.items()}, making)


def write_page(study: Study, notebook: Path, place: str) -> Path:
    """Write the page of a study into `entries/studies/<name>.md` of a notebook, from results kept there; return its path."""
    page = open_page(study, notebook, place)
    path = page.kept.folder / f"{study.name}.md"
    write_text(path, render(page))
    return path


def _front_matter(page: Page) -> str:
    verdicts: dict[str, int] = {}
    for judged in page.judgements.values():
        verdicts[judged.verdict or "no verdict"] = verdicts.get(judged.verdict or "no verdict", 0) + 1
    counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    paper = find_reference(page.claims.references, page.claims.paper)
    fields: Mapping[str, Any] = {
        "title": page.study.title,
        "kind": "study",
        "study": page.study.name,
        "size": page.results.size,
        "paper": paper.full,
        "verdicts": counted,
        "written_by": "glassbook study report, from the study's report.md",
    }
    lines = [f"{name}: {_quoted(value)}" for name, value in fields.items()]
    lines.insert(2, f"date: {page.begun}")
    return "\n".join(["---", *lines, "---", "", ""])


def _without_title(text: str) -> str:
    # A page is headed by the title of its front matter.
    return re.sub(r"\A\s*# [^\n]*\n+", "", text)


def _quoted(value: str) -> str:
    # JSON's strings are YAML's: a colon or a quote in a title stays part of it.
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("[", "(").replace("]", ")")
