"""Each direction is what its paper or its package computes, on any activations, and says so where there is none."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from glassbook.core.errors import GlassbookError, InputError, VectorError
from glassbook.steering.directions import DIRECTIONS, PAIRED, scaled

KINDS = list(DIRECTIONS)
every_kind = pytest.mark.parametrize("kind", KINDS)
seeds = st.integers(0, 10**6)


def activations(seed: int, n: int = 12, m: int = 12, width: int = 8) -> tuple[Tensor, Tensor]:
    """Return two sets of activations that differ along one axis, with coordinates of very different size."""
    draw = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([30.0, 1.0, 5.0, 0.1, 2.0, 1.0, 1.0, 3.0][:width])
    way = torch.randn(width, generator=draw)
    positives, negatives = (torch.randn(rows, width, generator=draw) * sizes for rows in (n, m))
    return (positives + way).double(), negatives.double()


def repeng_direction(positives: Tensor, negatives: Tensor, method: str) -> np.ndarray:
    """Return what repeng 0.4 makes of the same activations: its rows in turn, the covariance's first eigenvector, its vote."""
    rows = np.empty((2 * len(positives), positives.shape[1]))
    rows[::2], rows[1::2] = positives.numpy(), negatives.numpy()
    train = rows[::2] - rows[1::2]
    if method == "pca_center":
        middle = (rows[::2] + rows[1::2]) / 2
        train = np.concatenate([rows[::2] - middle, rows[1::2] - middle])
    values, vectors = np.linalg.eigh(np.cov(train, rowvar=False, bias=True))
    found = vectors[:, values.argmax()]
    # The package's principal components have their largest coordinate above zero.
    found = found * np.sign(found[np.abs(found).argmax()])
    smaller = np.mean([rows[i] @ found < rows[i + 1] @ found for i in range(0, len(rows), 2)])
    larger = np.mean([rows[i] @ found > rows[i + 1] @ found for i in range(0, len(rows), 2)])
    return -found if smaller > larger else found


@given(seed=seeds, n=st.integers(1, 9), m=st.integers(1, 9))
def test_the_mean_difference_is_that_of_the_means_whatever_their_numbers(seed: int, n: int, m: int) -> None:
    positives, negatives = activations(seed, n, m)
    expected = positives.numpy().sum(0) / n - negatives.numpy().sum(0) / m
    for kind in ("mean-difference", "mean-centered"):
        assert np.allclose(DIRECTIONS.find(kind)(positives, negatives), expected)


@pytest.mark.parametrize(("kind", "method"), [("pca", "pca_diff"), ("pca-center", "pca_center")])
@given(seed=seeds, n=st.integers(3, 20))
def test_the_principal_component_and_its_sign_are_repeng_s(kind: str, method: str, seed: int, n: int) -> None:
    positives, negatives = activations(seed, n, n)
    found = DIRECTIONS.find(kind)(positives, negatives).numpy()
    assert np.allclose(found, repeng_direction(positives, negatives, method), atol=1e-6)
    assert np.linalg.norm(found) == pytest.approx(1)


def test_a_tied_vote_leaves_the_largest_coordinate_positive() -> None:
    differences = torch.tensor([[-3.0, 1.0], [3.0, -1.0], [-5.0, 1.5], [5.0, -1.5]]).double()
    found = DIRECTIONS.find("pca")(differences, torch.zeros(4, 2).double())
    assert found[0] > 0.9 and found[1] < 0
    tipped = DIRECTIONS.find("pca")(differences[[0, 1, 2]], torch.zeros(3, 2).double())
    assert tipped[0] < -0.9, "the control: a majority decides"


def test_what_all_pairs_share_is_left_out_of_pca_and_counts_in_pca_center() -> None:
    positives, negatives = activations(3)
    shared = 1000 * torch.eye(8).double()[5]
    for kind, sees in (("pca", False), ("pca-center", True)):
        before, after = (DIRECTIONS.find(kind)(one, negatives) for one in (positives, positives + shared))
        assert (abs(float(after[5])) > 0.99) == sees
        assert sees or torch.allclose(before, after, atol=1e-6) or torch.allclose(before, -after, atol=1e-6)


@settings(max_examples=25)
@given(seed=seeds, n=st.integers(2, 12), m=st.integers(2, 12))
def test_the_probe_is_where_its_stated_loss_is_flat(seed: int, n: int, m: int) -> None:
    positives, negatives = activations(seed, n, m)
    rows = torch.cat([positives, negatives]).numpy()
    rows = rows - rows.mean(0)
    rows = rows / np.sqrt(np.mean(rows**2))
    signs = np.array([1.0] * n + [-1.0] * m)
    weights = DIRECTIONS.find("logistic")(positives, negatives).numpy()

    def pull(intercept: float) -> np.ndarray:
        return signs / (1 + np.exp(signs * (rows @ weights + intercept)))

    low, high = -100.0, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if pull(middle).sum() > 0 else (low, middle)
    # The gradient of the loss: w less what every row pulls. The loss is strictly convex, so the flat place is one.
    assert np.abs(weights - rows.T @ pull(low)).max() < 1e-6
    assert np.abs(1.01 * weights - rows.T @ pull(low)).max() > 1e-6, "the control"


