"""Stores at fsspec URLs: the same bytes, the same batches, shards fetched one at a time."""

from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

from activations.store.material import SITES, content, texts
from activations.store.material import settings as small
from conformance.tiny import tiny_model
from glassbook.activations.store import harvest, open_store
from glassbook.activations.store.places import Distant, Folder, as_place
from glassbook.core.errors import FileFormatError, SourceError

URL = "memory://glassbook-tests/store"


@pytest.fixture
def distant() -> Any:
    """Return fsspec's memory, empty before and after."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def _at(files: Any) -> dict[str, bytes]:
    root = "/glassbook-tests/store/"
    return {path.removeprefix(root): files.cat_file(path) for path in files.find(root)}


def test_at_a_distance_a_store_has_the_same_files_and_gives_the_same_rows(distant: Any, tmp_path: Path) -> None:
    near = harvest(tiny_model(), texts(), SITES, tmp_path, small())
    far = harvest(tiny_model(), texts(), SITES, URL, small())
    assert _at(distant) == {name: data for name, data in content(tmp_path).items() if name != ".lock"}
    assert far.folder == URL and far.faults() == [] and torch.equal(near.rows(SITES[0]), far.rows(SITES[0]))
    for order in ("shards", "blocks"):
        batches = [store.batches(SITES[0], 50, seed=1, pool=256, order=order) for store in (near, far)]
        assert all(map(torch.equal, *map(list, batches)))


def test_shards_are_fetched_once_an_epoch_one_at_a_time(distant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    harvest(tiny_model(), texts(), SITES, URL, small())
    store, fetched = open_store(URL), []
    plain = type(distant).get_file

    def counting(self: Any, source: str, *rest: Any, **how: Any) -> None:
        fetched.append(source)
        plain(self, source, *rest, **how)

    monkeypatch.setattr(type(distant), "get_file", counting)
    n_shards = len(store.shards.shards)
    assert len(list(store.batches(SITES[0], 10, seed=0))) == store.n_tokens // 10
    assert n_shards > 4 and len(fetched) == len(set(fetched)) == n_shards
    place = store.shards.place
    assert isinstance(place, Distant) and len(list(place._cache.iterdir())) <= 4


def test_what_is_cached_of_a_distant_place_goes_with_the_store(distant: Any) -> None:
    store = harvest(tiny_model(), texts(4), SITES, URL, small())
    store.rows(SITES[0])
    cache = store.shards.place._cache
    assert cache.exists()
    del store
    assert not cache.exists()


def test_a_harvest_at_a_distance_goes_on_after_it_was_cut_short(distant: Any) -> None:
    calls = iter(range(100))

    def stop(label: str, done: int, total: int) -> None:
        if next(calls) == 4:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        harvest(tiny_model(), texts(), SITES, URL, small(), stop)
    # What was being sent when it was cut short is not acknowledged, and is sent again.
    distant.pipe_file("/glassbook-tests/store/shards/000004.safetensors", b"half")
    assert open_store(URL).n_tokens > 0
    harvest(tiny_model(), texts(), SITES, URL, small())
    cut = _at(distant)
    distant.store.clear()
    harvest(tiny_model(), texts(), SITES, URL, small())
    assert cut == _at(distant)


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    store = harvest(tiny_model(), texts(4), SITES, f"file://{tmp_path}/store", small())
    assert isinstance(store.shards.place, Folder) and store.shards.place.root == tmp_path / "store"
    assert open_store(tmp_path / "store").n_tokens == store.n_tokens


def test_a_place_that_fails_is_one_sentence(distant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    harvest(tiny_model(), texts(4), SITES, URL, small())
    distant.pipe_file("/glassbook-tests/store/shards/000000.safetensors", b"short")
    with pytest.raises(FileFormatError, match=r"000000.safetensors' has 5 bytes, not"):
        open_store(URL)

    def broken(*_: Any, **__: Any) -> None:
        raise ConnectionError("the line is dead")

    monkeypatch.setattr(type(distant), "cat_file", broken)
    with pytest.raises(
        SourceError, match=r"reading store.json at 'memory://.*' failed \(ConnectionError: the line is dead\)"
    ):
        open_store(URL)


def test_what_is_not_a_store_at_a_distance_is_told(distant: Any) -> None:
    with pytest.raises(FileFormatError, match="holds no activations"):
        open_store(URL)
    assert as_place(URL).is_empty()
