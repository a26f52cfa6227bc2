"""What `glassbook study` prints of results: every column by seed, and the paper's numbers beside ours."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from glassbook.cli.output import print_facts, print_heading, print_table
from glassbook.cli.study_progress import spelled
from glassbook.evidence import Claim, Judgement
from glassbook.files.hashes import hash_json
from glassbook.stats.intervals import Interval
from glassbook.studies.comparing import column_interval
from glassbook.studies.question import Question
from glassbook.studies.results import JUDGED, Results, is_left_out

if TYPE_CHECKING:
    from glassbook.studies.reporting import Report


def document(question: Question, results: Results, report: "Report | None" = None) -> dict[str, Any]:
    """Return all that can be said of results as plain data."""
    seeds = {str(seed): one for seed, one in results.seeds.items()}
    said = {
        "study": results.study,
        "size": results.size,
        "only": results.config["only"],
        "runs": {seed: one.run for seed, one in seeds.items()},
        "columns": [_column(results, arm, column) for arm, column in results.columns],
        "wall_s": {seed: sum(cell.wall_s for cell in one.cells) for seed, one in seeds.items()},
        "current": is_current(question, results),
    }
    if report is not None:
        said["judgements"] = {name: one.to_dict() for name, one in report.judgements.items()}
        said["kept"], said["page"] = str(report.kept), str(report.page) if report.page else None
    return said


def is_current(question: Question, results: Results) -> bool:
    """Return whether results were measured with the settings, the bars and the code of now."""
    code = {one.record["code"]["sha256"] for one in results.seeds.values()}
    # By their hashes, since what was read from JSON has lists where the question has tuples.
    asked = [hash_json({**config, "only": None}) for config in (question.config(), results.config)]
    return asked[0] == asked[1] and code == {question.code()}


def print_results(question: Question, results: Results) -> None:
    """Print the mean of every column, seed by seed."""
    seeds = sorted(results.seeds)
    columns = ["arm", "column", "items", "mean", "interval", *(f"seed {seed}" for seed in seeds)]
    rows = [_line(results, arm, column) for arm, column in results.columns]
    print_table(columns, rows, right=columns[2:])
    typer.echo()
    print_facts(
        {
            "runs": ", ".join(results.seeds[seed].run for seed in seeds),
            "time": ", ".join(spelled(sum(cell.wall_s for cell in results.seeds[seed].cells)) for seed in seeds),
        }
    )
    typer.echo()
    if results.size not in JUDGED:
        typer.echo(f"A {results.size} run shows that the study works; it says nothing of the paper and has no verdict.")
    else:
        typer.echo(f"'glassbook study report {results.study} --size {results.size}' judges the claims.")


def print_report(question: Question, results: Results, report: "Report") -> None:
    """Print each claim with the paper's value, ours, every seed, baseline and control, and its verdict."""
    columns = ["claim", "paper", "ours", "interval", "seeds", "baseline", "control", "verdict"]
    rows = [_claim_row(claim, report.judgements) for claim in report.claims.claims]
    print_table(columns, rows, right=columns[1:4])
    for claim in report.claims.claims:
        typer.echo()
        print_heading(f"{claim.id}: {claim.says}")
        typer.echo(_because(claim, results, report.judgements))
    typer.echo()
    if not is_current(question, results):
        typer.echo(
            "These results were measured with other settings, bars or code than there are now; run the study again."
        )
    print_facts({"kept": str(report.kept)} | ({"page": str(report.page)} if report.page else {}))


def _because(claim: Claim, results: Results, judgements: Mapping[str, Judgement]) -> str:
    if claim.id in judgements:
        judged = judgements[claim.id]
        return f"{(judged.verdict or 'no verdict').capitalize()}: {judged.because}"
    if not is_left_out(claim, results):
        return f"Not judged at size {results.size}."
    headline = results.config["only"] is not None
    return f"Never run: {'only the headline was run' if headline else 'it needs weights that --weights gives'}."


def _claim_row(claim: Claim, judgements: Mapping[str, Judgement]) -> list[str]:
    paper = _paper(claim)
    if claim.id not in judgements:
        return [claim.id, paper, "", "", "", "", "", "not measured"]
    judged = judgements[claim.id]
    return [
        claim.id,
        paper,
        _number(judged.interval.estimate),
        _range(judged.interval),
        " ".join(map(_number, judged.each_seed.values())),
        _number(judged.baseline.estimate),
        _number(judged.control.estimate),
        judged.verdict or "none",
    ]


def _paper(claim: Claim) -> str:
    if claim.paper is None:
        return ""
    return _number(claim.paper.value) if claim.paper.checked else "not checked"


def _line(results: Results, arm: str, column: str) -> list[str]:
    found, values = column_interval(results, arm, column), results.values(arm, column)
    means = [_number(float(row.mean())) for row in values]
    return [arm, column, str(len(values[0])), _number(found.estimate), _range(found), *means]


def _column(results: Results, arm: str, column: str) -> dict[str, Any]:
    found, values = column_interval(results, arm, column), results.values(arm, column)
    return {
        "arm": arm,
        "column": column,
        "items": [len(row) for row in values],
        "mean": found.estimate,
        "interval": [found.low, found.high],
        "each_seed": [float(row.mean()) for row in values],
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _range(found: Interval) -> str:
    finite = abs(found.low) < float("inf") and abs(found.high) < float("inf")
    return f"[{found.low:.4g}, {found.high:.4g}]" if finite else "none"