@every_kind
@settings(max_examples=20)
@given(seed=seeds)
def test_strength_one_goes_as_far_along_the_direction_as_the_means_lie_apart(kind: str, seed: int) -> None:
    positives, negatives = activations(seed)
    raw = DIRECTIONS.find(kind)(positives, negatives)
    vector, unit = scaled(raw, positives, negatives), scaled(raw, positives, negatives, "unit")
    assert float(unit.norm()) == pytest.approx(1)
    assert torch.allclose(vector / vector.norm(), unit, atol=1e-9), "only the length differs"
    assert torch.allclose(unit, raw / raw.norm(), atol=1e-9)
    apart = (positives.mean(0) - negatives.mean(0)) @ unit
    assert float(vector.norm()) == pytest.approx(abs(float(apart)), rel=1e-9)
    longer = scaled(7 * raw, positives, negatives)
    assert torch.allclose(longer, vector, rtol=1e-9), "the length that a kind happens to return does not count"


@every_kind
def test_every_direction_finds_one_that_was_planted_and_turns_with_the_sides(kind: str) -> None:
    draw = torch.Generator().manual_seed(0)
    way = torch.nn.functional.normalize(torch.randn(16, generator=draw), dim=0)
    base, noise = torch.randn(60, 16, generator=draw), 0.05 * torch.randn(60, 16, generator=draw)
    strength = 2 + 2 * torch.rand(60, 1, generator=draw)
    positives, negatives = (base + noise + strength * way).double(), base.double()
    find = DIRECTIONS.find(kind)
    there, back = (scaled(find(*sides), *sides, "unit") for sides in ((positives, negatives), (negatives, positives)))
    assert float(there @ way.double()) > (0.95 if kind in PAIRED else 0.8)
    assert torch.allclose(back, -there, atol=1e-6)
    apart = torch.randn(60, 16, generator=draw).double()
    elsewhere = scaled(find(apart, base.double()), apart, base.double(), "unit")
    assert abs(float(elsewhere @ way.double())) < 0.8, "the control: where nothing was planted it is not found"


@every_kind
def test_the_same_activations_give_the_same_bits(kind: str) -> None:
    first, second = (DIRECTIONS.find(kind)(*activations(5)) for _ in range(2))
    assert torch.equal(first, second)
    with torch.inference_mode():
        assert torch.equal(DIRECTIONS.find(kind)(*activations(5)), first)


@every_kind
def test_two_sides_that_are_alike_have_no_direction_between_them(kind: str) -> None:
    positives, negatives = activations(1)
    with pytest.raises(VectorError, match="choose other texts") as refusal:
        DIRECTIONS.find(kind)(positives, positives.clone())
    assert "\n" not in str(refusal.value)
    assert DIRECTIONS.find(kind)(positives, negatives).norm() > 0


@pytest.mark.parametrize(
    ("kind", "n", "m", "error", "why"),
    [
        ("pca", 3, 4, InputError, "3 positives and 4 negatives make no pairs"),
        ("pca-center", 4, 3, InputError, "4 positives and 3 negatives make no pairs"),
        ("pca", 1, 1, InputError, "one pair has no principal component"),
        ("logistic", 1, 5, InputError, "1 positives and 5 negatives; give at least two of each"),
        ("logistic", 1, 1, InputError, "give at least two of each"),
    ],
)
def test_too_few_or_unpaired_texts_are_refused(kind: str, n: int, m: int, error: type, why: str) -> None:
    with pytest.raises(error, match=why):
        DIRECTIONS.find(kind)(*activations(0, n, m))
    assert DIRECTIONS.find(kind)(*activations(0, 4, 4)).norm() > 0


def test_pairs_that_all_differ_alike_leave_pca_nothing_and_unknown_names_are_refused() -> None:
    positives, _ = activations(2)
    with pytest.raises(VectorError, match=r"the differences of all pairs are alike.*use 'pca-center'"):
        DIRECTIONS.find("pca")(positives + 1, positives)
    assert DIRECTIONS.find("pca-center")(positives + 1, positives).numpy() == pytest.approx(8**-0.5)
    with pytest.raises(GlassbookError, match="no direction is named 'pcs'; did you mean 'pca'"):
        DIRECTIONS.find("pcs")
    inverted = activations(2)
    with pytest.raises(VectorError, match="there is no norm 'L2'; choose one of difference, unit"):
        inspect.unwrap(scaled)(torch.ones(8).double(), *inverted, "L2")


def test_a_direction_along_which_the_means_agree_has_a_unit_and_no_difference() -> None:
    way = torch.eye(4).double()[0]
    positives = torch.stack([way, -way, 3 * way, -3 * way])
    raw = DIRECTIONS.find("pca")(positives, torch.zeros(4, 4).double())
    assert scaled(raw, positives, torch.zeros(4, 4).double(), "unit").abs().tolist() == pytest.approx([1, 0, 0, 0])
    with pytest.raises(VectorError, match="no distance apart along their direction; ask for norm='unit'"):
        scaled(raw, positives, torch.zeros(4, 4).double())
