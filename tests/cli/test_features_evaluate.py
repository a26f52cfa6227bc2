"""`glassbook features evaluate`: what it keeps, says and records, and what it refuses."""

import json

import pytest

from features.spliced import words
from glassbook.features import open_evaluation, save_dictionary
from glassbook.models.loading.opening import open_model
from glassbook.runs import read_run
from glassbook.runs.index import find_run


@pytest.fixture
def folder(tiny, tmp_path):
    """Return the folder of a dictionary of the tiny model's middle stream."""
    return save_dictionary(tmp_path / "dictionary", words(open_model(tiny), "jumprelu"))


def test_the_numbers_are_kept_beside_the_dictionary_shown_and_recorded(cli, tiny, folder, tmp_path):
    ask = ["features", "evaluate", folder, "--model", tiny, "--corpus", "alice", "--tokens", 500, "--loss-contexts", 3]
    said = cli(*ask, "--json", "--saebench", tmp_path / "core.json").json()
    kept = open_evaluation(folder)
    assert {name: said[name] for name in kept if name != "dictionary"} == {
        k: v for k, v in kept.items() if k != "dictionary"
    }
    run = read_run(find_run(said["run"]).folder)
    assert run.status == "done" and {one["name"]: one["value"] for one in run.metrics()}["fvu"] == said["fvu"]
    core = json.loads((tmp_path / "core.json").read_text())
    assert core["eval_type_id"] == "core" and core["eval_result_metrics"]["sparsity"]["l0"] == said["l0"]
    printed = cli(*ask)
    assert printed.status == 0 and "CE score, against zero" in printed.out and f"{said['fvu']:.4f}" in printed.out
    bare = cli(*ask[:-1], 0)
    assert bare.status == 0 and "CE score" not in bare.out


def test_what_cannot_be_measured_is_one_sentence_and_keeps_nothing(cli, tiny, folder, tmp_path, monkeypatch):
    ask = ["features", "evaluate", folder, "--model", tiny, "--tokens", 300]
    for wrong in (
        ["--corpus", "nowhere"],
        ["--store", tmp_path],
        ["--site", "L9.resid_post"],
        ["--site", "L0.mlp_post"],
    ):
        assert cli(*ask, *wrong).is_one_sentence(), wrong
    assert cli("features", "evaluate", tmp_path, "--model", tiny).is_one_sentence()

    def stopped(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("glassbook.features.evaluating.evaluate", stopped)
    said = cli(*ask)
    assert said.status == 130 and "begins it again" in said.err and not (folder / "evaluation.json").exists()
