"""Two processes that train together reach the dictionary of one, whatever its kind: what is chosen, revived and clipped too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from features.two_ranks import PLANS, learned

# Rows are summed in another order, which changes the last bits of float32: after 20 steps of Adam by 9e-7 of a weight at most.
TOLERANCE = 2e-6
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


def distance(one: dict[str, Tensor], other: dict[str, Tensor], begin: str = "") -> float:
    """Return the largest difference of any number whose name begins so."""
    names = [name for name in one if name.startswith(begin)]
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in names)


@pytest.mark.parametrize("name", PLANS)
def test_two_processes_reach_the_dictionary_of_one(name, together):
    alone, found = learned(name), load_file(together / f"{name}.safetensors")
    assert distance(alone, found) < TOLERANCE
    assert found["apart"] == 0, "both hold the same"
    # Who is active and who is dead is counted over both, without any rounding.
    assert torch.equal(alone["metric/dead"], found["metric/dead"]) and torch.equal(
        alone["metric/l0"], found["metric/l0"]
    )
    assert alone["metric/dead"].max() > 0, "some die, so that AuxK or resampling had to act"


def test_two_processes_go_on_from_the_checkpoint_of_the_first(together):
    whole, cut = (load_file(together / f"{name}.safetensors") for name in ("batchtopk", "gone on with"))
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())


@pytest.mark.parametrize(("mistake", "name"), [("local choice", "batchtopk, whole"), ("own gradients", "topk")])
def test_control_a_choice_or_a_gradient_of_own_rows_goes_elsewhere(mistake, name, together):
    found = load_file(together / f"{mistake}.safetensors")
    assert distance(learned(name), found) > 1000 * TOLERANCE
    assert found["apart"] > 1000 * TOLERANCE, "the two have parted"
