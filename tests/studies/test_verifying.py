"""A claim is stale where its cause changed and nowhere else; what lies in a notebook is held to its items."""

import json
import re
import shutil
from dataclasses import replace

import msgspec
import pytest

from glassbook.core.errors import EvidenceError
from glassbook.studies import reporting, staleness, verifying
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


def changed(path, change):
    """Write a JSON file anew, changed in place."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def take_last_arm_out(journal):
    """Leave the last finished cell out of a journal."""
    journal.write_text("".join(f"{line}\n" for line in journal.read_text().splitlines()[:-1]))


TAMPERED = {
    "seed 0 is missing": lambda kept: shutil.rmtree(kept / "seed-0"),
    "seed 1 is missing": lambda kept: shutil.rmtree(kept / "seed-1"),
    "verdict 'replicated' instead of None": lambda kept: shutil.rmtree(kept / "seed-2"),
    "its checksum differs": lambda kept: shutil.copyfile(
        kept / "seed-0/items/added.npz", kept / "seed-1/items/added.npz"
    ),
    "there is a judgement of 'planted', which is no claim": lambda kept: changed(
        kept / "judgements.json", lambda stored: stored.update(planted=stored["larger"])
    ),
    "is damaged .*bar_hash": lambda kept: changed(
        kept / "judgements.json", lambda stored: stored.update(larger={"verdict": "replicated"})
    ),
    "the picture 'means' is not what the items give": lambda kept: changed(
        kept / "views/means.json", lambda view: view["rows"][0].__setitem__(1, 9.0)
    ),
    "seed 0 has no items of the arm 'twice'": lambda kept: [
        take_last_arm_out(path) for path in kept.glob("seed-*/cells.jsonl")
    ],
    "a run that is failed": lambda kept: changed(
        kept / "seed-1/run.json", lambda record: record.update(status="failed")
    ),
    "was asked something else than the seeds beside it": lambda kept: changed(
        kept / "seed-2/run.json", lambda record: record["asked"]["config"]["settings"].update(items=41)
    ),
    "holds seed 1": lambda kept: shutil.copyfile(kept / "seed-1/run.json", kept / "seed-2/run.json"),
}


@pytest.mark.parametrize("fault", TAMPERED)
def test_what_was_tampered_with_is_a_fault_of_its_place(notebook, fault):
    TAMPERED[fault](notebook / "entries/studies/toy/laptop")
    found = the_toy(notebook)[1]
    assert any(re.search(fault, one) for one in found.faults) and not found.holds


def with_claims(kept, monkeypatch, claims):
    """Let the toy study make other claims than those that its runs were begun with."""
    found = msgspec.structs.replace(kept.claims, claims=tuple(claims))
    for module in (reporting, verifying):
        monkeypatch.setattr(module, "read_claims", lambda path: found)


def test_a_bar_moved_after_the_verdict_is_refused_and_no_new_run_lets_it_pass(notebook, monkeypatch, tmp_path):
    kept, _ = the_toy(notebook)
    with_claims(kept, monkeypatch, [replace_bar(one) if one.id == "larger" else one for one in kept.claims.claims])
    found = the_toy(notebook)[1]
    assert found.stale and not found.can_be_measured
    assert found.faults[0].startswith("the bar of 'larger' was changed after its runs began")
    # With new runs the moved bar would be written down before them, and their numbers are known already.
    with pytest.raises(EvidenceError, match="holds a verdict on the claim 'larger' by another bar"):
        report_into(notebook, Toy(), kept.results)


def test_a_claim_that_its_runs_announced_cannot_be_dropped(notebook, monkeypatch):
    kept, found = the_toy(notebook)
    assert found.holds
    with_claims(kept, monkeypatch, kept.claims.claims[:1])
    assert "the claim 'twice-as-large' was announced" in the_toy(notebook)[1].faults[0]
    with pytest.raises(EvidenceError, match="'twice-as-large' was announced"):
        report_into(notebook, Toy(), kept.results)


def test_stale_results_can_be_measured_again_and_tampered_ones_are_not(notebook, monkeypatch):
    monkeypatch.setattr(Question, "code", lambda self: "f" * 64)
    assert the_toy(notebook)[1].can_be_measured
    shutil.rmtree(notebook / "entries/studies/toy/laptop/seed-1")
    assert not the_toy(notebook)[1].can_be_measured
