"""Which keys a query sees, and when the fused kernel is left for scores that can be shown."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from glassbook.core.sites import Site
from glassbook.core.taps import IDLE, Taps
from glassbook.models.attention import KVCache, attend, bend, windowed

CPU = torch.device("cpu")
lengths = some.lists(some.integers(1, 6), min_size=1, max_size=3)


def expected(row: list[int], filled: int, n_new: int, window: int) -> list[list[bool]]:
    """Return by hand what each new token sees of the columns, given the places of a row's columns (-1: padding)."""
    ends = range(filled, filled + n_new)
    return [[place >= 0 and column <= query and (not window or row[query] - place < window)
             for column, place in enumerate(row[: filled + n_new])] for query in ends]  # fmt: skip


@given(lengths, some.integers(1, 4), some.integers(0, 5))
def test_a_cache_shows_each_token_the_window_of_its_own_row(prompts: list[int], n_new: int, window: int) -> None:
    filled = max(prompts)
    cache = KVCache((1, len(prompts), 1, filled + n_new, 2), torch.float32, CPU)
    cache.filled = filled
    cache.hide(prompts)
    mask = cache.mask(n_new, window)
    rows = [[*range(n), *[-1] * (filled - n), *range(n, n + n_new)] for n in prompts]
    wanted = torch.tensor([expected(row, filled, n_new, window) for row in rows])
    if mask is None:
        assert n_new == 1 and bool(wanted.all()), "no mask means that the one new token sees everything"
    else:
        assert torch.equal(mask[:, 0].expand_as(wanted), wanted)
    if window and window < filled:
        unbounded = cache.mask(n_new)
        assert unbounded is None or not torch.equal(unbounded.expand(len(prompts), 1, -1, -1)[:, 0], wanted)


@given(some.integers(1, 8), some.integers(0, 9))
def test_a_pass_without_a_cache_sees_what_a_pass_into_an_empty_one_sees(pos: int, window: int) -> None:
    plain, cached = windowed(pos, window, CPU), KVCache((1, 1, 1, pos, 2), torch.float32, CPU).mask(pos, window)
    assert (plain is None) == (cached is None) == (not 0 < window < pos)
    assert plain is None or (cached is not None and torch.equal(plain, cached))


class Fused(TorchFunctionMode):
    """Counts the calls of the fused kernel."""

    calls = 0

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += func is scaled_dot_product_attention
        return func(*args, **(kwargs or {}))


def some_heads() -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = torch.randn(3, 2, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    return q.transpose(1, 2), k[:, :2], v[:, :2]


@pytest.mark.parametrize(
    ("window", "softcap", "is_fused"), [(0, 0.0, True), (3, 0.0, True), (0, 2.0, False), (3, 2.0, False)]
)
def test_the_fused_kernel_serves_all_but_a_cap_and_says_what_the_open_scores_say(
    window: int, softcap: float, is_fused: bool
) -> None:
    q, k, v = some_heads()
    mask, seen = windowed(6, window, CPU), []
    with Fused() as fused:
        plain = attend(q, k, v, IDLE.at(), mask, 0.3, softcap)
    assert bool(fused.calls) == is_fused
    at = Taps(readers={Site("attn_scores", 0): seen.append}).at(0)
    assert torch.allclose(attend(q, k, v, at, mask, 0.3, softcap), plain, atol=1e-5)
    finite = seen[0][seen[0].isfinite()]
    assert not softcap or float(finite.abs().max()) < softcap, "the scores that are shown are the ones that are used"
    assert not torch.allclose(attend(q, k, v, IDLE.at(), mask, 0.6, softcap), plain, atol=1e-3), "the control"


@given(some.floats(-1e4, 1e4), some.floats(0.5, 50.0))
def test_a_bent_score_stays_within_the_cap_and_keeps_its_sign_and_small_ones_stay(score: float, cap: float) -> None:
    bent = float(bend(torch.tensor(score, dtype=torch.float64), cap))
    assert abs(bent) <= cap and bent * score >= 0
    assert abs(score) > cap / 100 or bent == pytest.approx(score, rel=1e-3, abs=1e-12)
    assert float(bend(torch.tensor(score), 0.0)) == float(torch.tensor(score)), "a cap of 0 is none"
