"""The read side: what is refused, what is damaged, whose activations they are."""

import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from activations.store.material import SITES, sign, texts
from activations.store.material import settings as small
from conformance.tiny import tiny_model
from glassbook.activations.store import ActivationStore, harvest, open_store
from glassbook.activations.store.store import WeightsWarning
from glassbook.core.errors import FileFormatError, GlassbookError, InputError, SiteError
from glassbook.files.safetensors import open_safetensors


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished harvest."""
    folder = tmp_path_factory.mktemp("made") / "store"
    harvest(tiny_model(), texts(), SITES, folder, small())
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Return a copy of it that may be damaged."""
    return Path(shutil.copytree(made, tmp_path / "store"))


def _shard(folder: Path, number: int = 1) -> Path:
    return folder / f"shards/{number:06d}.safetensors"


def test_rows_are_read_across_shards_in_order_and_within_one_without_a_copy(made: Path) -> None:
    store = open_store(made)
    every = store.rows(SITES[0])
    edge = int(store.shards.row_starts[1])
    assert every.shape == (store.n_tokens, 32) and len(store) == store.n_tokens
    assert torch.equal(every[edge - 3 : edge + 4], store.rows(SITES[0], edge - 3, edge + 4))
    assert len(store.rows(SITES[0], 5, 5)) == len(store.tokens(5, 5)) == 0
    within = store.rows(SITES[0], 2, 6)
    assert within.untyped_storage().data_ptr() == store.rows(SITES[0], 3, 4).untyped_storage().data_ptr()


def test_a_shard_is_a_safetensors_file_that_anybody_reads(made: Path) -> None:
    store, expected = open_store(made), []
    for path in sorted((made / "shards").iterdir()):
        with open_safetensors(path) as file:
            expected.append(file.read(file.tensors[SITES[1]]))
    assert np.array_equal(np.concatenate(expected), store.rows(SITES[1]).numpy())


def test_width_and_d_model_say_what_a_row_is(made: Path, tmp_path: Path) -> None:
    store = open_store(made)
    assert [store.width(site) for site in SITES] == [32, 48] and store.width("blocks.0.hook_resid_post") == 32
    with pytest.raises(SiteError, match="differ in width"):
        store.d_model  # noqa: B018
    alone = harvest(tiny_model(), texts(3), SITES[0], tmp_path / "one", small())
    assert alone.d_model == 32 and "L0.resid_post" in repr(alone)


def test_what_is_not_there_is_one_sentence(made: Path, tmp_path: Path) -> None:
    store = open_store(made)
    with pytest.raises(SiteError, match=r"'L2.resid_post' was not harvested .* holds L0.resid_post, L1.mlp_post"):
        store.rows("L2.resid_post")
    with pytest.raises(InputError, match="there are no rows"):
        store.tokens(0, store.n_tokens + 1)
    with pytest.raises(InputError, match="there is no context"):
        store.context(store.n_contexts)
    with pytest.raises(FileFormatError, match="holds no activations"):
        open_store(tmp_path / "nowhere")


def test_an_altered_shard_is_named(folder: Path) -> None:
    assert open_store(folder).faults() == []
    data = bytearray(_shard(folder).read_bytes())
    data[-5] ^= 1
    _shard(folder).write_bytes(data)
    assert open_store(folder).faults() == ["shards/000001.safetensors has the right size but another content"]


def test_a_shard_that_is_cut_short_or_missing_is_told_on_opening_and_on_going_on(folder: Path) -> None:
    kept = _shard(folder).read_bytes()
    _shard(folder).write_bytes(kept[:-1])
    for act in (lambda: open_store(folder), lambda: harvest(tiny_model(), texts(), SITES, folder, small())):
        with pytest.raises(FileFormatError, match=r"000001.safetensors' has [\d,]+ bytes, not"):
            act()
    _shard(folder).unlink()
    with pytest.raises(FileFormatError, match="is missing"):
        open_store(folder)
    _shard(folder).write_bytes(kept)
    assert open_store(folder).faults() == []


def _damage(folder: Path, what: str) -> None:
    header = _shard(folder).read_bytes()
    size = int.from_bytes(header[:8], "little")
    if what == "bit":
        _shard(folder).write_bytes(header[:-1] + bytes([header[-1] ^ 1]))
    elif what == "header":
        _shard(folder).write_bytes(header[:8] + b"x" * size + header[8 + size :])
        sign(_shard(folder))
    elif what == "pointers":
        with open_safetensors(_shard(folder)) as file:
            start = 8 + size + file.tensors["row.position"].start
        _shard(folder).write_bytes(header[:start] + b"\xff\xff\xff\x7f" + header[start + 4 :])
        sign(_shard(folder))
    elif what == "another":
        other = _shard(folder, 2).read_bytes()
        journal = (folder / "journal.jsonl").read_text().replace(f'"bytes":{len(header)}', f'"bytes":{len(other)}')
        (folder / "journal.jsonl").write_text(journal)
        _shard(folder).write_bytes(other[: len(other)])
    elif what == "name":
        text = (folder / "journal.jsonl").read_text().replace("000001", "000007")
        (folder / "journal.jsonl").write_text(text)
    elif what == "journal":
        (folder / "journal.jsonl").write_bytes(b"{}\n")
    elif what == "facts":
        (folder / "store.json").write_bytes(b"{")
    else:
        text = (folder / "store.json").read_text().replace("glassbook-activations/1", "glassbook-activations/9")
        (folder / "store.json").write_text(text)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("bit", "000001.safetensors' is damaged: its checksum is not the one in the journal"),
        ("another", "its checksum is not the one in the journal"),
        ("header", "is damaged or not what its name says"),
        ("pointers", "row.position points at what is not there"),
        ("name", "lists 'shards/000007.safetensors' as shard 1"),
        ("journal", "journal.jsonl' is damaged"),
        ("facts", "store.json' is damaged"),
        ("format", "update Glassbook"),
    ],
)
def test_a_damaged_store_is_one_sentence(folder: Path, what: str, words: str) -> None:
    _damage(folder, what)
    with pytest.raises(GlassbookError, match=words):
        open_store(folder).rows(SITES[0])


def test_a_shard_of_another_store_is_told_by_its_widths(folder: Path, tmp_path: Path) -> None:
    harvest(tiny_model(), texts(), SITES[::-1], tmp_path / "other", small())
    text = (folder / "store.json").read_text().replace('"width": 48', '"width": 47')
    (folder / "store.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"holds \(\d+, 48\) at L1.mlp_post and the store says \(\d+, 47\)"):
        open_store(folder).rows(SITES[1])


def test_activations_belong_to_the_model_they_are_of(made: Path) -> None:
    store, identity = open_store(made), tiny_model().identity
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.check_weights(identity)
    with pytest.warns(WeightsWarning, match="are used with tiny-llama"):
        store.check_weights(replace(identity, fingerprint="other", dtype="bfloat16"))
    with pytest.raises(InputError, match="is tiny-llama-2, which is not the same model"):
        store.check_weights(tiny_model(seed=2).identity)


def test_a_store_is_read_while_it_grows(tmp_path: Path) -> None:
    seen: list[ActivationStore] = []

    def look(label: str, done: int, total: int) -> None:
        if done > 300 and not seen:
            seen.append(open_store(tmp_path))

    last = harvest(tiny_model(), texts(), SITES, tmp_path, small(), look)
    assert 0 < seen[0].n_tokens < last.n_tokens and seen[0].facts["counts"]["ended"] is None
    assert torch.equal(seen[0].rows(SITES[0]), last.rows(SITES[0], 0, seen[0].n_tokens))
