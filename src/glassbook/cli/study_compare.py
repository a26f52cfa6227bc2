"""What `glassbook study compare` prints: the columns and claims that moved beyond their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from glassbook.cli.output import print_table
from glassbook.evidence import read_claims
from glassbook.stats.intervals import Interval
from glassbook.studies.comparing import ClaimMove, Move, compare, compare_claims, only_in_one
from glassbook.studies.contract import Study
from glassbook.studies.finding import CLAIMS_FILE, folder_of
from glassbook.studies.results import Results, judge_as_begun


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two results of one study, column by column and claim by claim."""

    before: Results
    after: Results
    columns: Sequence[Move]
    claims: Sequence[ClaimMove]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "before": _runs(self.before),
            "after": _runs(self.after),
            "columns": [
                {
                    "arm": move.arm,
                    "column": move.column,
                    "before": _plain(move.before),
                    "after": _plain(move.after),
                    "same": move.is_same,
                    "moved": move.moved,
                }
                for move in self.columns
            ],
            "claims": [
                {"claim": one.claim, "before": one.before.to_dict(), "after": one.after.to_dict(), "moved": one.moved}
                for one in self.claims
            ],
            "only_in_one": [list(column) for column in only_in_one(self.before, self.after)],
        }


def comparison(study: Study, before: Results, after: Results) -> Comparison:
    """Return what became of the columns that both results have, and of the claims whose bar is now what it was in both."""
    claims = read_claims(folder_of(study) / CLAIMS_FILE).claims
    moves = compare_claims(judge_as_begun(before, claims), judge_as_begun(after, claims))
    return Comparison(before, after, compare(before, after), moves)


def print_comparison(found: Comparison) -> None:
    """Print every column that both results have, then the claims, then how much moved."""
    columns = ["arm", "column", "before", "after", "moved"]
    rows = [[move.arm, move.column, str(move.before), str(move.after), _word(move)] for move in found.columns]
    print_table(columns, rows)
    for one in found.claims:
        change = "moved" if one.moved else "did not move"
        before, after = one.before.verdict or "no verdict", one.after.verdict or "no verdict"
        typer.echo(
            f"{one.claim} {change}: {one.before.interval.estimate:.4g} -> {one.after.interval.estimate:.4g}, {before} -> {after}"
        )
    for arm, column in only_in_one(found.before, found.after):
        typer.echo(f"only one of the two has the column '{column}' of the arm '{arm}'")
    moved = sum(move.moved for move in found.columns)
    typer.echo(f"\n{moved} of {len(found.columns)} columns moved beyond an interval.")


def _word(move: Move) -> str:
    if move.is_same:
        return "same bits"
    return "moved" if move.moved else "within"


def _runs(results: Results) -> dict[str, str]:
    return {str(seed): one.run for seed, one in results.seeds.items()}


def _plain(found: Interval) -> dict[str, float]:
    return {"estimate": found.estimate, "low": found.low, "high": found.high}
