"""The golden dictionaries of other packages, the inputs they were tried on, and by how much two results differ."""

import json
from pathlib import Path

import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[2] / "golden" / "dictionaries"
INPUTS = torch.tensor(json.loads((GOLDEN / "inputs.json").read_text())["inputs"])


def misses(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference, as a share of the largest number where that is above 1."""
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1))
