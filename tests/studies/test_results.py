"""Results are what Runs hold, judged by bars written before; kept in a notebook they judge the same."""

import json

import msgspec
import numpy as np
import pytest

from glassbook.core.errors import EvidenceError, FileFormatError, InputError, RunError
from glassbook.evidence import read_claims
from glassbook.studies import keeping
from glassbook.studies.comparing import column_interval, compare, compare_claims, named_results
from glassbook.studies.finding import CLAIMS_FILE, folder_of
from glassbook.studies.keeping import (
    bytes_of,
    folder_for,
    from_runs_or_kept,
    keep,
    kept_judgements,
    kept_views,
    notebook_folder,
)
from glassbook.studies.question import ask
from glassbook.studies.records import stored_runs
from glassbook.studies.reporting import report_into
from glassbook.studies.results import Results, SeedResult, from_kept, from_runs, judge_as_begun, judge_results
from glassbook.studies.running import find
from studies.toy.study import Toy

CLAIMS = read_claims(folder_of(Toy()) / CLAIMS_FILE).claims


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of Runs of three seeds of the toy study."""
    root = tmp_path_factory.mktemp("runs")
    find("toy").run_all(root=root)
    return root


@pytest.fixture
def results(measured):
    """What those Runs hold."""
    return from_runs(ask(Toy()), stored_runs(measured))


@pytest.fixture
def notebook(tmp_path):
    """An empty notebook."""
    (tmp_path / "glassbook.toml").write_text('title = "Notes"\n')
    return tmp_path


def test_results_hold_every_seed_arm_and_column_as_it_was_measured(results):
    assert sorted(results.seeds) == [0, 1, 2] and (results.study, results.size) == ("toy", "laptop")
    assert ("added", "value") in results.columns and len(results.columns) == 8
    added, nothing = results.values("added", "value"), results.values("nothing", "value")
    assert all(np.array_equal(more, less + 1) for more, less in zip(added, nothing, strict=True))


def test_a_claim_is_judged_from_the_items_and_its_verdict_turns_with_them(results):
    judged = judge_results(results, CLAIMS)
    assert {name: one.verdict for name, one in judged.items()} == {
        "larger": "replicated",
        "twice-as-large": "replicated",
    }
    for result in results.seeds.values():
        result.items["added"]["value"] = result.items["added"]["value"] - 1.2
    assert judge_results(results, CLAIMS)["larger"].verdict == "not replicated"


def test_fewer_than_three_seeds_have_no_verdict(tmp_path):
    find("toy").run(root=tmp_path)
    found = judge_results(from_runs(ask(Toy()), stored_runs(tmp_path)), CLAIMS)
    assert found["larger"].verdict is None and found["larger"].interval.estimate == pytest.approx(1.0, abs=1e-6)


def test_a_smoke_run_is_not_judged(tmp_path):
    find("toy").run(size="smoke", root=tmp_path)
    assert judge_results(from_runs(ask(Toy(), "smoke"), stored_runs(tmp_path)), CLAIMS) == {}


def test_a_bar_that_was_changed_after_the_runs_began_is_refused_by_name(results):
    lower = msgspec.structs.replace(CLAIMS[0], bar=0.4)
    with pytest.raises(EvidenceError, match=r"'larger'.*changed after the runs began"):
        judge_results(results, [lower])
    assert set(judge_as_begun(results, [lower, CLAIMS[1]])) == {"twice-as-large"}


def test_a_seed_that_is_missing_in_the_middle_is_refused_by_name(results):
    del results.seeds[1]
    with pytest.raises(EvidenceError, match="seed 1 is missing"):
        judge_results(results, CLAIMS)


def test_claims_beyond_the_headline_are_left_out_where_only_the_headline_was_run(tmp_path):
    find("toy").run_all(root=tmp_path, only="headline")
    assert set(judge_results(from_runs(ask(Toy()), stored_runs(tmp_path)), CLAIMS)) == {"larger"}


def test_of_several_results_those_of_the_question_asked_now_come_first_then_whole_ones_then_new_ones(
    tmp_path, monkeypatch
):
    asked = ask(Toy())
    runs = {only: find("toy").run(root=tmp_path, only=only) for only in (None, "headline")}
    assert from_runs(asked, stored_runs(tmp_path)).seeds[0].run == runs[None].id
    assert from_runs(ask(Toy(), only="headline"), stored_runs(tmp_path)).seeds[0].run == runs["headline"].id
    monkeypatch.setitem(Toy.settings, "laptop", type(asked.settings)(strength=3.0))
    assert from_runs(ask(Toy()), stored_runs(tmp_path)).seeds[0].run == runs[None].id
    with pytest.raises(RunError, match="no finished run at size smoke"):
        from_runs(ask(Toy(), "smoke"), stored_runs(tmp_path))


def test_runs_on_other_weights_are_other_results_and_are_kept_apart(tmp_path, notebook):
    find("toy").run(root=tmp_path / "runs", weights="/models/gpt2-xl")
    with pytest.raises(RunError, match="no finished run"):
        from_runs(ask(Toy()), stored_runs(tmp_path / "runs"))
    found = from_runs(ask(Toy(), weights="/models/gpt2-xl"), stored_runs(tmp_path / "runs"))
    assert folder_for(notebook, found).name == "laptop-gpt2-xl"


def test_kept_results_are_the_same_items_and_judge_the_same(results, notebook):
    report = report_into(notebook, Toy(), results)
    assert report.kept == notebook / "entries" / "studies" / "toy" / "laptop"
    kept = from_kept(report.kept)
    assert kept.columns == results.columns and sorted(kept.seeds) == [0, 1, 2]
    for arm, column in results.columns:
        assert all(map(np.array_equal, kept.values(arm, column), results.values(arm, column)))
    again = {name: one.to_dict() for name, one in judge_results(kept, CLAIMS).items()}
    assert json.loads(json.dumps(again)) == kept_judgements(report.kept)
    assert set(kept_views(report.kept)) == {"means"}
    assert {path.name for path in report.kept.glob("seed-0/views/*")} == {
        f"{arm}.numbers.json" for arm in kept.items[0]
    }


def test_kept_records_say_how_and_on_what_a_run_was_made_and_not_where(results, notebook):
    record = json.loads((report_into(notebook, Toy(), results).kept / "seed-1" / "run.json").read_text())
    assert record["asked"]["seed"] == 1 and record["hardware"]["cores"] and record["cost"]["total"]["wall_s"] > 0
    assert "process" not in record and "platform" not in record["hardware"]


def test_kept_results_can_be_kept_again_elsewhere_byte_for_byte(results, notebook, tmp_path):
    first = report_into(notebook, Toy(), results).kept
    second = keep(
        from_kept(first), tmp_path / "again", judge_results(results, CLAIMS), Toy().views(results.items, None)
    )
    files = [path.relative_to(first) for path in sorted(first.rglob("*")) if path.is_file()]
    assert files and all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


def test_kept_items_that_were_altered_are_refused(results, notebook):
    kept = report_into(notebook, Toy(), results).kept
    path = kept / "seed-2" / "items" / "added.npz"
    path.write_bytes((kept / "seed-1" / "items" / "added.npz").read_bytes())
    with pytest.raises(RunError, match=r"seed-2.*checksum differs"):
        from_kept(kept)


@pytest.mark.parametrize("spoil", ["{", "[]", "{}", '{"asked": {"config": {"bars": 3}, "seed": 0}}'])
def test_a_damaged_kept_record_is_refused_by_name(results, notebook, spoil):
    kept = report_into(notebook, Toy(), results).kept
    (kept / "seed-0" / "run.json").write_text(spoil)
    with pytest.raises(RunError, match=r"seed-0/run\.json"):
        from_kept(kept)
    (kept / "judgements.json").write_text(spoil[:1])
    with pytest.raises(FileFormatError, match=r"judgements\.json"):
        kept_judgements(kept)


def test_results_beyond_the_limit_are_refused_by_the_largest_file_and_the_old_ones_stay(results, notebook, monkeypatch):
    kept = report_into(notebook, Toy(), results).kept
    before = bytes_of(kept)
    monkeypatch.setattr(keeping, "LIMIT", before - 1)
    with pytest.raises(InputError, match=r"the largest file is '\S+' with"):
        report_into(notebook, Toy(), results)
    assert bytes_of(kept) == before and [path.name for path in kept.parent.iterdir()] == ["laptop"]
    monkeypatch.setattr(keeping, "LIMIT", before)
    report_into(notebook, Toy(), results)
    (kept.parent / "gpu").mkdir()
    (kept.parent / "gpu" / "items.npz").write_bytes(b"x")
    with pytest.raises(InputError, match="the largest file"):
        report_into(notebook, Toy(), results)


def test_a_smoke_run_is_not_kept(tmp_path, notebook):
    find("toy").run(size="smoke", root=tmp_path / "runs")
    with pytest.raises(InputError, match="is not kept"):
        report_into(notebook, Toy(), from_runs(ask(Toy(), "smoke"), stored_runs(tmp_path / "runs")))
    assert not list((notebook / "entries" / "studies" / "toy").glob("*"))


def test_the_notebook_is_the_nearest_folder_above_with_its_file(notebook, monkeypatch):
    (notebook / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(notebook / "a" / "b")
    assert notebook_folder() == notebook
    with pytest.raises(InputError, match="is no notebook"):
        notebook_folder(notebook / "a")
    monkeypatch.chdir("/")
    with pytest.raises(InputError, match="no folder above"):
        notebook_folder()


def test_equal_results_did_not_move_a_hair_is_within_the_interval_and_a_step_is_not(results, measured):
    other = from_runs(ask(Toy()), stored_runs(measured))
    moves = compare(results, other)
    assert len(moves) == 8 and all(move.is_same and not move.moved for move in moves)
    for seed in other.seeds.values():
        seed.items["random"]["value"] = seed.items["random"]["value"] + np.float32(0.001)
        seed.items["twice"]["value"] = seed.items["twice"]["value"] + np.float32(1)
    moved = {(move.arm, move.column): (move.is_same, move.moved) for move in compare(results, other)}
    assert moved[("random", "value")] == (False, False)
    assert moved[("twice", "value")] == (False, True)


def test_a_claim_moved_where_its_estimate_did_and_not_where_both_its_columns_did(results, measured):
    other = from_runs(ask(Toy()), stored_runs(measured))
    for seed in other.seeds.values():
        for arm, step in (("nothing", 0.5), ("added", 0.5), ("twice", 0.75)):
            seed.items[arm]["value"] = seed.items[arm]["value"].astype(np.float64) + step
    judged = [judge_results(one, CLAIMS) for one in (results, other)]
    assert {one.claim: one.moved for one in compare_claims(*judged)} == {"larger": False, "twice-as-large": True}


def test_results_of_two_studies_are_not_compared(results, tmp_path):
    other = SeedResult(tmp_path, {"id": "1", "asked": {"config": {"study": "other"}}}, (), {})
    with pytest.raises(InputError, match="'toy' and 'other' are two studies"):
        compare(results, Results({0: other}))


def test_a_run_stands_for_all_its_seeds_and_two_of_one_question_for_themselves(measured, notebook):
    runs = stored_runs(measured)
    by_seed = {run.record["asked"]["seed"]: run.id for run in runs}
    first, second = named_results(by_seed[0], by_seed[1], runs, measured)
    assert (sorted(first.seeds), sorted(second.seeds)) == ([0], [1])
    kept = report_into(notebook, Toy(), from_runs(ask(Toy()), runs)).kept
    first, second = named_results(by_seed[0], str(kept), runs, measured)
    assert sorted(first.seeds) == sorted(second.seeds) == [0, 1, 2]


def test_the_interval_of_a_column_covers_its_mean_and_that_of_one_item_a_seed_is_over_seeds(results):
    found = column_interval(results, "added", "value")
    assert found.low < found.estimate < found.high and found.n == 3
    for seed, result in results.seeds.items():
        result.items["added"]["value"] = np.array([float(seed)])
    found = column_interval(results, "added", "value")
    assert (found.low, found.estimate, found.high) == (0.0, 1.0, 2.0)


def test_kept_results_are_reported_again_without_their_runs(results, notebook):
    question = ask(Toy())
    with pytest.raises(RunError, match="has no finished run at size laptop"):
        from_runs_or_kept(question, [], notebook)
    first = report_into(notebook, Toy(), results)
    again = report_into(notebook, Toy(), from_runs_or_kept(question, [], notebook))
    assert again.judgements == first.judgements and again.page.read_text() == first.page.read_text()
