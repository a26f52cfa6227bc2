"""The order of rows: each once an epoch, the same for the same seed wherever one begins, and across documents."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from activations.store.material import SITES, texts
from activations.store.material import settings as small
from conformance.tiny import tiny_model
from glassbook.activations.store import ActivationStore, harvest, open_store
from glassbook.activations.store.journal import Shard, shard_name, write_journal
from glassbook.activations.store.order import BLOCK, AsHarvested, ByShard, Order, Shuffled
from glassbook.activations.store.packing import Context
from glassbook.activations.store.places import as_place
from glassbook.activations.store.reading import LeftOut, Rows
from glassbook.activations.store.shards import write_shard
from glassbook.core.errors import InputError, SiteError
from glassbook.core.sites import Site
from glassbook.files.hashes import sha256_file
from glassbook.training.learner import Stream

WIDTHS = dict(zip(SITES, (32, 48), strict=True))
parts = st.tuples(st.integers(0, 3000), st.integers(1, 6000)).map(lambda pair: (pair[0], sum(pair)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    """Return a store whose rows hold their own number, contexts of 40 rows, documents of two contexts, in unequal shards."""
    folder = tmp_path_factory.mktemp("store")
    harvest(tiny_model(), texts(1), SITES, folder, small())
    place, shards, begun = as_place(folder), [], 0
    for number, n_contexts in enumerate((9, 1, 14, 20, 13)):
        contexts = [
            Context(np.zeros(40, np.int32), np.full(40, (begun + one) // 2, np.int32)) for one in range(n_contexts)
        ]
        rows = torch.arange(n_contexts * 40)
        values = {Site.parse(site): (rows + begun * 40)[:, None] * torch.ones(width) for site, width in WIDTHS.items()}
        kept = Rows(values, rows.int() // 40, rows.int() % 40, LeftOut())
        path = place.path(shard_name(number))
        write_shard(path, [kept], contexts, 40, torch.float32)
        size, checksum = path.stat().st_size, sha256_file(path)
        shards.append(Shard(shard_name(number), len(rows), n_contexts, size, checksum, 0, "", {}, {}, None))
        begun += n_contexts
    write_journal(place, shards)
    return open_store(folder)


def _ids(batches: Any) -> list[int]:
    """Return which rows batches hold."""
    return [int(number) for batch in batches for number in batch[:, 0]]


def _orders(part: tuple[int, int], seed: int, pool: int) -> list[Order]:
    shards = np.arange(0, 10_000, 700)
    return [Shuffled(part, seed, pool), AsHarvested(part, pool), ByShard(part, seed, shards)]


@given(parts, st.integers(0, 99), st.integers(1, 3000), st.integers(0, 3))
@settings(max_examples=40)
def test_the_pools_of_an_epoch_hold_every_row_of_a_part_once_and_are_as_large_as_they_say(part, seed, pool, epoch):
    for order in _orders(part, seed, pool):
        starts = order.starts(epoch)
        pools = [order.pool(epoch, number) for number in range(len(starts) - 1)]
        rows = [row for plan in pools for start, stop in plan for row in range(start, stop)]
        assert sorted(rows) == list(range(*part))
        assert np.diff(starts).tolist() == [sum(stop - start for start, stop in plan) for plan in pools]
        if not isinstance(order, ByShard):
            assert max(np.diff(starts)) <= max(pool, BLOCK)


def test_each_row_comes_once_an_epoch_and_epochs_and_seeds_differ_in_order(store):
    first, second = (_ids(store.batches(SITES[0], 1, seed=seed, pool=600)) for seed in (0, 1))
    assert sorted(first) == sorted(second) == list(range(store.n_tokens)) and first != second
    two = _ids(store.batches(SITES[0], 1, seed=0, epochs=2, pool=600))
    assert two[: len(first)] == first and sorted(two[len(first) :]) == sorted(first) != two[len(first) :]
    assert first == _ids(store.batches(SITES[0], 1, seed=0, pool=600))


@given(
    st.integers(1, 400), st.integers(256, 1500), st.integers(0, 30), st.sampled_from(["blocks", "shards", "harvest"])
)
@settings(max_examples=25)
def test_from_its_state_a_stream_goes_on_as_if_it_had_never_stopped(store, batch, pool, taken, order):
    def begun() -> Any:
        return store.batches(SITES[0], batch, seed=3, epochs=None, pool=pool, order=order)

    stream = begun()
    for _ in range(taken):
        stream.next()
    other = begun()
    other.load_state(stream.state())
    for _ in range(3):
        assert torch.equal(stream.next(), other.next())
    fresh = begun().next()
    assert (taken == 0) == torch.equal(fresh, begun().next()) or not torch.equal(fresh, other.next())


def test_batches_do_not_depend_on_where_pools_end_but_on_the_rows_they_hold(store):
    small_batches = torch.cat(list(store.batches(SITES[0], 10, seed=5, pool=300)))
    large = torch.cat(list(store.batches(SITES[0], 500, seed=5, pool=300)))
    assert torch.equal(small_batches[: len(large)], large)


def test_a_batch_brings_together_documents_that_stand_apart(store):
    documents = store.documents()
    counts = {}
    for order in ("blocks", "harvest"):
        ids = _ids([store.batches(SITES[0], 64, seed=0, pool=512, order=order).next()])
        counts[order] = int(documents[ids].max() - documents[ids].min())
    # The order of the harvest is the control: its first pool holds neighbors only.
    assert counts["blocks"] > 2 * counts["harvest"]


def test_within_a_part_no_row_of_the_other_part_comes(store):
    n = store.n_tokens
    train = _ids(store.batches(SITES[0], 7, seed=0, rows=(0, n - 300)))
    held_out = _ids(store.batches(SITES[0], 7, seed=0, rows=(n - 300, n)))
    assert max(train) < n - 300 <= min(held_out) and len(train) > len(held_out) > 280


def test_several_sites_come_as_rows_of_the_same_tokens(store):
    for left, right in store.batches(SITES, 32, seed=2):
        rows = _ids([left])
        assert rows == _ids([right]) and (left.shape, right.shape) == ((32, 32), (32, 48))


def test_batches_come_in_the_precision_asked_for_and_a_store_in_bfloat16_gives_its_bits(tmp_path):
    full, half = (
        harvest(tiny_model(), texts(), SITES, tmp_path / dtype, small(dtype=dtype)) for dtype in ("float32", "bfloat16")
    )
    for asked, given_as in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        batch = half.batches(SITES[0], 64, seed=0, dtype=asked).next()
        assert batch.dtype == given_as
        assert torch.equal(batch.bfloat16(), full.batches(SITES[0], 64, seed=0).next().bfloat16())


def test_a_stream_is_one_of_the_trainings_and_says_when_it_is_at_its_end(store):
    stream = store.batches(SITES[0], 1000, seed=0, epochs=2)
    assert isinstance(stream, Stream) and stream.n_batches == 2 * (store.n_tokens // 1000)
    assert len(list(stream)) == stream.n_batches
    with pytest.raises(InputError, match="2 epochs are drawn; ask for more epochs"):
        stream.next()
    assert store.batches(SITES[0], 1000, seed=0, epochs=None).n_batches is None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"batch_size": 10**6}, "rows make no batch of 1,000,000"),
        ({"batch_size": 0}, "make no batch of 0"),
        ({"pool": 0}, "a pool of 0 rows"),
        ({"rows": (5, 10**7)}, "there are no rows 5 to 10,000,000"),
        ({"chunk": 3}, "batches have no 'chunk'"),
        ({"site": "L0.mlp_out"}, "was not harvested into"),
    ],
)
def test_batches_that_cannot_be_are_refused(store, asked, words):
    given_all = {"site": SITES[0], "batch_size": 8, "seed": 0} | asked
    with pytest.raises((InputError, SiteError), match=words):
        store.batches(given_all.pop("site"), given_all.pop("batch_size"), **given_all)


def test_one_pool_is_in_memory_at_a_time(store, monkeypatch):
    taken: list[int] = []
    plain = torch.empty

    def counting(*shape: Any, **how: Any) -> torch.Tensor:
        taken.append(int(shape[0]))
        return plain(*shape, **how)

    monkeypatch.setattr(torch, "empty", counting)
    assert len(list(store.batches(SITES[0], 64, seed=0, epochs=3, pool=512))) == 3 * (store.n_tokens // 64)
    # The memory of one pool serves all; the first one may hold the last block, which is not full.
    assert taken in ([512], [488, 512])
