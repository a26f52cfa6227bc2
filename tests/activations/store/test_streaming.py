"""Straight through memory: what a store would give, without one, and going on exactly."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from activations.store.material import SITES, content, texts
from activations.store.material import settings as small
from conformance.probes import WeightsRead
from conformance.tiny import tiny_model
from glassbook.activations.store import StreamedRows, harvest, stream
from glassbook.core.errors import InputError
from glassbook.training.learner import Stream


def _stream(sites: Any = SITES[0], n: int = 12, **drawn: Any) -> StreamedRows:
    how = small(**drawn.pop("settings", {}))
    return stream(tiny_model(), texts(n), sites, how, **{"batch_size": 32, "seed": 4, "pool": 100} | drawn)


def test_a_stream_gives_what_a_store_in_the_order_of_the_harvest_gives_and_writes_nothing(tmp_path, monkeypatch):
    store = harvest(tiny_model(), texts(), SITES, tmp_path / "store", small())
    kept = list(store.batches(SITES, 32, seed=4, pool=100, order="harvest"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = list(_stream(SITES))
    assert content(tmp_path / "here") == {}
    assert len(found) == len(kept) > 8
    for one, other in zip(found, kept, strict=True):
        assert all(torch.allclose(left, right, atol=1e-6) for left, right in zip(one, other, strict=True))
    # The control: another seed gives the same rows in another order.
    assert not torch.allclose(_stream(SITES, seed=5).next()[0], found[0][0])


def test_the_tokens_asked_for_end_a_stream_where_they_end_a_harvest(tmp_path):
    store = harvest(tiny_model(), texts(), SITES, tmp_path, small(tokens=200))
    found = _stream(settings={"tokens": 200}, batch_size=1)
    assert len(list(found)) == store.n_tokens == found.n_rows
    with pytest.raises(InputError, match="no further batch of 1; give a longer corpus"):
        found.next()


@given(st.integers(0, 9), st.integers(1, 60), st.integers(20, 200))
@settings(max_examples=8)
def test_from_its_state_a_stream_goes_on_as_if_it_had_never_stopped(taken, batch_size, pool):
    one, other = (_stream(batch_size=batch_size, pool=pool, n=8) for _ in range(2))
    for _ in range(min(taken, 200 // batch_size)):
        one.next()
    other.load_state({name: value.clone() for name, value in one.state().items()})
    rest, again = list(one), list(other)
    assert len(rest) == len(again) > 0 and all(map(torch.equal, rest, again))


def test_a_stream_holds_no_more_than_its_pool_and_reads_no_further_than_it_must():
    found = _stream(batch_size=16, pool=64, n=30)
    for _ in range(12):
        found.next()
        waiting = len(found._waiting[0]) + len(found._coming[0])
        assert waiting <= 64 + 16 + 4 * 15
    assert found.n_rows <= 12 * 16 + 64 + 16 + 4 * 15
    with WeightsRead(tiny_model().net) as seen:
        _stream(n=4).next()
    assert seen.blocks == {0}


def test_what_was_read_is_known_as_of_a_store_also_after_going_on(tmp_path):
    facts = harvest(tiny_model(), texts(), SITES[0], tmp_path, small()).facts
    one, other = _stream(), _stream()
    one.next()
    other.load_state(one.state())
    assert other.facts == one.facts and one.facts["counts"]["tokens"] < facts["counts"]["tokens"]
    list(other)
    assert all(other.facts[name] == facts[name] for name in ("weights", "corpus", "settings"))
    assert other.facts["counts"]["tokens"] == facts["counts"]["tokens"]


def test_a_stream_is_one_of_the_trainings_in_the_precision_asked_for():
    found = _stream(dtype="bf16")
    assert isinstance(found, Stream) and found.next().dtype == torch.bfloat16
    assert all(isinstance(value, torch.Tensor) for value in found.state().values())


@pytest.mark.parametrize("asked", [{"batch_size": 0}, {"pool": 0}])
def test_batches_that_cannot_be_are_refused(asked):
    with pytest.raises(InputError, match="cannot be drawn"):
        _stream(**asked)
