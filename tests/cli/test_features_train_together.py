"""`glassbook features train --distributed` under torchrun: the dictionary of one process, and one sentence where one ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from glassbook.cli.features_train_run import in_step
from glassbook.core.errors import InputError
from glassbook.training.processes import ALONE, Processes

SMALL = ["--site", "L1.resid_post", "--context", "16", "--tokens", "1024", "--batch-size", "64", "--dtype", "float32"]
# In bfloat16 a product of other rows rounds otherwise, and Adam's first steps make as much of a last bit as of a gradient.
SMALL += ["--features", "64", "--k", "4", "--precision", "float32"]
KINDS = ["--kind", "batchtopk", "--kind", "standard"]


def together(*command):
    """Return what a command of two processes left."""
    whole = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "glassbook.cli", *command]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    return subprocess.run(list(map(str, whole)), capture_output=True, text=True, timeout=200, env=env)


@pytest.mark.slow
def test_two_processes_leave_the_dictionaries_of_one_and_a_refusal_is_said_in_sentences(cli, tiny, tmp_path):
    text = tmp_path / "text.jsonl"
    rows = [{"text": f"document {number}: " + "some words of its own " * 4} for number in range(30)]
    text.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ask = ["features", "train", tiny, text, *SMALL, *KINDS, "--json", "--out"]
    assert cli(*ask, tmp_path / "one").status == 0
    done = together(*ask, tmp_path / "two", "--distributed")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(said["dictionaries"]) == 2, "the first process alone speaks"
    for one in said["dictionaries"]:
        alone, found = (load_file(tmp_path / name / one["name"] / "dictionary.safetensors") for name in ("one", "two"))
        assert max(float((alone[name] - value).abs().max()) for name, value in found.items()) < 1e-5
    again = together(*ask, tmp_path / "two", "--distributed")
    assert again.returncode != 0 and "is there already; choose a new folder for --out" in again.stderr
    assert "a mistake of its own" not in again.stderr


def test_outside_of_torchrun_it_is_told_how_to_begin(cli, tiny, tmp_path, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    said = cli("features", "train", tiny, "text.jsonl", *SMALL, "--out", tmp_path / "out", "--distributed")
    assert said.is_one_sentence() and "start it with 'torchrun" in said.err


def test_where_another_process_has_ended_one_sentence_says_so_and_other_faults_stay_what_they_are():
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer")
    with (
        pytest.raises(InputError, match=r"process 1 cannot go on alone, since another of the 2 has ended"),
        in_step(Processes(1, 2)),
    ):
        raise lost
    with pytest.raises(RuntimeError, match=r"pair\.cc"), in_step(ALONE):
        raise lost
    with pytest.raises(RuntimeError, match="shapes"), in_step(Processes(1, 2)):
        raise RuntimeError("shapes differ")
