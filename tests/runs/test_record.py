"""A run's folder tells what was asked, on what, what it cost, how it ended, and holds all that came out."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import GlassbookError, RunError
from glassbook.files.safetensors import open_safetensors
from glassbook.runs import find_run, list_runs, read_run, start_run
from glassbook.runs.record import STATUSES
from glassbook.views import Table

TABLE = Table(title="t", caption="c", columns=["a", "n"], rows=[["x", float("nan")]])


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "runs"


def begin(root, kind="steer", **more):
    return start_run(kind, ["glassbook", kind, "a b"], {"strength": 4.0}, root=root, **more)


def test_a_run_that_ends_well_is_whole_and_says_what_was_asked(root):
    with begin(root, seed=7, modules=["glassbook.core.sites"]) as run:
        run.note_weights({"name": "tiny", "fingerprint": "ab"})
        run.note_data("texts", "00ff", 12, "CC0")
        run.note_hardware({"gpu": "none"})
    stored = read_run(run.folder)
    assert (stored.status, stored.kind, stored.record["error"]) == ("done", "steer", None)
    assert stored.record["asked"]["command"] == ["glassbook", "steer", "a b"]
    assert stored.record["asked"]["config"] == {"strength": 4.0} and stored.record["asked"]["seed"] == 7
    assert re.fullmatch(r"[0-9a-f]{64}", stored.record["code"]["sha256"])
    assert stored.record["weights"]["fingerprint"] == "ab"
    assert stored.record["data"] == [{"name": "texts", "sha256": "00ff", "rows": 12, "licence": "CC0"}]
    assert stored.record["hardware"]["gpu"] == "none" and stored.record["hardware"]["cores"] == os.cpu_count()
    assert {"python", "torch", "numpy", "glassbook"} <= stored.record["versions"].keys()
    assert stored.faults() == []


def test_its_folder_is_named_by_time_kind_and_chance(root):
    with begin(root) as run:
        assert re.fullmatch(r"\d{8}T\d{6}Z-steer-[0-9a-f]{6}", run.folder.name)


def test_it_is_running_from_its_first_moment_and_has_no_manifest_before_its_end(root):
    with begin(root) as run:
        assert read_run(run.folder).status == "running"
        assert [row.status for row in list_runs(root)] == ["running"]
        assert not (run.folder / "manifest.json").exists()
        assert read_run(run.folder).metrics() == [] and (run.folder / "metrics.jsonl").exists()
    assert (run.folder / "manifest.json").exists()


def test_everything_saved_is_read_back(root):
    with begin(root) as run:
        run.metric("effect", 0.5, "nats", step=3)
        run.save_view("table", TABLE)
        run.save_json("result", {"n": 1, "ratio": float("inf")})
        run.save_text("completions", "I think ⏎")
        run.save_tensors("vector", [("v", "F32", (2,), np.array([1.0, 2.0], np.float32))], {"site": "L6.resid_pre"})
        run.save_report("<!doctype html><p>é</p>")
    stored = read_run(run.folder)
    assert [(row["name"], row["value"], row["unit"], row["step"]) for row in stored.metrics()] == [
        ("effect", 0.5, "nats", 3)
    ]
    assert stored.views() == {"table": TABLE}
    assert json.loads((run.folder / "artifacts/result.json").read_text()) == {"n": 1, "ratio": "Infinity"}
    assert (run.folder / "artifacts/completions.txt").read_text() == "I think ⏎"
    assert stored.report is not None and stored.report.read_text() == "<!doctype html><p>é</p>"
    with open_safetensors(run.folder / "artifacts/vector.safetensors") as file:
        assert file.read(file.tensors["v"]).tolist() == [1.0, 2.0]


@settings(max_examples=40)
@given(st.floats(allow_nan=True), st.text(), st.one_of(st.none(), st.integers(0, 2**40)))
def test_any_metric_comes_back_as_it_was(tmp_path_factory, value, name, step):
    with begin(tmp_path_factory.mktemp("runs")) as run:
        run.metric(name, value, step=step)
    (row,) = read_run(run.folder).metrics()
    assert (row["name"], row["step"]) == (name, step)
    assert repr(float(row["value"])) == repr(value)


def test_metrics_of_many_threads_stay_whole_lines(root):
    with begin(root) as run, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: run.metric("m", number, step=number), range(200)))
    assert sorted(row["step"] for row in read_run(run.folder).metrics()) == list(range(200))


def test_an_altered_file_is_named_and_an_unaltered_folder_is_not(root):
    with begin(root) as run:
        run.metric("effect", 0.5)
    assert read_run(run.folder).faults() == []
    metrics = run.folder / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace("0.5", "0.9"))
    assert read_run(run.folder).faults() == ["metrics.jsonl has the right size but another content"]


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (ValueError("first line\nsecond"), "failed", "ValueError: first line"),
        (KeyboardInterrupt(), "interrupted", "stopped by Ctrl-C"),
        (SystemExit(3), "failed", "SystemExit: 3"),
    ],
)
def test_a_run_that_ends_badly_says_so_and_keeps_everything(root, fault, status, said):
    with pytest.raises(type(fault)), begin(root) as run:
        run.metric("effect", 1.0)
        run.save_text("so-far", "x")
        raise fault
    stored = read_run(run.folder)
    assert (stored.status, stored.record["error"]) == (status, said)
    assert len(stored.metrics()) == 1 and (run.folder / "artifacts/so-far.txt").exists()
    assert stored.faults() == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "/etc/x", ".hidden", "a\x00b", "é", "a" * 81, "a\n"]
)
def test_a_name_that_could_leave_the_folder_is_refused(root, name):
    with begin(root) as run:
        for save in (run.save_text, run.save_json):
            with pytest.raises(RunError, match="cannot name a file of a run"):
                save(name, "x")
        with pytest.raises(RunError, match="cannot name a file of a run"):
            run.save_view(name, TABLE)
        run.save_text("a-good.name_1", "x")
    with pytest.raises(RunError, match="cannot name a kind of run"):
        begin(root, name).__enter__()
    assert {path.name for path in root.parent.iterdir()} <= {"runs"}


def test_saving_twice_under_one_name_is_refused_and_the_first_is_kept(root):
    with begin(root) as run:
        run.save_text("x", "first")
        with pytest.raises(RunError, match="already"):
            run.save_text("x", "second")
        run.save_json("x", "another kind of file")
    assert (run.folder / "artifacts/x.txt").read_text() == "first"


def test_a_run_that_has_ended_takes_nothing_more(root):
    with begin(root) as run:
        pass
    for late in (
        lambda: run.metric("m", 1),
        lambda: run.save_text("x", "y"),
        lambda: run.note_weights({}),
        lambda: run.save_report(""),
    ):
        with pytest.raises(RunError, match="has ended"):
            late()
    assert read_run(run.folder).faults() == []


def test_a_config_seed_or_module_that_cannot_be_recorded_leaves_no_folder(root):
    with pytest.raises(GlassbookError):
        start_run("steer", [], {"x": object()}, root=root).__enter__()
    with pytest.raises(RunError, match="does not fit into 64 bits"):
        begin(root, seed=2**63).__enter__()
    with pytest.raises(RunError, match=r"glassbook\.core\.sits"):
        begin(root, modules=["glassbook.core.sits"]).__enter__()
    assert not root.exists()


def test_numbers_in_a_config_that_json_cannot_write_become_words(root):
    with start_run("steer", [], {"x": float("nan"), "y": (1, 2)}, root=root) as run:
        pass
    assert read_run(run.folder).record["asked"]["config"] == {"x": "NaN", "y": [1, 2]}


def test_a_root_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be made"):
        begin(tmp_path / "file" / "runs").__enter__()


def test_parts_are_measured_and_add_up_to_less_than_the_whole(root):
    with begin(root) as run:
        with run.part("work", flop=5.0):
            sum(range(200_000))
        with pytest.raises(ValueError), run.part("broken"):
            raise ValueError
    cost = read_run(run.folder).record["cost"]
    work, broken = cost["parts"]
    assert (work["part"], work["flop"], broken["part"]) == ("work", 5.0, "broken")
    assert work["wall_s"] > 0 and work["wall_s"] + broken["wall_s"] <= cost["total"]["wall_s"]
    assert 0 < work["peak_bytes"] <= cost["total"]["peak_bytes"]


PROBE = """
import sys
from glassbook.runs import start_run
with start_run("steer", [], {}, root=sys.argv[1], modules=["glassbook.runs.record"]):
    pass
