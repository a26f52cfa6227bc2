"""Two processes that train together learn what one learns alone, with the whole network in each or a share of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.training import LanguageLearner, LanguageSettings, Settings, all_windows, evaluate, train
from glassbook.training.distribution import DistributedLearner, joined
from glassbook.training.loop import History
from glassbook.training.processes import ALONE, Processes
from training.two_ranks import CONTEXT, IDS, SETTINGS, STEPS, Masked, net

# Sums over rows in another order differ in the last bits of float32; four steps of AdamW make of them 3e-6 of a weight.
TOLERANCE = 2e-5
N = 2


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which two processes, joined over gloo, left what they learned."""
    folder = tmp_path_factory.mktemp("two-ranks")
    paths = os.pathsep.join(str(Path(__file__).parents[1] / name) for name in ("", "../src"))
    started = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "two_ranks.py"), str(folder), str(rank), str(N)],
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(N)
    ]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0] * N, "\n".join(said)
    return folder


@pytest.fixture(scope="module")
def alone() -> tuple[LanguageLearner, History]:
    """Return a learner that saw the same batches in one process, and its history."""
    learner = LanguageLearner(net(), SETTINGS)
    return learner, train(learner, Masked(), Settings(steps=STEPS, log_every=1))


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest difference of any number in two states."""
    return max(float((value.float() - other[name].float()).abs().max()) for name, value in one.items())


@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_reach_the_weights_of_one_on_the_joined_batch(kind, together, alone):
    learner, history = alone
    found = load_file(together / f"{kind}.safetensors")
    assert distance(dict(learner.state()), found) < TOLERANCE
    assert found["loss"].tolist() == pytest.approx(history.values("loss"), abs=TOLERANCE)
    # AdamW hides a gradient that is too long by a factor; its norm before clipping does not.
    assert found["grad_norm"].tolist() == pytest.approx(history.values("grad_norm"), abs=TOLERANCE)
    measured = evaluate(learner.net, all_windows(IDS[:50], 4, CONTEXT))
    assert found["validation"].item() == pytest.approx(measured["nats_per_token"], abs=TOLERANCE)


def test_control_the_mean_of_the_processes_means_goes_elsewhere(together, alone):
    learner, history = alone
    found = load_file(together / "mean-of-means.safetensors")
    assert distance(dict(learner.state()), found) > 100 * TOLERANCE
    assert abs(found["grad_norm"][0].item() - history.values("grad_norm")[0]) > 0.1


def test_one_process_goes_on_where_two_stopped(together, alone):
    learner = LanguageLearner(net(), SETTINGS)
    history = train(learner, Masked(), Settings(steps=STEPS, log_every=1), folder=together / "fsdp2")
    assert learner.steps == STEPS
    assert distance(dict(alone[0].state()), dict(learner.state())) < TOLERANCE
    assert history.values("loss") == pytest.approx(load_file(together / "fsdp2.safetensors")["loss"].tolist(), abs=0)


def test_rows_of_a_batch_are_each_read_once():
    for n, size in ((6, 2), (7, 3), (2, 2)):
        rows = [row for rank in range(size) for row in range(n)[Processes(rank, size).rows(n)]]
        assert rows == list(range(n))


def test_a_process_alone_agrees_with_itself():
    assert ALONE.any(True) and not ALONE.any(False)
    assert ALONE.from_first("text") == "text"
    assert ALONE.is_first and not Processes(1, 2).is_first


def test_what_cannot_be_distributed_is_refused(monkeypatch):
    with pytest.raises(InputError, match="'ring' is no way to distribute a training; choose ddp or fsdp2"):
        DistributedLearner(net(), SETTINGS, ALONE, "ring")
    compiled = LanguageSettings(lr=0.01, steps=1, compile=True)
    with pytest.raises(InputError, match="leave out compile"):
        DistributedLearner(net(), compiled, ALONE, "ddp")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match="start it with 'torchrun"), joined():
        pass
    assert not torch.distributed.is_initialized()
