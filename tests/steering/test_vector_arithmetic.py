"""Vectors are scaled, compared, summed and taken out of one another; where there is no direction, they say so."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conformance.tiny import tiny_model
from glassbook.core.errors import VectorError
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.steering.operators import NEED_A_WAY, NEED_MANY_AXES
from glassbook.steering.vectors import SteeringVector


def vector_of(model: Model, values: torch.Tensor, **changes: object) -> SteeringVector:
    """Return a vector made on a model."""
    return SteeringVector(site=Site("resid_pre", 1), values=values, identity=model.identity, **changes)


@given(seed=st.integers(0, 10**6), norm=st.floats(0.01, 100))
def test_a_vector_scaled_to_a_norm_points_the_same_way_at_the_same_strength(seed: int, norm: float) -> None:
    values = torch.randn(3, 32, generator=torch.Generator().manual_seed(seed))
    vector = -2 * vector_of(tiny_model(), values, positions="front")
    scaled = vector.scaled_to(norm)
    assert scaled.norm == pytest.approx(norm, rel=1e-5)
    assert scaled.cosine(vector) == pytest.approx(1)
    assert scaled.strength == -2
    ratio = scaled.table.norm(dim=-1) / vector.table.norm(dim=-1)
    assert torch.allclose(ratio, ratio[:1].expand(3), rtol=1e-4), "front rows keep their proportions"
    assert vector.unit.norm == pytest.approx(1)


def test_the_cosine_is_that_of_what_is_added_sign_of_strength_included() -> None:
    model = tiny_model()
    one, other = vector_of(model, torch.eye(32)[0]), vector_of(model, torch.eye(32)[0] + torch.eye(32)[1])
    assert one.cosine(other) == pytest.approx(2**-0.5)
    assert one.cosine(-3 * other) == pytest.approx(-(2**-0.5))
    assert one.cosine(7 * one) == pytest.approx(1) and one.cosine(vector_of(model, torch.eye(32)[2])) == 0
    elsewhere = other.with_(site=Site("resid_post", 2), operator="ablate")
    assert one.cosine(elsewhere) == pytest.approx(2**-0.5), "layers may be compared"
    front = vector_of(model, torch.eye(32)[:2], positions="front")
    assert front.cosine(one) == pytest.approx(2**-0.5), "a front row that the other lacks counts as zero"


@given(seed=st.integers(0, 10**6))
def test_a_vector_without_another_has_nothing_along_it_and_keeps_the_rest(seed: int) -> None:
    model, draw = tiny_model(), torch.Generator().manual_seed(seed)
    vector, other = (vector_of(model, torch.randn(32, generator=draw)) for _ in range(2))
    left = vector.without(5 * other)
    assert abs(left.cosine(other)) < 1e-5
    assert torch.allclose(left.without(other).values, left.values, atol=1e-5), "twice is once"
    lost = vector - left
    assert abs(lost.cosine(other)) == pytest.approx(1, abs=1e-4)
    rows = vector_of(model, torch.randn(3, 32, generator=draw), positions="front").without(other)
    assert float((rows.values @ other.values).abs().max()) < 1e-3


def test_what_has_no_direction_or_another_width_is_neither_scaled_nor_compared() -> None:
    model = tiny_model()
    vector, zero = vector_of(model, torch.ones(32)), vector_of(model, torch.zeros(32))
    for use in (
        lambda: zero.unit,
        lambda: vector.cosine(zero),
        lambda: zero.cosine(vector),
        lambda: vector.without(zero),
    ):
        with pytest.raises(VectorError, match="is zero and points nowhere"):
            use()
    narrow = vector_of(model, torch.ones(8))
    for use in (lambda: vector.cosine(narrow), lambda: vector.without(narrow)):
        with pytest.raises(VectorError, match="have different widths"):
            use()
    with pytest.raises(VectorError, match="cannot be summed"):
        vector + narrow
    with pytest.raises(VectorError, match=r"nothing of .* is left without"):
        vector.without(-2 * vector)
    for norm in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(VectorError, match="cannot be scaled to the norm"):
            vector.scaled_to(norm)
    with pytest.raises(VectorError, match="has 2 rows and so no one direction"):
        vector.without(vector_of(model, torch.ones(2, 32)))


@pytest.mark.parametrize("operator", NEED_A_WAY)
def test_a_vector_of_zeros_is_refused_by_operators_that_need_a_direction(operator: str) -> None:
    model = tiny_model()
    with pytest.raises(VectorError, match=f"is zero and points nowhere, so it cannot {operator}; make another"):
        vector_of(model, torch.zeros(32), operator=operator)
    with pytest.raises(VectorError, match="points nowhere"):
        vector_of(model, torch.zeros(32)).with_(operator=operator)
    assert vector_of(model, torch.zeros(32)).norm == 0, "to add nothing is allowed"
    front = vector_of(model, torch.cat([torch.zeros(1, 32), torch.ones(1, 32)]), operator=operator, positions="front")
    assert model([[1, 2, 3]], steer=front).isfinite().all(), "a zero front row leaves its token alone"


@pytest.mark.parametrize("operator", NEED_MANY_AXES)
def test_a_single_number_is_neither_projected_nor_kept_at_its_norm(operator: str) -> None:
    with pytest.raises(VectorError, match=f"'{operator}' means nothing at L1.mlp_post.N3, which holds a single number"):
        vector_of(tiny_model(), torch.ones(1)).with_(site=Site("mlp_post", 1, neuron=3), operator=operator)


def test_norm_preserving_vectors_are_summed_as_added_ones_are() -> None:
    model = tiny_model()
    one, other = (vector_of(model, torch.ones(32) * n, operator="norm-preserving") for n in (1, 2))
    assert (one + 2 * other).values.tolist() == [5.0] * 32
    assert (one + other).operator == "norm-preserving"
