"""`glassbook runs` tells what run folders hold, and says where one was altered."""

import json

import pytest

from glassbook.runs.record import start_run
from glassbook.views.table import Table


@pytest.fixture
def three():
    """Three finished runs, oldest first: the last one has a report."""
    made = []
    for kind in ("capture", "steer", "steer"):
        with start_run(kind, ["glassbook", kind, "a b"], {"kind": kind, "n": len(made)}, seed=len(made)) as run:
            run.metric("shift", 0.25 * len(made), "nats")
            with run.part("work"):
                run.save_view("table", Table(title="t", caption="c", columns=["a"], rows=[["b"]]))
            if len(made) == 2:
                run.save_report("<!doctype html><title>x</title>")
        made.append(run)
    return made


def test_the_list_holds_every_run_and_the_kind_narrows_it(cli, three):
    said = cli("runs", "list", "--json").json()["runs"]
    assert {row["id"] for row in said} == {run.id for run in three}
    assert {row["id"] for row in cli("runs", "list", "--kind", "steer", "--json").json()["runs"]} == {
        run.id for run in three[1:]
    }
    assert len(cli("runs", "list", "--limit", 1, "--json").json()["runs"]) == 1
    lines = cli("runs", "list").out.splitlines()
    assert lines[0].split() == ["run", "status", "weights", "s", "report"]
    assert len(lines) == 4 and sum(line.endswith("yes") for line in lines) == 1


def test_an_empty_root_says_so_and_json_is_an_empty_list(cli, tmp_path):
    ask = ["runs", "list", "--root", tmp_path / "none"]
    assert "There are no runs in" in cli(*ask).out
    assert cli(*ask, "--json").json()["runs"] == []


def test_show_tells_what_was_asked_what_it_cost_and_what_came_out(cli, three):
    run = three[1]
    said = cli("runs", "show", run.id, "--json").json()
    assert said["record"]["asked"]["seed"] == 1
    assert said["metrics"][0]["value"] == 0.25
    assert {"run.json", "manifest.json", "metrics.jsonl", "views/table.json"} <= set(said["files"])
    assert said["faults"] == []
    out = cli("runs", "show", run.id[-6:]).out
    assert "glassbook steer 'a b'" in out and "work" in out and "0.25" in out and "nats" in out


def test_an_altered_run_is_shown_with_its_fault_and_status_1(cli, three):
    assert cli("runs", "show", three[0].id).status == 0
    (three[0].folder / "views" / "table.json").write_text("{}")
    answer = cli("runs", "show", three[0].id, "--json")
    assert answer.status == 1
    assert ["views/table.json" in fault for fault in answer.json()["faults"]] == [True]
    assert cli("runs", "show", three[1].id).status == 0


def test_a_run_under_way_has_no_manifest_yet_and_that_is_no_fault_of_it(cli):
    with start_run("steer", ["glassbook"], {}) as run:
        answer = cli("runs", "show", run.id, "--json")
    assert answer.status == 0
    assert answer.json()["status"] == "running"


def test_reindex_counts_the_folders_and_names_the_one_it_cannot_read(cli, three):
    assert cli("runs", "reindex").out.splitlines() == ["3 runs are in the index."]
    (three[0].folder / "run.json").write_text("{")
    answer = cli("runs", "reindex", "--json")
    assert answer.status == 1
    assert answer.json()["runs"] == 2
    assert three[0].id in answer.json()["faults"][0]


def test_open_prints_the_path_and_opens_a_browser_only_where_there_is_a_display(cli, three, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    report = three[2].folder / "report.html"
    assert cli("runs", "open", three[2].id).out.strip() == str(report)
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert json.loads(cli("runs", "open", three[2].id, "--json").out)["opened"] is True
    assert opened == [report.resolve().as_uri()]
    assert cli("runs", "open", three[2].id, "--no-browser", "--json").json()["opened"] is False


def test_latest_names_the_newest_run(cli, three):
    newest = cli("runs", "list", "--json").json()["runs"][0]["id"]
    assert cli("runs", "show", "latest", "--json").json()["id"] == newest


def test_a_run_without_report_and_a_name_of_several_runs_are_refused_in_a_sentence(cli, three):
    missing = cli("runs", "open", three[0].id)
    assert missing.is_one_sentence() and "made no report" in missing.err
    several = cli("runs", "show", three[0].id[:4])
    assert several.is_one_sentence() and "3 runs are called" in several.err


def test_root_is_where_it_looks(cli, three, tmp_path):
    elsewhere = cli("runs", "show", three[0].id, "--root", tmp_path / "elsewhere")
    assert elsewhere.is_one_sentence()
    assert cli("runs", "show", three[0].id, "--root", three[0].folder.parent).status == 0
