"""What a study has measured: its items by seed, arm and column, read from Runs or from what a notebook keeps of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from glassbook.core.errors import RunError
from glassbook.evidence import Claim, Judgement, judge
from glassbook.files.hashes import hash_json
from glassbook.runs.reading import RUN_FILE, StoredRun
from glassbook.studies.contract import Items
from glassbook.studies.question import Question
from glassbook.studies.records import JOURNAL, CellRecord, items_folder, journal_of, read_cells, read_items

ITEMS_FOLDER = "items"
JUDGED = ("laptop", "gpu")
"""The sizes whose results are judged and kept; a smoke run shows that a study works, and nothing of the paper."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """One seed: the record of its Run, its cells, and their items. `folder` is the Run's, or the one kept of it."""

    folder: Path
    record: Mapping[str, Any]
    cells: tuple[CellRecord, ...]
    items: Items

    @property
    def run(self) -> str:
        """Return the name of the Run."""
        return str(self.record["id"])


@dataclass(frozen=True, slots=True)
class Results:
    """What one question was answered with, seed by seed."""

    seeds: Mapping[int, SeedResult]

    @property
    def config(self) -> Mapping[str, Any]:
        """Return what the Runs were asked: study, size, only, settings, bars."""
        return next(iter(self.seeds.values())).record["asked"]["config"]

    @property
    def study(self) -> str:
        """Return the name of the study."""
        return str(self.config["study"])

    @property
    def size(self) -> str:
        """Return the size that was run."""
        return str(self.config["size"])

    @property
    def items(self) -> dict[int, Items]:
        """Return seed -> arm -> column -> values."""
        return {seed: result.items for seed, result in sorted(self.seeds.items())}

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Return arm and column of all that was measured, in the order of the cells."""
        first = next(iter(self.seeds.values()))
        return [(cell.arm, column) for cell in first.cells for column in cell.columns]

    def values(self, arm: str, column: str) -> list[NDArray[Any]]:
        """Return the items of one column, seed by seed."""
        return [items[arm][column] for items in self.items.values()]

    def bar_written(self, claim: str) -> str | None:
        """Return the hash of a claim's bar that every Run was begun with; None where they have none, or not the same one."""
        hashes = {seed.record["asked"]["config"]["bars"].get(claim) for seed in self.seeds.values()}
        return hashes.pop() if len(hashes) == 1 else None


def from_runs(question: Question, runs: Sequence[StoredRun]) -> Results:
    """Return what finished Runs hold of a study at one size and on the same weights, the newest Run of each seed.

    Of several questions and states of the code the one that is asked now comes first, then the one that measured all arms,
    then the newest. Raises RunError where there is none.
    """
    groups: dict[tuple[str, str], list[StoredRun]] = {}
    for run in runs:
        if run.status == "done" and _is_of(question, run.record["asked"]["config"]):
            groups.setdefault(_group(run), []).append(run)
    if not groups:
        name, size = question.study.name, question.size
        raise RunError(
            f"the study '{name}' has no finished run at size {size}; run it with `glassbook study run {name} --size {size}`"
        )
    now = (hash_json(question.config()), question.code())

    def rank(group: tuple[str, str]) -> tuple[bool, bool, str]:
        newest = groups[group][0].record
        return group == now, newest["asked"]["config"]["only"] is None, str(newest["started"])

    return of_group(groups[max(groups, key=rank)])


def with_run(run: StoredRun, runs: Sequence[StoredRun]) -> Results:
    """Return the results that a finished Run belongs to: all seeds of the same question and the same code."""
    return of_group([one for one in runs if one.status == "done" and _group(one) == _group(run)])


def of_group(runs: Sequence[StoredRun]) -> Results:
    """Return the results of Runs of one question, newest first."""
    newest: dict[int, StoredRun] = {}
    for run in runs:
        newest.setdefault(int(run.record["asked"]["seed"]), run)
    return Results({seed: _read_seed(run.folder, run.record) for seed, run in sorted(newest.items())})


def from_kept(folder: Path) -> Results:
    """Return the results kept in `entries/studies/<name>/<size>`; raise RunError where there are none or they were altered."""
    found = sorted(folder.glob(f"seed-*/{RUN_FILE}"))
    if not found:
        raise RunError(f"'{folder}' keeps no results of a study; `glassbook study report` writes them")
    seeds: dict[int, SeedResult] = {}
    for path in found:
        record = read_kept_record(path)
        cells = tuple(read_cells(path.parent / f"{JOURNAL}.jsonl"))
        items = {cell.arm: read_items(path.parent / ITEMS_FOLDER, cell) for cell in cells}
        seeds[int(record["asked"]["seed"])] = SeedResult(path.parent, record, cells, items)
    results = Results(dict(sorted(seeds.items())))
    _check_kept(folder, results)
    return results


def _check_kept(folder: Path, results: Results) -> None:
    """Raise RunError where a seed lies under another's name, did not finish, or was asked something else than the first."""
    for seed, one in results.seeds.items():
        record = one.record
        if one.folder.name != f"seed-{seed}" or record.get("status") != "done":
            raise RunError(
                f"'{one.folder}' holds seed {seed} of a run that is {record.get('status')}; write the report again"
            )
        if record["asked"]["config"] != results.config:
            raise RunError(
                f"'{one.folder}' was asked something else than the seeds beside it; measure the study again in '{folder}'"
            )


def read_kept_record(path: Path) -> dict[str, Any]:
    """Return the record of a Run as a notebook keeps it; raise RunError where it is damaged."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        if not isinstance(record["asked"]["config"]["bars"], dict) or not isinstance(record["asked"]["seed"], int):
            raise KeyError("asked")
    except (msgspec.DecodeError, KeyError, TypeError) as fault:
        raise RunError(f"'{path}' is damaged ({fault}); restore it, or write it anew from its run") from fault
    return record


def judge_results(results: Results, claims: Sequence[Claim]) -> dict[str, Judgement]:
    """Return the judgement of every claim whose arms were run, by the claim's id; of a smoke run none.

    Raises EvidenceError where a bar was changed after the runs began, a seed below the last is missing or an item is no number.
    """
    if results.size not in JUDGED:
        return {}
    announced = range(max(results.seeds) + 1)
    return {
        claim.id: judge(claim, results.items, written=results.bar_written(claim.id), seeds=announced)
        for claim in claims
        if not is_left_out(claim, results)
    }


def judge_as_begun(results: Results, claims: Sequence[Claim]) -> dict[str, Judgement]:
    """Return the judgements of the claims whose bars are still those that the runs were begun with."""
    return judge_results(results, [claim for claim in claims if results.bar_written(claim.id) == claim.bar_hash])


def is_left_out(claim: Claim, results: Results) -> bool:
    """Return whether the claim needs an arm that was not to run: beyond the headline, or on weights that were not given."""
    run = {arm for arm, _ in results.columns}
    without_weights = results.config["settings"].get("weights") == ""
    return (results.config["only"] is not None or without_weights) and not claim.arms <= run


def _read_seed(folder: Path, record: Mapping[str, Any]) -> SeedResult:
    cells = tuple(read_cells(journal_of(folder)))
    return SeedResult(folder, record, cells, {cell.arm: read_items(items_folder(folder), cell) for cell in cells})


def _group(run: StoredRun) -> tuple[str, str]:
    return hash_json(run.record["asked"]["config"]), str(run.record["code"]["sha256"])


def _is_of(question: Question, config: Mapping[str, Any]) -> bool:
    same = config.get("study") == question.study.name and config.get("size") == question.size
    weights = question.config()["settings"].get("weights")
    return same and config["settings"].get("weights") == weights
