"""`glassbook study`: lists, runs, reports and compares, for people and for programs."""

import subprocess
import sys

import pytest

from glassbook.cli.study_progress import StudyProgress, spelled
from glassbook.studies import running
from glassbook.studies.cells import Moment
from glassbook.studies.running import find
from studies.toy.study import Toy


@pytest.fixture
def notebook(tmp_path):
    """A notebook around the test's working folder."""
    (tmp_path / "glassbook.toml").write_text('title = "Notes"\n')
    return tmp_path


def test_the_list_tells_paper_claims_runs_and_what_is_kept(cli, notebook):
    find("toy").run_all()
    assert cli("study", "report", "toy").status == 0
    (row,) = [one for one in cli("study", "list", "--json").json()["studies"] if one["name"] == "toy"]
    assert row["paper"] == "nobody2026" and row["claims"] == 2
    assert row["runs"]["laptop"] == row["kept"]["laptop"] == [0, 1, 2] and row["runs"]["smoke"] == []
    said = cli("study", "list").out
    assert "toy" in said and "laptop (3 seeds)" in said


def test_away_from_a_notebook_the_list_shows_what_was_run(cli):
    find("toy").run("smoke")
    (row,) = [one for one in cli("study", "list", "--json").json()["studies"] if one["name"] == "toy"]
    assert row["runs"]["smoke"] == [0] and row["kept"]["laptop"] == []
    assert cli("study", "list", "--notebook", "nowhere").is_one_sentence()


def test_a_run_measures_every_seed_says_how_far_it_is_and_goes_on_without_measuring_again(cli):
    first = cli("study", "run", "toy", "--json")
    assert sorted(first.json()["runs"]) == ["0", "1", "2"] and first.json()["current"] is True
    assert "seed 0: nothing done (cell 1 of 12" in first.err and " left)" in first.err
    assert "seed 2: twice done (cell 12 of 12)" in first.err
    again = cli("study", "run", "toy", "--json")
    assert again.json()["runs"] == first.json()["runs"] and again.err == ""
    assert cli("study", "run", "toy", "--seed", 1, "--again", "--json").json()["runs"]["1"] != first.json()["runs"]["1"]


def test_a_run_prints_every_column_by_seed(cli):
    said = cli("study", "run", "toy").out
    lines = [line.split() for line in said.splitlines()]
    assert lines[0] == ["arm", "column", "items", "mean", "interval", "seed", "0", "seed", "1", "seed", "2"]
    assert sum(line[:2] == ["added", "value"] for line in lines if len(line) > 2) == 1
    assert "'glassbook study report toy --size laptop' judges the claims" in said


def test_a_smoke_run_prints_no_verdict_and_is_not_kept(cli, notebook):
    said = cli("study", "run", "toy", "--size", "smoke")
    assert "has no verdict" in said.out and "replicated" not in said.out
    assert "judgements" not in cli("study", "run", "toy", "--size", "smoke", "--json").json()
    assert cli("study", "report", "toy", "--size", "smoke").is_one_sentence()


def test_a_report_prints_paper_beside_ours_with_baseline_control_and_every_seed(cli, notebook):
    find("toy").run_all()
    said = cli("study", "report", "toy")
    assert said.status == 0
    row = next(line for line in said.out.splitlines() if line.startswith("larger "))
    assert row.split()[1:3] == ["1", "1"] and row.endswith("replicated") and row.split().count("1") >= 5
    assert "not checked" in next(line for line in said.out.splitlines() if line.startswith("twice-as-large "))
    assert "Replicated: " in said.out and str(notebook / "entries" / "studies" / "toy" / "laptop") in said.out
    document = cli("study", "report", "toy", "--json").json()
    assert document["judgements"]["larger"]["verdict"] == "replicated"
    assert sorted(document["judgements"]["larger"]["each_seed"]) == ["0", "1", "2"]


def test_a_report_of_fewer_than_three_seeds_gives_no_verdict(cli, notebook):
    assert cli("study", "run", "toy", "--seeds", 2).status == 0
    said = cli("study", "report", "toy").out
    assert "No verdict: 2 seeds measured" in said
    row = next(line for line in said.splitlines() if line.startswith("larger "))
    assert row.endswith("none")


