"""`glassbook train`: from a text and a configuration to a model that every other verb opens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

import glassbook as gb
from glassbook.runs import find_run
from glassbook.views.view import read_view

SMALL = ("--n-layers", 1, "--d-model", 16, "--n-heads", 2, "--context", 16, "--batch", 4)
TEXT = "It was the best of times, it was the worst of times. " * 40


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Return a small text in a file."""
    path = tmp_path / "times.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def weights(folder: str | Path) -> dict:
    """Return the tensors of a saved model."""
    return load_file(Path(folder) / "model.safetensors")


def equal(one: dict, other: dict) -> bool:
    """Return whether two sets of weights are the same bits."""
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def test_a_text_becomes_a_model_that_opens_and_its_run_keeps_curves_and_page(cli, text, tmp_path):
    asked = ("train", text, *SMALL, "--steps", 40, "--lr", 0.02, "--out", "small", "--json")
    answer = cli(*asked)
    assert answer.status == 0, answer.err
    found = answer.json()
    model = gb.open_model(tmp_path / "small")
    assert model.identity.to_dict() == found["identity"]
    assert model.identity.name == "small"
    assert model.tokenizer.encode("It was") == [sorted(set(TEXT)).index(one) for one in "It was"]
    assert cli("generate", "small", "It was", "--max-new-tokens", 5).out.strip()
    assert "'é'" in cli("generate", "small", "é").err
    # It learned: better than frequencies alone, which are what a network without weights of use could know.
    assert found["validation"]["nats_per_token"] < found["unigram_nats_per_token"]
    run = find_run(found["run"])
    assert run.status == "done" and run.faults() == []
    assert run.record["weights"] == found["identity"]
    assert run.record["data"][0]["name"] == "times.txt"
    assert not (run.folder / "checkpoints").exists()
    chart = read_view((run.folder / "views" / "loss.json").read_bytes())
    assert [len(one.x) for one in chart.series] == [40, 21]
    assert "small, trained on" in Path(found["report"]).read_text()
    # The same again is the same; another seed is not.
    assert equal(weights("small"), weights(cli(*asked[:-2], "again", "--json").json()["model"]))
    assert not equal(weights("small"), weights(cli(*asked[:-2], "other", "--seed", 1, "--json").json()["model"]))


def test_a_configuration_gives_what_the_options_leave_out(cli, text, tmp_path):
    (tmp_path / "own.toml").write_text(
        'text = "times.txt"\narchitecture = "llama"\ntokenizer = "byte-bpe"\nd_vocab = 280\nsteps = 3\n'
        "n_layers = 1\nd_model = 16\nn_heads = 2\ncontext = 16\nbatch = 4\n"
    )
    found = cli("train", "--config", "own.toml", "--steps", 2, "--json").json()
    assert found["config"]["steps"] == 2
    assert found["d_vocab"] == 280
    model = gb.open_model(found["model"])
    assert type(model.net).__name__ == "Llama"
    assert model.to_string(model.to_tokens("wörst")[0]) == "wörst"
    # Control: without the file, the defaults hold.
    assert cli("train", text, *SMALL, "--steps", 1, "--json").json()["config"]["architecture"] == "gpt2"


STOPPED = """
import os, signal, sys
import glassbook.cli.train_run as at_work
from glassbook.cli.app import run
step = at_work.LanguageLearner.step
def stopping(self, batch):
    if self.steps == 7:
        os.kill(os.getpid(), signal.SIGINT)
    return step(self, batch)
at_work.LanguageLearner.step = stopping
sys.exit(run(sys.argv[1:]))
"""


def test_after_ctrl_c_resume_goes_on_to_the_same_weights(cli, text):
    asked = [str(one) for one in ("train", text, *SMALL, "--steps", 20)]
    stopped = subprocess.run([sys.executable, "-c", STOPPED, *asked], capture_output=True, text=True, timeout=120)
    assert stopped.returncode == 130
    assert "go on with: glassbook train --resume" in stopped.stderr
    run = find_run(stopped.stderr.split("--resume ")[1].split()[0])
    assert run.status == "interrupted"
    assert sorted(path.name for path in (run.folder / "checkpoints").iterdir()) == ["step-000000007", "step-000000008"]
    assert "options of the run" in cli("train", "--resume", run.id, "--steps", 30).err
    text.write_text(TEXT + "But no longer.", encoding="utf-8")
    assert "is no longer what the run began with" in cli("train", "--resume", "latest").err
    text.write_text(TEXT, encoding="utf-8")
    resumed = cli("train", "--resume", "latest", "--json").json()
    assert resumed["run"] == run.id
    whole = cli(*asked, "--json").json()
    assert equal(weights(resumed["model"]), weights(whole["model"]))
    assert resumed["validation"] == whole["validation"]
    assert cli("train", "--resume", run.id).is_one_sentence()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "no text was given"),
        (("nothing.txt",), "'nothing.txt' is neither a known corpus nor a .txt"),
        (("empty.txt",), "the text 'empty.txt' is empty"),
        (("times.txt", "--context", 5000), "too short: 1908 of its tokens are to learn from and 212"),
        (("times.txt", "--context", 300), "and 212 for validation, and one window is 300"),
        (("times.txt", "--config", "wrong.toml"), "unknown field 'n_layer'; did you mean 'n_layers'?"),
        (("times.txt", "--config", "none.toml"), "no configuration 'none.toml'"),
        (("times.txt", "--config", "times.txt"), "is no TOML"),
        (("times.txt", "--config", "words.toml"), "steps cannot be used (expected `int`, got `str`)"),
        (("times.txt", "--steps", 0), "steps cannot be used (expected `int` >= 1)"),
        (("times.txt", "--lr", -1), "lr cannot be used"),
        (("times.txt", "--lr", 0.1, "--min-lr", 0.2), "a rate cannot go from 0.1 down to 0.2"),
        (("times.txt", "--n-heads", 3), "3 heads do not divide"),
        (("times.txt", "--architecture", "rnn"), "'rnn' cannot be trained anew"),
        (("times.txt", "--tokenizer", "nosuch"), "no model is named 'nosuch'"),
        (("times.txt", "--tokenizer", "byte-bpe", "--d-vocab", 20), "20 tokens cannot hold 256 bytes"),
        (("times.txt", "--out", "taken"), "taken' is there already"),
        (("times.txt", "--device", "tpu0"), "the device 'tpu0' cannot be used"),
        (("times.txt", "--dtype", "int8"), "'int8' is not a precision to train in"),
        (("times.txt", "--distributed", "ddp"), "start it with 'torchrun"),
        (("--resume", "nosuch"), "no run is called 'nosuch'"),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_sentence_and_no_run_is_begun(cli, text, tmp_path, options, said):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("kept")
    (tmp_path / "wrong.toml").write_text("n_layer = 2\n")
    (tmp_path / "words.toml").write_text('steps = "many"\n')
    answer = cli("train", *options)
    assert answer.is_one_sentence(), answer.err
    assert said in answer.err
    assert not list((tmp_path / "runs").glob("*-train-*"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_torchrun_with_two_processes_trains_the_model_of_one(cli, text, tmp_path, kind):
    asked = [str(one) for one in ("train", text, *SMALL, "--steps", 6)]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, "-m", "glassbook.cli", *asked, "--distributed", kind, "--out", "two"],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").glob("*-train-*"))) == 1
    one, two = weights(cli(*asked, "--json").json()["model"]), weights("two")
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 2e-5
    assert gb.open_model(tmp_path / "two").generate("It was", max_new_tokens=3)
