"""What a dictionary gives back is told the same however tokens are cut, and its ends are those of the equations."""

import itertools
import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import InputError
from glassbook.features.metrics import Reconstruction, Tally
from glassbook.features.metrics.reconstruction import density_histogram

N, D, F = 60, 6, 12


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what was to be given back, what was, and features of which one is dead and one always active."""
    chance = torch.Generator().manual_seed(seed)
    y = torch.randn(N, D, generator=chance) + 3
    features = torch.randn(N, F, generator=chance).clamp(min=0.8) - 0.8
    features[:, 0], features[:, 1] = 0, 1
    return y, y + 0.3 * torch.randn(N, D, generator=chance), features


def tallied(y: torch.Tensor, given: torch.Tensor, features: torch.Tensor, cuts: list[int]) -> Reconstruction:
    tally = Tally(y.mean(0), F)
    ends = [0, *sorted(cuts), len(y)]
    for first, stop in itertools.pairwise(ends):
        tally.add(y[first:stop], given[first:stop], features[first:stop])
    return tally.result()


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, N), max_size=5), seed=st.integers(0, 50))
def test_any_cut_of_the_tokens_tells_the_same(cuts: list[int], seed: int) -> None:
    y, given_back, features = drawn(seed)
    assert tallied(y, given_back, features, cuts) == tallied(y, given_back, features, [])


def test_every_number_is_its_equation() -> None:
    y, back, features = drawn()
    found = tallied(y, back, features, [17])
    missed, varied = (y - back).square().sum(1), (y - y.mean(0)).square().sum(1)
    wanted = {
        "l0": (features != 0).sum(1).float().mean(),
        "l1": features.abs().sum(1).mean(),
        "explained_variance": 1 - missed.sum() / varied.sum(),
        "explained_variance_by_token": (1 - missed / varied).mean(),
        "mse": missed.mean(),
        "cosine": torch.cosine_similarity(y, back).mean(),
        "l2_ratio": (back.norm(dim=1) / y.norm(dim=1)).mean(),
        "relative_reconstruction_bias": back.square().sum(1).mean() / (y * back).sum(1).mean(),
        "dead": ((features != 0).sum(0) == 0).float().mean(),
        "dense": ((features != 0).float().mean(0) > 0.1).float().mean(),
    }
    told = asdict(found)
    assert {name: told[name] for name in wanted} == pytest.approx({k: float(v) for k, v in wanted.items()}, rel=1e-5)
    assert found.fvu == 1 - found.explained_variance
    # The two definitions differ, so neither stands for the other.
    assert abs(found.explained_variance - found.explained_variance_by_token) > 1e-3


def test_the_ends_are_reached_by_what_is_whole_and_by_the_mean() -> None:
    y, _, features = drawn()
    whole, mean = (tallied(y, back, features, []) for back in (y, y.mean(0).expand_as(y)))
    assert (whole.explained_variance, whole.mse, whole.l2_ratio) == (1, 0, 1)
    assert whole.cosine == pytest.approx(1) and whole.relative_reconstruction_bias == pytest.approx(1)
    assert mean.explained_variance == pytest.approx(0, abs=1e-6)
    halved = tallied(y, y / 2, features, [])
    assert halved.relative_reconstruction_bias == pytest.approx(0.5) and halved.cosine == pytest.approx(1)


def test_the_histogram_counts_every_feature_that_lives_once() -> None:
    y, back, features = drawn()
    assert sum(tallied(y, back, features, []).histogram) == F - 1
    assert sum(density_histogram(torch.tensor([1e-9, 0.0, 1.0]).double().numpy())) == 2


def test_what_says_nothing_is_said_to() -> None:
    with pytest.raises(InputError, match="no token was read"):
        Tally(torch.zeros(D), F).result()
    same = torch.ones(4, D)
    assert math.isnan(tallied(same, same, torch.zeros(4, F), []).explained_variance)
