"""`glassbook features train`: what it leaves, and that the same command goes on where one was cut short."""

import json

import pytest

import glassbook.cli.features_train_run as run_room
from glassbook.features import open_dictionary
from glassbook.runs.index import find_run, list_runs

SMALL = ["--site", "L1.resid_post", "--context", "16", "--tokens", "1024", "--batch-size", "64", "--dtype", "float32"]


@pytest.fixture
def text(tmp_path):
    """Return a file of documents."""
    path = tmp_path / "text.jsonl"
    rows = [{"text": f"document {number}: " + "some words of its own " * 4} for number in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_sweep_from_one_pass_leaves_dictionaries_a_page_and_a_run(cli, tiny, text, tmp_path):
    ask = ["features", "train", tiny, text, *SMALL, "--features", "64", "--kind", "topk", "--kind", "standard"]
    said = cli(*ask, "--k", "4", "--k", "8", "--sparsity", "0.1", "--out", tmp_path / "out", "--json").json()
    names = [one["name"] for one in said["dictionaries"]]
    assert names == ["topk-64-k4", "topk-64-k8", "standard-64-sparsity0.1"]
    for one in said["dictionaries"]:
        facts = open_dictionary(one["folder"]).facts
        assert (
            facts["run"] == said["run"] and facts["weights"]["fingerprint"] and facts["corpus"]["name"] == "text.jsonl"
        )
    stored = find_run(said["run"])
    assert stored.status == "done" and {"fvu", "l0", "dead", "loss", "frontier"} <= stored.views().keys()
    assert stored.report and not (stored.folder / "checkpoints").exists()


def test_the_same_command_goes_on_after_ctrl_c_to_the_same_bits(cli, tiny, text, tmp_path, monkeypatch):
    ask = ["features", "train", tiny, text, *SMALL, "--features", "64", "--k", "4", "--checkpoint-every", "2", "--out"]
    assert cli(*ask, tmp_path / "whole").status == 0
    plain = run_room.train_many

    def stopped(rows, wanted, running, widths):
        def stop(now):
            if now.step == 9:
                raise KeyboardInterrupt

        return plain(rows, wanted, type(running)(**vars(running) | {"progress": stop}), widths)

    monkeypatch.setattr(run_room, "train_many", stopped)
    said = cli(*ask, tmp_path / "cut")
    assert said.status == 130 and "a checkpoint is kept; go on with: glassbook features train" in said.err
    monkeypatch.setattr(run_room, "train_many", plain)
    again = cli(*ask, tmp_path / "cut")
    assert again.status == 0 and "going on with the run" in again.err
    assert len(list_runs(kind="features-train")) == 2
    whole, cut = ((tmp_path / name / "dictionary.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--kind", "standard", "--k", "4"], "no dictionary that is asked for has 'k'"),
        (["--setting", "norms"], "is no setting; write NAME=VALUE"),
        (["--kind", "omp"], "searches in the directions of a dictionary"),
        (["--mend", "pray"], "--mend pray is unknown"),
        (["--store", "elsewhere"], "name a MODEL and a CORPUS that it reads, or the --store"),
        (["--tokens", "10"], "10 tokens make no batch of 64"),
        (["--save-dtype", "int8"], "no precision to save in"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_and_begins_no_run(cli, tiny, text, tmp_path, changes, words):
    said = cli("features", "train", tiny, text, *SMALL, "--features", "64", "--out", tmp_path / "out", *changes)
    assert said.is_one_sentence() and words in said.err
    assert list_runs(kind="features-train") == [] and not (tmp_path / "out").exists()


def test_a_store_with_one_site_needs_none_named_and_one_with_several_does(cli, tiny):
    small = ["--features", 32, "--k", 2, "--batch-size", 64]
    for name, sites in (("one", ["L1.resid_post"]), ("two", ["L0.resid_post", "L1.resid_post"])):
        asked = [word for site in sites for word in ("--site", site)]
        assert (
            cli("features", "harvest", tiny, "alice", *asked, "--tokens", 300, "--context", 32, "--out", name).status
            == 0
        )
    assert cli("features", "train", "--store", "one", *small, "--out", "made").status == 0
    assert open_dictionary("made").facts["site"] == "L1.resid_post"
    refused = cli("features", "train", "--store", "two", *small, "--out", "other")
    assert refused.is_one_sentence() and "holds L0.resid_post, L1.resid_post; choose by --site" in refused.err
    assert "say by --site" in cli("features", "train", tiny, "alice", *small, "--out", "other").err


def test_a_training_that_ran_away_is_called_so(cli, tiny):
    ask = ["features", "train", tiny, "alice", "--site", "L1.resid_post", "--tokens", 512, "--batch-size", 64]
    ask += ["--context", 32, "--features", 32, "--k", 2]
    told, usual = cli(*ask, "--lr", 1e6, "--out", "far"), cli(*ask, "--out", "near")
    assert told.status == 0 and "less than the mean alone would" in told.err
    assert "less than the mean" not in usual.err
