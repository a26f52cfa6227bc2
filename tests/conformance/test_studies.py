"""Every study keeps its contract: a whole folder, claims that its arms can answer, verdicts that follow the items.

The smokes of all studies are run once, one after another in one process, and shared by the tests here.
"""

import fcntl
import json
import math
import os
import time
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from conformance.planting import planted
from glassbook.core.errors import EvidenceError, SourceError
from glassbook.evidence import check_items, judge, read_claims
from glassbook.files.hashes import canonical_json
from glassbook.runs.code_hash import closure
from glassbook.studies.contract import STUDIES
from glassbook.studies.finding import CLAIMS_FILE, PAPER_FILE, REPORT_FILE, folder_of, load, names
from glassbook.studies.keeping import LIMIT, bytes_of, kept_judgements, kept_views
from glassbook.studies.question import NO_NUMBERS, ask
from glassbook.studies.records import changed_sources, items_folder, journal_of, read_cells, stored_runs
from glassbook.studies.reporting import report_into
from glassbook.studies.results import Results, from_kept, from_runs, judge_results
from glassbook.studies.running import find
from glassbook.views.view import View, plain, read_view
from studies.toy.study import Toy

ENTRIES = Path(__file__).resolve().parents[2] / "entries" / "studies"
NAMES = names()
KEPT = [str(path.parent.relative_to(ENTRIES)) for path in sorted(ENTRIES.glob("*/*/judgements.json"))]
_NOT_AT_HAND = "SourceError"
"""What a study's smoke ends with where its data is neither here nor to be fetched: its tests are then skipped by name."""

every_study = pytest.mark.parametrize("name", NAMES)
everything_kept = pytest.mark.parametrize("kept", ["toy/laptop", *KEPT], indirect=True)