def test_a_report_of_the_headline_says_which_claims_were_not_measured(cli, notebook):
    assert cli("study", "run", "toy", "--only", "headline").status == 0
    said = cli("study", "report", "toy").out
    assert "only the headline was run" in said and "larger" in said


def test_a_report_of_older_settings_says_that_they_are_older(cli, notebook, monkeypatch):
    find("toy").run_all()
    assert "run the study again" not in cli("study", "report", "toy").out
    monkeypatch.setitem(Toy.settings, "laptop", type(Toy.settings["laptop"])(strength=2.0))
    said = cli("study", "report", "toy")
    assert "measured with other settings, bars or code than there are now" in said.out
    assert cli("study", "report", "toy", "--json").json()["current"] is False


def test_a_comparison_tells_what_moved_and_equal_results_did_not(cli, monkeypatch):
    before = find("toy").run_all()
    monkeypatch.setitem(Toy.settings, "laptop", type(Toy.settings["laptop"])(strength=3.0))
    after = find("toy").run_all()
    found = cli("study", "compare", "toy", before[0].id, after[0].id, "--json").json()
    moved = {(one["arm"], one["column"]) for one in found["columns"] if one["moved"]}
    assert ("added", "value") in moved and ("nothing", "value") not in moved
    assert {one["claim"]: one["moved"] for one in found["claims"]} == {"larger": True, "twice-as-large": True}
    said = cli("study", "compare", "toy", before[0].id, after[0].id).out
    assert "same bits" in said and "larger moved: 1 -> 3, replicated -> replicated" in said
    assert "0 of 8 columns moved" in cli("study", "compare", "toy", before[0].id, before[0].id).out


def test_size_gpu_without_a_gpu_is_refused_in_one_sentence(cli, monkeypatch):
    monkeypatch.setattr(running.torch.cuda, "is_available", lambda: False)
    answer = cli("study", "run", "toy", "--size", "gpu")
    assert answer.is_one_sentence() and "CUDA" in answer.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "toi"], "'toy'"),
        (["run", "toy", "--size", "huge"], "'huge'"),
        (["run", "toy", "--only", "tail"], "headline"),
        (["run", "toy", "--seeds", "2", "--seed", "1"], "--seed"),
        (["report", "toy"], "glassbook.toml"),
        (["compare", "toy", "x", "y"], "'x'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(cli, arguments, named):
    answer = cli("study", *arguments)
    assert answer.is_one_sentence() and named in answer.err


def test_a_report_without_runs_says_how_to_make_them(cli, notebook):
    answer = cli("study", "report", "toy")
    assert answer.is_one_sentence() and "glassbook study run toy --size laptop" in answer.err


def test_ctrl_c_is_said_and_what_was_finished_is_kept(cli, monkeypatch):
    with monkeypatch.context() as stopping:
        stopping.setattr(Toy, "sources", lambda self, settings: (_ for _ in ()).throw(KeyboardInterrupt))
        assert cli("study", "run", "toy").status == 130
    assert cli("study", "run", "toy", "--seed", 0).status == 0


def test_the_time_left_follows_what_each_arm_took_before():
    shown: list[str] = []
    progress = StudyProgress(["short", "long"], [0, 1], {"short": 1.0, "long": 3.0}, None)
    progress._say = lambda moment, what, left: shown.append((moment.arm, progress._share(moment)))
    for seed in (0, 1):
        progress.begin(seed)
        for number, arm in enumerate(("short", "long")):
            progress.see(Moment(seed, arm, number, 2, 0.0))
            progress.see(Moment(seed, arm, number, 2, 1.0))
    assert shown == [("short", 0.125), ("long", 0.5), ("short", 0.625), ("long", 1.0)]


def test_a_time_is_spelled_as_people_say_it():
    assert [spelled(seconds) for seconds in (4.4, 89, 91, 3600 * 2)] == ["4 s", "89 s", "2 min", "2.0 h"]


def test_listing_studies_needs_no_torch():
    code = "import sys; from glassbook.cli.app import run; run(['study', 'list']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
