"""A tensor in a few numbers, for golden files: enough to notice any wrong value, small enough to read."""

from typing import Any

from torch import Tensor

N_VALUES = 5


def summary(value: Tensor, grad: Tensor | None) -> dict[str, Any]:
    """Return shape, sums and some values, those of the gradient too where there is one.

    Masked scores are left out: some programs write -inf there, some the least number that there is.
    """
    kept = value > -1e30
    found = {"shape": list(value.shape), **_numbers(value[kept])}
    return found if grad is None else found | {"grad": _numbers(grad[kept])}


def _numbers(flat: Tensor) -> dict[str, Any]:
    wide = flat.detach().double()
    places = [i * (len(wide) - 1) // (N_VALUES - 1) for i in range(N_VALUES)]
    numbers = {"sum": wide.sum(), "abs_sum": wide.abs().sum()}
    rounded = {name: float(f"{x:.9g}") for name, x in numbers.items()}
    return {"n": len(wide)} | rounded | {"values": [float(f"{x:.9g}") for x in wide[places]]}
