"""What the oracles of dictionaries share: the inputs, the folders, and how features and outputs are written down."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from golden_text import compact
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden"
FOLDERS = GOLDEN / "dictionaries"
INPUTS = FOLDERS / "inputs.json"
OURS = "ours"
N_ROWS, D_IN, N_FEATURES, D_OUT = 6, 8, 24, 6


def inputs() -> Tensor:
    """Return the rows that every dictionary is tried on."""
    return torch.tensor(json.loads(INPUTS.read_text())["inputs"])


def empty_folder(*names: str) -> Path:
    """Return a folder among the golden files with nothing in it."""
    folder = FOLDERS.joinpath(*names)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def ours(format_name: str) -> list[Path]:
    """Return the folders that we wrote in a format."""
    return sorted((FOLDERS / OURS / format_name).iterdir())


def tried(features: Tensor, output: Tensor) -> dict[str, Any]:
    """Return what a dictionary makes of the inputs."""
    return {"features": features.detach().float().tolist(), "output": output.detach().float().tolist()}


def draw(module: torch.nn.Module, seed: int, threshold: float | None = None) -> None:
    """Fill every floating number of a module: matrices of about unit rows, small biases, thresholds that some values reach."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point():
                continue
            drawn = torch.randn(value.shape, generator=chance) * (0.3 if value.ndim == 1 else 0.5)
            if "threshold" in name:
                drawn = drawn.abs() + 0.4 if threshold is None else torch.full_like(drawn, threshold)
            value.copy_(drawn)


def write(file_name: str, made_by: dict[str, str], read: dict[str, Any], wrote: dict[str, Any]) -> None:
    """Write what a peer makes of the dictionaries that it read of ours, and of those that it wrote."""
    (GOLDEN / file_name).write_text(compact({"made_by": made_by, OURS: read, "theirs": wrote}))