@pytest.fixture(scope="session")
def smokes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Run every study at size smoke; return by name where its Runs lie, how long it took, and what went wrong."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The folder of all workers: the first one there runs the smokes, and the others wait for it.
        place = place.parent
    with (place / "smokes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = place / "smokes.json"
        if not told.exists():
            told.write_text(json.dumps({name: _smoke(name, place / "smokes" / name) for name in NAMES}))
        return json.loads(told.read_text())


def _smoke(name: str, root: Path) -> dict[str, Any]:
    began, fault = time.perf_counter(), None
    try:
        find(name).run_all("smoke", root=root)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
    return {"root": str(root), "wall_s": time.perf_counter() - began, "fault": fault}


@pytest.fixture
def smoked(name: str, smokes: dict[str, dict[str, Any]]) -> Results:
    """What the smoke of one study measured."""
    fault = smokes[name]["fault"]
    if fault and fault.startswith(_NOT_AT_HAND):
        pytest.skip(fault)
    assert fault is None
    return _read(name, smokes[name]["root"])


@cache
def _read(name: str, root: str) -> Results:
    return from_runs(ask(load(name), "smoke"), stored_runs(root))


@pytest.fixture(scope="module")
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of kept results, which no test changes: those of this project, and the toy's made here."""
    if request.param != "toy/laptop":
        return ENTRIES / request.param
    tmp_path = tmp_path_factory.mktemp("toy")
    find("toy").run_all(root=tmp_path / "runs")
    return report_into(tmp_path, Toy(), from_runs(ask(Toy()), stored_runs(tmp_path / "runs"))).kept


@every_study
def test_a_study_s_folder_is_whole_and_bears_its_name(name):
    study = load(name)
    folder = folder_of(study)
    assert [file for file in (CLAIMS_FILE, PAPER_FILE, REPORT_FILE) if not (folder / file).is_file()] == []
    assert study.name == name and STUDIES.find(name) is type(study) and study.title
    assert folder.name == name.replace("-", "_")


@every_study
def test_a_study_s_claims_can_be_read_cite_their_paper_and_name_baseline_and_control(name):
    claims = read_claims(folder_of(load(name)) / CLAIMS_FILE)
    assert claims.study == name and claims.paper in claims.references
    assert any(claim.headline for claim in claims.claims)
    for claim in claims.claims:
        assert claim.says and claim.unit and claim.items and claim.baseline.says and claim.control.says
        assert claim.quantity_of(claim.control) != claim.quantity != claim.quantity_of(claim.baseline)
        assert claim.paper is None or claim.paper.checked or claim.paper.value is None, (
            "unchecked values are not printed"
        )


@every_study
def test_a_study_has_settings_of_plain_fields_at_every_size_and_three_seeds_where_it_is_judged(name):
    study = load(name)
    assert {"smoke", "laptop"} <= set(study.settings) and set(study.seeds) == set(study.settings)
    for settings in study.settings.values():
        assert is_dataclass(settings) and settings.__dataclass_params__.frozen
        assert canonical_json(plain(asdict(settings)))
    assert all(study.seeds[size] >= (1 if size == "smoke" else 3) for size in study.seeds)


@every_study
def test_the_headline_alone_answers_every_claim_of_the_headline(name):
    claims = read_claims(folder_of(load(name)) / CLAIMS_FILE).claims
    measured = {arm.name for arm in ask(load(name), "laptop", only="headline").arms()}
    assert measured and all(claim.arms <= measured for claim in claims if claim.headline)


@every_study
def test_a_study_imports_no_other_study_and_nothing_of_what_runs_it(name):
    question = ask(load(name), "smoke")
    allowed = ("glassbook.studies.contract", f"glassbook.studies.{folder_of(question.study).name}")
    found = [one for one in closure(question.modules, NO_NUMBERS) if one.startswith("glassbook.studies.")]
    assert [one for one in found if not one.startswith(allowed)] == []


def test_the_smokes_of_all_studies_run_in_one_process(smokes, record_property, capsys):
    took = {name: round(one["wall_s"], 1) for name, one in smokes.items()}
    record_property("smokes_s", took)
    with capsys.disabled():
        print(f"\nsmokes: {sum(took.values()):.1f} s in all ({', '.join(f'{name} {s} s' for name, s in took.items())})")
    faults = {name: one["fault"] for name, one in smokes.items() if one["fault"]}
    assert {name: fault for name, fault in faults.items() if not fault.startswith(_NOT_AT_HAND)} == {}
    assert "toy" not in faults


@every_study
def test_a_smoke_measures_whatever_the_claims_speak_of(name, smoked):
    claims = read_claims(folder_of(load(name)) / CLAIMS_FILE).claims
    for claim in claims:
        check_items(claim, smoked.items)
    first = claims[0]
    without = {seed: {arm: {} for arm in items} for seed, items in smoked.items.items()}
    with pytest.raises(EvidenceError, match=first.id):
        check_items(first, without)


@every_study
def test_a_smoke_has_no_verdict(name, smoked):
    assert judge_results(smoked, read_claims(folder_of(load(name)) / CLAIMS_FILE).claims) == {}


@every_study
def test_a_verdict_turns_where_a_result_on_the_wrong_side_is_planted(name, smoked):
    for claim in read_claims(folder_of(load(name)) / CLAIMS_FILE).claims:
        right, wrong = (
            judge(claim, planted(claim, smoked.items, passes), written=claim.bar_hash) for passes in (True, False)
        )
        assert right.verdict == "replicated", (claim.id, right.because)
        assert wrong.verdict in ("not replicated", "not testable"), (claim.id, wrong.because)


@every_study
def test_a_study_knows_the_checksums_of_the_data_that_it_read(name, smoked):
    # Weights are looked at where results are kept: a smoke may make tiny ones of its own.
    study = load(name)
    cells = [cell for seed in smoked.seeds.values() for cell in seed.cells]
    now = study.sources(study.settings["smoke"])
    read = {row["name"] for cell in cells for row in cell.data}
    assert read and read <= set(now)
    assert changed_sources(cells, now) == []
    assert read <= set(changed_sources(cells, dict.fromkeys(now, "other")))


@every_study
def test_pictures_are_views_drawn_from_the_items_alone(name, smoked):
    study = load(name)
    views = study.views(smoked.items, study.settings["smoke"])
    for view in views.values():
        assert isinstance(view, View) and read_view(view.to_json()) == view
        assert view.title and view.caption and "<figure" in view.html()


@pytest.mark.parametrize(
    "name", [name if name == "toy" else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_a_study_cut_short_between_its_cells_ends_with_the_bits_of_one_that_was_not(name, smoked, tmp_path):
    arms = ask(load(name), "smoke").arms()
    last = arms[len(arms) // 2].name

    def stop(moment):
        if moment.arm == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find(name).run("smoke", root=tmp_path, watch=stop)
    resumed = find(name).run("smoke", root=tmp_path)
    assert resumed.record["history"][0]["status"] == "interrupted"
    checksums = {cell.arm: cell.sha256 for cell in read_cells(journal_of(resumed.folder))}
    assert checksums == {cell.arm: cell.sha256 for cell in smoked.seeds[0].cells}
    assert sorted(checksums) == sorted(path.stem for path in items_folder(resumed.folder).glob("*.npz"))


@everything_kept
def test_kept_results_give_the_verdicts_and_pictures_that_lie_beside_them(kept):
    results = from_kept(kept)
    study = load(results.study)
    claims = read_claims(folder_of(study) / CLAIMS_FILE).claims
    again = {claim: one.to_dict() for claim, one in judge_results(results, claims).items()}
    assert again and alike(json.loads(json.dumps(again)), kept_judgements(kept))
    drawn = study.views(results.items, study.settings[results.size])
    stored = kept_views(kept)
    assert set(drawn) == set(stored)
    assert all(alike(json.loads(drawn[one].to_json()), json.loads(stored[one].to_json())) for one in stored)


@everything_kept
def test_a_verdict_on_kept_results_turns_with_a_planted_wrong_result(kept):
    results = from_kept(kept)
    claims = {one.id: one for one in read_claims(folder_of(load(results.study)) / CLAIMS_FILE).claims}
    for name in kept_judgements(kept):
        wrong = judge(claims[name], planted(claims[name], results.items, False), written=results.bar_written(name))
        assert wrong.verdict in ("not replicated", "not testable")


@everything_kept
def test_kept_results_are_of_three_seeds_at_least_and_small_enough_to_commit(kept):
    results = from_kept(kept)
    assert sorted(results.seeds) == list(range(len(results.seeds))) and len(results.seeds) >= 3
    assert all(seed.record["status"] == "done" for seed in results.seeds.values())
    assert bytes_of(kept.parent) <= LIMIT


@everything_kept
def test_a_study_knows_the_checksums_of_all_that_its_kept_results_read(kept):
    results = from_kept(kept)
    study = load(results.study)
    try:
        now = study.sources(study.settings[results.size])
    except SourceError as fault:
        pytest.skip(str(fault))
    cells = [cell for seed in results.seeds.values() for cell in seed.cells]
    read = {row["name"] for cell in cells for row in cell.data}
    read |= {f"weights:{one['name']}" for cell in cells for one in cell.weights}
    assert read and read <= set(now)


def alike(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal, numbers to nine digits: another processor may round the tenth otherwise."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) or isinstance(other, float):
        numbers = isinstance(one, int | float) and isinstance(other, int | float)
        return numbers and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


def test_control_values_that_differ_are_not_alike():
    value = {"a": [1.0, {"b": "x"}], "c": None}
    assert alike(value, json.loads(json.dumps(value)))
    assert not any(
        alike(value, other) for other in ({"a": [1.001, {"b": "x"}], "c": None}, {"a": [1.0]}, {**value, "c": 0})
    )
