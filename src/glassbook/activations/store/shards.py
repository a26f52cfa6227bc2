"""Shards: safetensors files with the rows of every Site and the contexts they are from, mapped into memory to be read."""

import mmap
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.activations.store.journal import Shard
from glassbook.activations.store.packing import Context, padded
from glassbook.activations.store.places import Folder, Place
from glassbook.activations.store.reading import Rows
from glassbook.core.errors import FileFormatError
from glassbook.core.sites import Site
from glassbook.files.hashes import sha256_file
from glassbook.files.reading import damaged
from glassbook.files.safetensors import open_safetensors, write_safetensors
from glassbook.models.identity import tensor_bytes

ROW_BYTES = 8
"""What a shard holds of each row beside its values."""
TOKEN_BYTES = 8
"""What a shard holds of each token of a context, positions that were left out included."""

_STORED = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
_READ = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "I32": torch.int32}
_ROW_CONTEXT, _ROW_POSITION = "row.context", "row.position"
_TOKENS, _DOCUMENTS, _LENGTHS = "context.tokens", "context.documents", "context.lengths"
_MOST_MAPPED = 512
_NONE = torch.empty(0, dtype=torch.uint8)


def write_shard(path: Path, parts: Sequence[Rows], contexts: list[Context], width: int, dtype: torch.dtype) -> None:
    """Write what was kept of some contexts atomically; the same rows give the same bytes."""
    n_rows = sum(len(part.contexts) for part in parts)
    tokens, documents, lengths = padded(contexts, width)
    whole = {_TOKENS: [tokens], _DOCUMENTS: [documents], _LENGTHS: [lengths]}
    rows = {_ROW_CONTEXT: [part.contexts for part in parts], _ROW_POSITION: [part.positions for part in parts]}
    # Whole numbers first: what lies behind values of two bytes may lie askew.
    entries = [(name, "I32", tuple(values[0].shape), _contents(values)) for name, values in whole.items()]
    entries += [(name, "I32", (n_rows,), _contents(values)) for name, values in rows.items()]
    for site, first in parts[0].values.items():
        values = [part.values[site] for part in parts]
        entries.append((str(site), _STORED[dtype], (n_rows, first.shape[1]), _contents(values)))
    write_safetensors(path, entries)


def _contents(values: Sequence[Tensor]) -> Iterator[memoryview]:
    return (tensor_bytes(value) for value in values if value.numel())


@dataclass(frozen=True, slots=True)
class MappedShard:
    """The tensors of one file, mapped: what is not looked at is not read."""

    mapping: mmap.mmap

    values: Mapping[Site, Float[Tensor, "row _"]]
    row_context: Int[Tensor, " row"]
    row_position: Int[Tensor, " row"]
    tokens: Int[Tensor, "context pos"]
    documents: Int[Tensor, "context pos"]
    lengths: Int[Tensor, " context"]

    def let_go(self) -> None:
        """Give back the memory of what was looked at; looked at again, it is read again."""
        self.mapping.madvise(mmap.MADV_DONTNEED)


def map_shard(path: Path, sites: Mapping[Site, int], dtype: torch.dtype) -> MappedShard:
    """Return a shard's tensors; raise FileFormatError where it is damaged or does not hold `sites` at these widths."""
    with open_safetensors(path) as file:
        found = dict(file.tensors)
        # The tensors tile the data part, so where it begins follows from where it ends.
        start = file.size - max((info.stop for info in found.values()), default=0)
        size = file.size
    wanted = [_ROW_CONTEXT, _ROW_POSITION, _TOKENS, _DOCUMENTS, _LENGTHS, *map(str, sites)]
    kinds = ["I32"] * 5 + [_STORED[dtype]] * len(sites)
    missing = [name for name, kind in zip(wanted, kinds, strict=True) if name not in found or found[name].dtype != kind]
    if missing:
        raise damaged(path, f"it holds no {missing[0]} of the kind that the store says")
    with open(path, "rb") as raw_file:
        # Copy on write, since torch warns of memory that must not be written to; nothing writes to it.
        mapping = mmap.mmap(raw_file.fileno(), size, access=mmap.ACCESS_COPY)
    tensors = {}
    for name in wanted:
        info = found[name]
        raw = (
            torch.frombuffer(mapping, dtype=torch.uint8, offset=start + info.start, count=info.nbytes)
            if info.nbytes
            else _NONE
        )
        tensors[name] = raw.view(_READ[info.dtype]).view(info.shape)
    _check_shapes(path, tensors, sites)
    values = {site: tensors[str(site)] for site in sites}
    return MappedShard(mapping, values, *(tensors[name] for name in wanted[:5]))


