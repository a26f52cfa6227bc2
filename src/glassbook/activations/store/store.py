"""The read side of a harvest: rows by Site, what token each belongs to, and shuffled batches of them."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.activations.store.journal import Facts, Shard, read_facts, read_journal
from glassbook.activations.store.order import POOL, AsHarvested, ByShard, Drawing, Order, Shuffled, ShuffledRows
from glassbook.activations.store.packing import Context
from glassbook.activations.store.places import Folder, Place, as_place
from glassbook.activations.store.shards import MappedShard, Shards
from glassbook.core.devices import as_dtype
from glassbook.core.errors import FileFormatError, InputError, SiteError
from glassbook.core.sites import Site
from glassbook.files.hashes import sha256_file
from glassbook.models.identity import Identity

Ordering = Literal["blocks", "shards", "harvest"]
"""`blocks`: from everywhere in the store; `shards`: one shard after another; `harvest`: rows change places in their pool only."""


class WeightsWarning(UserWarning):
    """Activations of one precision or quantization of a model are used with another."""


class ActivationStore:
    """What a harvest left in a folder, read-only; row i of every Site belongs to one and the same token."""

    def __init__(self, place: Place, facts: Facts, shards: Sequence[Shard]) -> None:
        self.folder = str(place)
        self.about = facts
        self.identity = Identity(**facts.weights)
        self.dtype = as_dtype(str(facts.settings["dtype"]))
        self._widths = {Site.parse(name): one.width for name, one in facts.sites.items()}
        self.sites = tuple(self._widths)
        self.shards = Shards(place, shards, self._widths, self.dtype)
        self.n_tokens = int(self.shards.row_starts[-1])
        self.n_contexts = int(self.shards.context_starts[-1])

    def __repr__(self) -> str:
        sites = ", ".join(map(str, self.sites))
        return f"<{self.n_tokens:,} tokens of {self.about.corpus['name']} at {sites} of {self.identity.label}>"

    def __len__(self) -> int:
        return self.n_tokens

    @property
    def facts(self) -> dict[str, Any]:
        """Return all that is recorded: weights, corpus with the checksum of the documents read, settings, counts, versions."""
        shards = self.shards.shards
        last = shards[-1] if shards else None
        sums = ("start", "norm")
        counts = {
            "tokens": self.n_tokens,
            "contexts": self.n_contexts,
            "bytes": sum(shard.bytes for shard in shards),
            "left_out": {name: sum(shard.left_out[name] for shard in shards) for name in sums},
            "left_out_at": {site: sum(s.left_out_at.get(site, 0) for s in shards) for site in self.about.sites},
            "ended": last.ended if last else None,
        }
        read = {"documents": last.documents, "sha256": last.documents_sha256} if last else {}
        found: dict[str, Any] = msgspec.to_builtins(self.about)
        return found | {"corpus": found["corpus"] | read, "counts": counts}

    def width(self, site: str | Site) -> int:
        """Return how long a row of a Site is."""
        return self._widths[self._known(site)]

    @property
    def d_model(self) -> int:
        """Return the width that all Sites share; raise SiteError where they differ."""
        if len(set(self._widths.values())) > 1:
            raise SiteError(f"the Sites of '{self.folder}' differ in width; ask for width(site)")
        return next(iter(self._widths.values()))

    def batches(
        self,
        site: str | Site | Sequence[str | Site],
        batch_size: int,
        *,
        seed: int,
        epochs: int | None = 1,
        rows: tuple[int, int] | None = None,
        order: Ordering | None = None,
        **how: Any,
    ) -> ShuffledRows:
        """Return a Stream of shuffled batches; several Sites give tuples of batches of the same tokens.

        `rows` keeps to a part of the store, so that another can be held out; `epochs=None` never ends. `how`: `dtype`
        (float32), `device` (cpu), and `pool`, the number of rows in memory among which batches are drawn (65,536).
        """
        is_single = isinstance(site, str | Site)
        sites = [self._known(one) for one in ([site] if isinstance(site, str | Site) else site)]
        part = self._part(*rows) if rows else (0, self.n_tokens)
        dtype, device = as_dtype(how.pop("dtype", "float32")), torch.device(how.pop("device", "cpu"))
        drawing = Drawing(batch_size=batch_size, seed=seed, epochs=epochs, dtype=dtype, device=device)
        found = self._order(part, seed, order, int(how.pop("pool", POOL)))
        if how:
            raise InputError(f"batches have no '{next(iter(how))}'; give dtype, device or pool")
        return ShuffledRows(self.shards, sites, found, drawing, is_single)

    def _order(self, part: tuple[int, int], seed: int, order: Ordering | None, pool: int) -> Order:
        if pool < 1:
            raise InputError(f"a pool of {pool} rows holds nothing; ask for at least 1")
        known = order or ("blocks" if isinstance(self.shards.place, Folder) else "shards")
        if known == "harvest":
            return AsHarvested(part, pool)
        return Shuffled(part, seed, pool) if known == "blocks" else ByShard(part, seed, self.shards.row_starts)

    def rows(self, site: str | Site, start: int = 0, stop: int | None = None) -> Float[Tensor, "n width"]:
        """Return rows in the order of the harvest and the stored precision; within one shard without a copy."""
        known = self._known(site)
        empty = torch.empty(0, self._widths[known], dtype=self.dtype)
        return self._joined(lambda shard, rows, _: shard.values[known][rows], start, stop, empty)

    def tokens(self, start: int = 0, stop: int | None = None) -> Int[Tensor, " n"]:
        """Return the token of each row."""
        return self._joined(lambda shard, rows, _: _of_rows(shard.tokens, shard, rows), start, stop)

    def documents(self, start: int = 0, stop: int | None = None) -> Int[Tensor, " n"]:
        """Return the number of each row's document in the corpus."""
        return self._joined(lambda shard, rows, _: _of_rows(shard.documents, shard, rows), start, stop)

    def positions(self, start: int = 0, stop: int | None = None) -> Int[Tensor, " n"]:
        """Return each row's position in its context."""
        return self._joined(lambda shard, rows, _: shard.row_position[rows].long(), start, stop)

    def contexts(self, start: int = 0, stop: int | None = None) -> Int[Tensor, " n"]:
        """Return the number of each row's context, for `context`."""
        starts = self.shards.context_starts
        return self._joined(
            lambda shard, rows, number: shard.row_context[rows].long() + int(starts[number]), start, stop
        )

    def context(self, number: int) -> Context:
        """Return one context as the model read it, positions that were left out included."""
        if not 0 <= number < self.n_contexts:
            raise InputError(f"there is no context {number}; they run from 0 to {self.n_contexts - 1}")
        at, inside = self.shards.of_context(number)
        shard = self.shards[at]
        n = int(shard.lengths[inside])
        return Context(shard.tokens[inside, :n].numpy().copy(), shard.documents[inside, :n].numpy().copy())

    def check_weights(self, identity: Identity) -> None:
        """Raise InputError where a model is not the one harvested from; warn where it is another precision of it."""
        ours = self.identity
        if ours.fingerprint == identity.fingerprint:
            return
        if ours.lineage != identity.lineage:
            raise InputError(
                f"the activations in '{self.folder}' are of {ours.label} and this model is {identity.label}, "
                "which is not the same model; open that one or harvest from this one"
            )
        warnings.warn(
            f"the activations in '{self.folder}' are of {ours.label} ({ours.dtype}) and are used with "
            f"{identity.label} ({identity.dtype})",
            WeightsWarning,
            stacklevel=3,
        )

    def faults(self) -> list[str]:
        """Return one sentence for each shard that is not as it was written; all of them are read."""
        found = []
        for shard in self.shards.shards:
            size = self.shards.place.size(shard.name)
            if size != shard.bytes:
                found.append(
                    f"{shard.name} is missing"
                    if size is None
                    else f"{shard.name} has {size:,} bytes, not {shard.bytes:,}"
                )
            elif sha256_file(self.shards.place.path(shard.name)) != shard.sha256:
                found.append(f"{shard.name} has the right size but another content")
        return found

    def _known(self, site: str | Site) -> Site:
        found = Site.parse(site)
        if found not in self._widths:
            held = ", ".join(map(str, self.sites))
            raise SiteError(f"'{found}' was not harvested into '{self.folder}'; it holds {held}")
        return found

    def _part(self, start: int, stop: int | None) -> tuple[int, int]:
        end = self.n_tokens if stop is None else stop
        if not 0 <= start <= end <= self.n_tokens:
            raise InputError(f"there are no rows {start:,} to {end:,} in '{self.folder}'; it has {self.n_tokens:,}")
        return start, end

    def _joined(
        self,
        of: Callable[[MappedShard, slice, int], Tensor],
        start: int,
        stop: int | None,
        empty: Tensor | None = None,
    ) -> Tensor:
        pieces = self.shards.pieces(*self._part(start, stop))
        found = [of(self.shards[number], rows, number) for number, rows in pieces]
        if not found:
            return torch.empty(0, dtype=torch.int64) if empty is None else empty
        return found[0] if len(found) == 1 else torch.cat(found)


def _of_rows(values: Tensor, shard: MappedShard, rows: slice) -> Int[Tensor, " n"]:
    return values[shard.row_context[rows].long(), shard.row_position[rows].long()].long()


def open_store(folder: str | Path) -> ActivationStore:
    """Return the store in a folder or at an fsspec URL, as far as it is harvested.

    Raises FileFormatError where there is none, or a shard is missing or cut short. A shard's bytes are held against their
    checksum when they are first needed; `faults` reads all of them.
    """
    place = as_place(folder)
    facts = read_facts(place)
    if facts is None:
        raise FileFormatError(f"'{place}' holds no activations; make them with glassbook features harvest")
    store = ActivationStore(place, facts, read_journal(place))
    store.shards.check_sizes()
    return store
