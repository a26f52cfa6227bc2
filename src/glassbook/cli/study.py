"""`glassbook study`: papers made runnable, run at the size of this machine, and judged against bars set before."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassbook.cli.options import Json, opened_up
from glassbook.cli.output import print_json
from glassbook.cli.recording import COMMAND, Root
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.studies.question import Question

study = typer.Typer(help="List, run, report and compare studies: papers made runnable.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A study as `glassbook study list` shows it.")]
Size = Annotated[str, typer.Option(help="smoke (seconds, no verdict), laptop (two cores) or gpu.")]
Only = Annotated[str | None, typer.Option(metavar="headline", help="Measure what the paper stands by, and no more.")]
WeightsPath = Annotated[
    str | None, typer.Option(metavar="PATH", help="Other weights, for a study that can be run on them.")
]
Notebook = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The notebook; else the nearest folder above with glassbook.toml.")
]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write claims and pictures as one page for a browser too.")
]
Which = Annotated[
    str, typer.Argument(metavar="RUN", help="A run, which stands for all its seeds, or a folder of kept results.")
]


@dataclass(frozen=True, slots=True)
class What:
    """Which study, at which size, what of it, on which weights."""

    name: Name
    size: Size = "laptop"
    only: Only = None
    weights: WeightsPath = None

    def ask(self) -> "Question":
        """Return the question; raise InputError for one that the study does not have."""
        from glassbook.studies.finding import load
        from glassbook.studies.question import ask

        return ask(load(self.name), self.size, self.only, self.weights)


@dataclass(frozen=True, slots=True)
class Seeds:
    """Which seeds are measured, and whether those that have been are measured again."""

    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds, from 0; else as many as the study asks.")
    ] = None
    seed: Annotated[int | None, typer.Option(min=0, help="This seed alone.")] = None
    again: Annotated[bool, typer.Option("--again", help="Measure anew what has been measured.")] = False

    def of(self, question: "Question") -> list[int]:
        """Return the seeds to measure; raise InputError where two answers were given."""
        if self.seeds is not None and self.seed is not None:
            raise InputError("--seeds says how many and --seed which one; give one of the two")
        if self.seed is not None:
            return [self.seed]
        return list(question.seeds() if self.seeds is None else range(self.seeds))


@study.command("list")
def list_verb(notebook: Notebook = None, root: Root = None, as_json: Json = False) -> None:
    """List studies: their papers, how many claims each has, and which results there are."""
    from glassbook.cli.study_list import listed, print_list

    rows = listed(notebook, root)
    if as_json:
        print_json({"studies": rows})
    else:
        print_list(rows)


@study.command("run")
@opened_up
def run_verb(what: What, seeds: Seeds, root: Root = None, as_json: Json = False) -> None:
    """Measure a study, a run for each seed; what was cut short goes on, what was measured is not measured again.

    A run serves again as long as it was asked the same of the same code, data and weights. After Ctrl-C or a crash the same
    command goes on where it stopped.
    """
    from glassbook.cli.study_progress import study_progress
    from glassbook.cli.study_report import document, print_results
    from glassbook.studies.records import stored_runs
    from glassbook.studies.results import of_group
    from glassbook.studies.running import Asker, check_device, run_seed

    question = what.ask()
    check_device(question)
    with study_progress(question, seeds.of(question), stored_runs(root)) as watch:
        asker = Asker(COMMAND.get(), root, seeds.again, watch.see)
        runs = []
        for seed in seeds.of(question):
            watch.begin(seed)
            runs.append(run_seed(question, seed, asker))
    results = of_group(runs)
    if as_json:
        print_json(document(question, results))
    else:
        print_results(question, results)


@study.command("report")
@opened_up
def report_verb(
    what: What, notebook: Notebook = None, html: Html = None, root: Root = None, as_json: Json = False
) -> None:
    """Judge every claim, print paper beside measurement, and keep the results and the study's page in the notebook.

    Where there are no runs, what the notebook keeps of them is judged again and its page is written anew.
    """
    from glassbook.cli.study_report import document, print_report
    from glassbook.files.atomic import write_text
    from glassbook.studies.keeping import from_runs_or_kept, notebook_folder
    from glassbook.studies.pages import as_html, open_page
    from glassbook.studies.records import stored_runs
    from glassbook.studies.reporting import report_into

    question, place = what.ask(), notebook_folder(notebook)
    results = from_runs_or_kept(question, stored_runs(root), place)
    report = report_into(place, question.study, results)
    if html is not None:
        write_text(html, as_html(open_page(question.study, place, f"{question.study.name}/{report.kept.name}")))
    if as_json:
        print_json(document(question, results, report))
    else:
        print_report(question, results, report)


@study.command("compare")
def compare_verb(name: Name, first: Which, second: Which, root: Root = None, as_json: Json = False) -> None:
    """Say which columns and claims of a study moved beyond their intervals from one result to another."""
    from glassbook.cli.study_compare import comparison, print_comparison
    from glassbook.studies.comparing import named_results
    from glassbook.studies.finding import load
    from glassbook.studies.records import stored_runs

    before, after = named_results(first, second, stored_runs(root), root)
    found = comparison(load(name), before, after)
    if as_json:
        print_json(found.to_dict())
    else:
        print_comparison(found)
