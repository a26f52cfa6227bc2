"""A training of dictionaries killed with SIGKILL at any moment goes on by the same command and ends with the same bytes."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from conformance.tiny import tiny_model
from features.samples import same
from glassbook.cli.app import run
from glassbook.features import Running, Wanted, open_dictionary, train_many
from glassbook.features.planted import PlantedRows, planted
from glassbook.models.loading.own_folder import save_model
from glassbook.runs.index import list_runs
from glassbook.training.checkpoint import CheckpointWarning, checkpoint_steps

STEPS = 12
DATA = planted(16, 12, 0.4, seed=0)
# Some features die, so that AuxK and resampling are at work when the process ends.
WANTED = {
    kind: Wanted(n_features=40, kind=kind, k=k, training={"lr": 0.02, "dead_share": 0.1} | how)
    for kind, k, how in (("batchtopk", 2, {}), ("standard", None, {"sparsity": 3.0}), ("jumprelu", 2, {}))
}


@pytest.fixture(autouse=True)
def one_thread():
    """Compute on one thread: those that a parent began are not there in a fork, which would wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _train(folder):
    running = Running(steps=STEPS, folder=folder, checkpoint_every=1, log_every=1)
    return train_many(PlantedRows(DATA, 64, 1), WANTED, running, (12, 12))


def _child(work, *arguments):
    child = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    child.start()
    return child


def _kill(child):
    os.kill(child.pid, signal.SIGKILL)
    child.join()


def _reached(folder):
    return max(checkpoint_steps(folder), default=0) if folder.is_dir() else 0


def test_killed_again_and_again_dictionaries_end_with_the_same_bits(tmp_path):
    whole, folder, chance, reached = _train(tmp_path / "whole"), tmp_path / "cut", random.Random(0), [0]
    for _ in range(4):
        child = _child(_train, folder)
        # By what it has written and not by the clock, so that a busy machine kills in the midst of things too.
        while child.is_alive() and _reached(folder) < reached[-1] + chance.randint(1, 3):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.01))
        _kill(child)
        assert _reached(folder) >= reached[-1], "what was written stays"
        reached.append(_reached(folder))
    assert len(set(reached)) > 2, "the kills fell into the training"
    again = _train(folder)
    assert all(same(again[name].dictionary.state_dict(), whole[name].dictionary.state_dict()) for name in WANTED)
    assert all(again[name].history.values("fvu") == whole[name].history.values("fvu") for name in WANTED)


def _command(folder, out):
    """Return the training of two dictionaries on what a tiny model makes of a text."""
    asked = "--site L1.resid_post --context 16 --tokens 1024 --batch-size 64 --dtype float32 --checkpoint-every 1"
    which = "--features 64 --kind batchtopk --kind standard --k 4 --save-dtype float16"
    text = [*asked.split(), *which.split(), "--out", str(out)]
    return ["features", "train", str(folder / "tiny"), str(folder / "text.jsonl"), *text]


def _quietly(command):
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    os._exit(run(command))


def _weights(out):
    return {path.parent.name: path.read_bytes() for path in out.glob("*/dictionary.safetensors")}


@pytest.fixture
def material(tmp_path, monkeypatch):
    """Return a folder with a tiny model and a text, in which runs are kept too."""
    monkeypatch.setenv("GLASSBOOK_RUNS", str(tmp_path / "runs"))
    save_model(tiny_model("llama"), tmp_path / "tiny")
    rows = [{"text": f"document {number}: " + "some words of its own " * 4} for number in range(60)]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def _commands_killed(folder: Path, n_kills: int, seed: int) -> dict[str, int]:
    """Kill the command at random moments, give it again each time, and hold what it leaves to the undisturbed one."""
    assert run(_command(folder, folder / "first")) == 0
    started = time.perf_counter()
    child = _child(_quietly, _command(folder, folder / "whole"))
    child.join()
    took, chance = time.perf_counter() - started, random.Random(seed)
    whole, out, told = _weights(folder / "whole"), folder / "cut", {"killed": 0, "whole": 0, "too late": 0}
    assert child.exitcode == 0 and len(whole) == 2
    n_before = len(list_runs(kind="features-train", limit=None))
    while told["killed"] < n_kills:
        child = _child(_quietly, _command(folder, out))
        time.sleep(chance.uniform(0.1, 1) * took)
        _kill(child)
        assert child.exitcode in (0, -signal.SIGKILL)
        told["killed" if child.exitcode else "too late"] += 1
        # What is killed after its Run was ended has nothing left to go on with, and is as whole as any.
        if out.exists() and list_runs(kind="features-train")[0].status == "done":
            assert _weights(out) == whole
            told["whole"] += 1
            shutil.rmtree(out)
    child = _child(_quietly, _command(folder, out))
    child.join()
    assert child.exitcode == 0 and _weights(out) == whole
    runs = list_runs(kind="features-train", limit=None)[: -n_before or None]
    assert len(runs) == told["whole"] + 1 and all(row.status == "done" for row in runs), "each was gone on with"
    assert {open_dictionary(path.parent).facts["run"] for path in out.glob("*/dictionary.json")} == {runs[0].id}
    return told


@pytest.mark.slow
def test_a_command_killed_at_random_moments_leaves_the_same_bytes(material):
    _commands_killed(material, 3, seed=0)


@pytest.mark.slow
def test_a_command_killed_at_fifty_random_moments_leaves_the_same_bytes(material):
    told = _commands_killed(material, 50, seed=1)
    assert told["killed"] == 50


def test_an_altered_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    whole, folder = _train(tmp_path / "it"), tmp_path / "it"
    for place in sorted(folder.iterdir(), reverse=True)[:1]:
        raw = bytearray((place / "state.safetensors").read_bytes())
        raw[-9] ^= 255
        (place / "state.safetensors").write_bytes(raw)
    with pytest.warns(CheckpointWarning, match=f"step-0000000{STEPS}' is passed over"):
        again = _train(folder)
    assert all(same(again[name].dictionary.state_dict(), whole[name].dictionary.state_dict()) for name in WANTED)
