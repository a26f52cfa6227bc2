"""What is chosen is chosen exactly: compiled and in PyTorch the same, whatever the size, the precision or the ties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.features.native import library
from glassbook.features.native.library import above, top_of_rows

built = pytest.mark.skipif(library.library() is None, reason="the selection is not compiled here")
shapes = st.tuples(st.integers(1, 9), st.integers(1, 300) | st.sampled_from([512, 1000, 1025]))
dtypes = st.sampled_from([torch.float32, torch.bfloat16])


def drawn(rows: int, n: int, seed: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return products and a bias; one value in four is a whole number, so that some are equal."""
    chance = torch.Generator().manual_seed(seed)
    products = torch.randn(rows, n, generator=chance)
    products = torch.where(torch.rand(rows, n, generator=chance) < 0.25, products.round(), products)
    return products.to(dtype), torch.randn(n, generator=chance).round()


@built
@settings(max_examples=150)
@given(shape=shapes, part=st.floats(0.001, 1), seed=st.integers(0, 999), dtype=dtypes)
def test_the_largest_of_each_row_are_those_of_a_full_sort(shape, part, seed, dtype):
    products, bias = drawn(*shape, seed, dtype)
    k = max(round(part * shape[1]), 1)
    features, values = top_of_rows(products, bias, k)
    pre = products.float() + bias
    assert torch.equal(values.sort(1, descending=True).values, pre.sort(1, descending=True).values[:, :k])
    assert torch.equal(pre.gather(1, features), values)
    assert all(len(set(row)) == k for row in features.tolist())


@built
@given(shape=shapes, k=st.integers(1, 40), seed=st.integers(0, 999))
def test_of_equal_values_the_first_features_are_taken(shape, k, seed):
    products, bias = drawn(*shape, seed, torch.float32)
    k = min(k, shape[1])
    features, _ = top_of_rows(products, bias, k)
    expected = (products + bias).sort(dim=1, descending=True, stable=True).indices[:, :k]
    assert torch.equal(features.sort(1).values, expected.sort(1).values)


@settings(max_examples=100)
@given(shape=shapes, floor=st.floats(-2, 3), seed=st.integers(0, 999), dtype=dtypes, compiled=st.booleans())
def test_all_above_the_floors_are_listed_row_by_row(shape, floor, seed, dtype, compiled):
    products, bias = drawn(*shape, seed, dtype)
    floors = floor + torch.linspace(-1, 1, shape[1])
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(library, "library", lambda: None)
        rows, features, values = above(products, bias, floors)
    pre = products.float() + bias
    expected = (pre > floors).nonzero(as_tuple=True)
    assert torch.equal(rows, expected[0]) and torch.equal(features, expected[1])
    assert torch.equal(values, pre[expected])


@built
@given(shape=shapes, k=st.integers(1, 40), seed=st.integers(0, 999))
def test_the_twin_in_pytorch_chooses_the_same(shape, k, seed):
    # Without ties, of which PyTorch takes any.
    products = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    bias, k = torch.linspace(-1, 1, shape[1]), min(k, shape[1])
    features, values = top_of_rows(products, bias, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "library", lambda: None)
        others, their_values = top_of_rows(products, bias, k)
    assert torch.equal(features.sort(1).values, others.sort(1).values)
    assert torch.equal(values.sort(1).values, their_values.sort(1).values)


@built
@pytest.mark.parametrize("n", [7, 40, 700])
def test_a_row_that_is_no_number_gives_no_numbers(n):
    products = torch.randn(3, n)
    products[1] = torch.nan
    _, values = top_of_rows(products, torch.zeros(n), 5)
    assert values[1].isnan().all() and values[[0, 2]].isfinite().all()


@built
def test_turned_off_by_the_environment_it_is_not_loaded(monkeypatch):
    monkeypatch.setenv("GLASSBOOK_NATIVE", "0")
    assert library.library.__wrapped__() is None
    monkeypatch.delenv("GLASSBOOK_NATIVE")
    assert library.library.__wrapped__() is not None