print("torch" in sys.modules)
"""


def test_recording_a_run_never_loads_torch(root):
    said = subprocess.run([sys.executable, "-c", PROBE, str(root)], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
    assert list_runs(root)[0].status == "done"


def test_a_run_whose_process_is_gone_is_killed_and_one_whose_process_lives_is_not(root):
    with begin(root) as run:
        pass
    record = json.loads((run.folder / "run.json").read_text()) | {"status": "running"}
    for process, status in (
        ({"pid": os.getpid(), "started": psutil.Process().create_time()}, "running"),
        ({"pid": os.getpid(), "started": psutil.Process().create_time() - 60}, "killed"),
        ({"pid": 2**22 + 1, "started": 0.0}, "killed"),
    ):
        (run.folder / "run.json").write_text(json.dumps(record | {"process": process}))
        assert read_run(run.folder).status == status


def test_a_run_that_was_killed_is_killed_before_its_parent_has_taken_notice(root):
    script = PROBE.replace("    pass", "    print('begun', flush=True); sys.stdin.read()")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"begun\n"
        assert [row.status for row in list_runs(root)] == ["running"]
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert [row.status for row in list_runs(root)] == ["killed"]


@settings(max_examples=20)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_damage_to_a_record_is_one_clear_error(tmp_path_factory, value):
    with begin(tmp_path_factory.mktemp("runs")) as run:
        run.note_weights({"name": "tiny"})
    path = run.folder / "run.json"
    record = json.loads(path.read_text())
    for key in record:
        path.write_text(json.dumps(record | {key: value}))
        try:
            stored = read_run(run.folder)
        except RunError as error:
            assert "is damaged" in str(error)
        else:
            assert stored.status in STATUSES
            assert [row.id for row in list_runs(run.folder.parent)] == [run.id]
    path.write_text(path.read_text()[:40])
    with pytest.raises(RunError, match="is damaged"):
        read_run(run.folder)


def test_a_folder_that_is_no_run_is_refused_by_name(tmp_path):
    with pytest.raises(RunError, match="is no run"):
        read_run(tmp_path)


def test_a_run_can_be_moved_to_another_root(root, tmp_path):
    with begin(root) as run:
        run.metric("m", 1.0)
    (tmp_path / "elsewhere").mkdir()
    shutil.move(run.folder, tmp_path / "elsewhere")
    assert find_run(run.id, tmp_path / "elsewhere").faults() == []
    assert list_runs(root) == []
