"""A claim is stale where its cause changed and nowhere else; what lies in a notebook is held to its items."""

import json
import shutil
from dataclasses import replace

import msgspec
import pytest

from glassbook.studies import staleness
from glassbook.studies.question import Question, ask
from glassbook.studies.records import stored_runs
from glassbook.studies.reporting import report_into
from glassbook.studies.results import from_runs
from glassbook.studies.running import Asker, find
from glassbook.studies.verifying import inspect, kept_studies, measure_again, page_findings
from studies.toy.study import Settings, Toy


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of Runs of three seeds of the toy study."""
    root = tmp_path_factory.mktemp("runs")
    find("toy").run_all(root=root)
    return root


@pytest.fixture(scope="module")
def reported(measured, tmp_path_factory):
    """A notebook that keeps the toy study's results, for all tests to copy."""
    place = tmp_path_factory.mktemp("notebook")
    (place / "glassbook.toml").write_text('title = "Notes"\n')
    report_into(place, Toy(), from_runs(ask(Toy()), stored_runs(measured)))
    return place


@pytest.fixture
def notebook(reported, tmp_path):
    """The test's own copy of that notebook."""
    return shutil.copytree(reported, tmp_path / "notebook")


def the_toy(notebook):
    """Return what verifying the toy study's kept results finds."""
    [kept] = kept_studies(notebook, ["toy"])
    return kept, inspect(kept, notebook)


def causes(notebook):
    """Return the causes of every stale claim."""
    return {one.claim: one.causes for one in the_toy(notebook)[1].stale}


def test_results_just_kept_hold_and_nothing_is_stale(notebook):
    kept, found = the_toy(notebook)
    assert (kept.place, found.stale, found.faults, found.holds) == ("toy/laptop", [], [], True)
    assert page_findings(notebook) == []


# That a comment or a docstring changes no hash of code, and a number does, is held by tests/runs/test_code_hash.py.
def test_other_code_makes_every_claim_of_the_study_stale(notebook, monkeypatch):
    monkeypatch.setattr(Question, "code", lambda self: "f" * 64)
    assert causes(notebook) == {"larger": ("code",), "twice-as-large": ("code",)}


def test_other_settings_make_every_claim_stale(notebook, monkeypatch):
    monkeypatch.setitem(Toy.settings, "laptop", replace(Settings(), strength=2.0))
    assert causes(notebook) == {"larger": ("settings",), "twice-as-large": ("settings",)}


def test_other_data_makes_the_claims_stale_whose_arms_have_read_it(notebook, monkeypatch):
    monkeypatch.setattr(Toy, "rows_now", "b" * 64)
    assert causes(notebook) == {"larger": ("numbers",), "twice-as-large": ("numbers",)}
    path = notebook / "entries/studies/toy/laptop"
    for journal in path.glob("seed-*/cells.jsonl"):
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        read = [line | {"data": line["data"] if line["arm"] == "twice" else []} for line in lines]
        journal.write_text("".join(json.dumps(line) + "\n" for line in read))
    assert causes(notebook) == {"twice-as-large": ("numbers",)}, "only one claim rests on the arm that read it"


def test_data_that_an_earlier_arm_read_is_a_cause_too(notebook, monkeypatch):
    kept, _ = the_toy(notebook)
    question = staleness.question_of(kept.study, kept.results)
    assert staleness._with_earlier(question, {"twice"}) == {"twice", "added", "nothing"}
    assert staleness._with_earlier(question, {"random"}) == {"random", "nothing"}


def test_another_bar_makes_its_own_claim_stale_alone(notebook):
    kept, _ = the_toy(notebook)
    claims = [replace_bar(claim) if claim.id == "larger" else claim for claim in kept.claims.claims]
    found = staleness.stale_claims(kept.study, kept.results, claims)
    assert {one.claim: one.causes for one in found} == {"larger": ("bar",)}


def replace_bar(claim):
    """Return a claim that asks for a little more."""
    return msgspec.structs.replace(claim, bar=0.6)


def test_a_verdict_edited_by_hand_is_found(notebook):
    path = notebook / "entries/studies/toy/laptop/judgements.json"
    stored = json.loads(path.read_text())
    stored["larger"]["verdict"] = "not replicated"
    path.write_text(json.dumps(stored))
    faults = the_toy(notebook)[1].faults
    assert any(
        "the judgement of 'larger' is not what its items give: verdict 'not replicated'" in one for one in faults
    )


def test_a_page_edited_by_hand_is_found_and_so_is_one_that_states_a_wrong_number(notebook):
    page = notebook / "entries/studies/toy.md"
    page.write_text(page.read_text() + "\nAnd it is beautiful.\n")
    assert the_toy(notebook)[1].faults == [
        "the page 'toy.md' is not what its results and its text make; write it with `glassbook study report toy`"
    ]
    note = notebook / "entries/note.md"
    note.write_text("Adding moves it by [1.0](run:toy/laptop#larger.estimate), I found.\n")
    assert page_findings(notebook) == []
    note.write_text("Adding moves it by [1.5](run:toy/laptop#larger.estimate), I found.\n")
    [found] = page_findings(notebook)
    assert (found.place, found.holds) == ("entries/note.md", False)


def test_measuring_again_says_what_moved(notebook, monkeypatch, tmp_path_factory):
    kept, _ = the_toy(notebook)
    root = tmp_path_factory.mktemp("again")
    assert [one.moved for one in measure_again(kept, notebook, Asker(root=root))] == [False, False]
    monkeypatch.setitem(Toy.settings, "laptop", replace(Settings(), strength=2.0))
    kept, found = the_toy(notebook)
    assert len(found.stale) == 2
    moves = measure_again(kept, notebook, Asker(root=root))
    assert [(one.claim, one.moved) for one in moves] == [("larger", True), ("twice-as-large", True)]
    assert the_toy(notebook)[1].holds, "what was kept anew is not stale"