def _check_shapes(path: Path, tensors: Mapping[str, Tensor], sites: Mapping[Site, int]) -> None:
    n_rows, n_contexts = len(tensors[_ROW_CONTEXT]), len(tensors[_LENGTHS])
    for site, width in sites.items():
        if tensors[str(site)].shape != (n_rows, width):
            shape = tuple(tensors[str(site)].shape)
            raise FileFormatError(
                f"'{path}' holds {shape} at {site} and the store says ({n_rows}, {width}); harvest again"
            )
    if tensors[_TOKENS].shape != tensors[_DOCUMENTS].shape or len(tensors[_TOKENS]) != n_contexts:
        raise damaged(path, "its contexts differ in number")
    for name, size in ((_ROW_CONTEXT, n_contexts), (_ROW_POSITION, tensors[_TOKENS].shape[-1])):
        where = tensors[name]
        if n_rows and not 0 <= int(where.min()) <= int(where.max()) < size:
            raise damaged(path, f"its {name} points at what is not there")


class Shards:
    """The acknowledged shards of a place, mapped when they are needed, the last few hundred kept so."""

    def __init__(self, place: Place, shards: Sequence[Shard], sites: Mapping[Site, int], dtype: torch.dtype) -> None:
        self.place, self.shards, self.sites, self.dtype = place, list(shards), dict(sites), dtype
        self.row_starts = np.cumsum([0, *(shard.rows for shard in shards)])
        self.context_starts = np.cumsum([0, *(shard.contexts for shard in shards)])
        self._mapped: OrderedDict[int, MappedShard] = OrderedDict()
        self._whole: set[int] = set()
        self._most = _MOST_MAPPED if isinstance(place, Folder) else 1

    def check_sizes(self) -> None:
        """Raise FileFormatError for the first shard that is missing or not as long as it was."""
        for shard in self.shards:
            size = self.place.size(shard.name)
            if size != shard.bytes:
                what = "is missing" if size is None else f"has {size:,} bytes, not {shard.bytes:,}"
                raise FileFormatError(
                    f"'{self.place}/{shard.name}' {what}; fetch it again or harvest into another folder"
                )

    def __getitem__(self, number: int) -> MappedShard:
        if number in self._mapped:
            self._mapped.move_to_end(number)
            return self._mapped[number]
        shard = self.shards[number]
        found = map_shard(self._checked(number), self.sites, self.dtype)
        if len(found.row_context) != shard.rows or len(found.lengths) != shard.contexts:
            raise FileFormatError(
                f"'{self.place}/{shard.name}' is not what the journal says; harvest into another folder"
            )
        self._mapped[number] = found
        while len(self._mapped) > self._most:
            self._mapped.popitem(last=False)
        return found

    def _checked(self, number: int) -> Path:
        """Return the file of a shard; raise FileFormatError where its bytes, read once, are not those that were written."""
        shard = self.shards[number]
        path = self.place.path(shard.name)
        if number not in self._whole and sha256_file(path) != shard.sha256:
            raise FileFormatError(
                f"'{self.place}/{shard.name}' is damaged: its checksum is not the one in the journal; fetch it again or "
                "harvest into another folder"
            )
        self._whole.add(number)
        return path

    def of_context(self, number: int) -> tuple[int, int]:
        """Return the shard that holds a context, and the context's place in it."""
        at = int(np.searchsorted(self.context_starts, number, side="right")) - 1
        return at, number - int(self.context_starts[at])

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, slice]]:
        """Yield the shards that hold rows `start` to `stop`, and which of their rows these are."""
        first = int(np.searchsorted(self.row_starts, start, side="right")) - 1
        for number in range(max(first, 0), len(self.shards)):
            begin, end = int(self.row_starts[number]), int(self.row_starts[number + 1])
            if begin >= stop:
                return
            if max(start, begin) < min(stop, end):
                yield number, slice(max(start, begin) - begin, min(stop, end) - begin)
