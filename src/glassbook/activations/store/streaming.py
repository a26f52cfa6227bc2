"""Activations straight through memory: the rows and order of a harvest, a bounded pool to shuffle in, no disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassbook.activations.store.harvesting import calibration_contexts
from glassbook.activations.store.order import POOL, Batch, Drawing, shuffled_within
from glassbook.activations.store.packing import Context, Packer
from glassbook.activations.store.reading import Reader, limits_of
from glassbook.activations.store.settings import Harvest
from glassbook.core.devices import as_dtype
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.text.corpora import Corpus, Source, open_corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """How streamed rows are drawn: rows in a batch and in the pool among which they are shuffled, seed, precision, device."""

    batch_size: int
    seed: int = 0
    dtype: str = "float32"
    device: str = "cpu"
    pool: int = POOL

    def __post_init__(self) -> None:
        if min(self.batch_size, self.pool) < 1:
            raise InputError(
                f"a batch of {self.batch_size} rows from a pool of {self.pool} cannot be drawn; give at least 1 of each"
            )


def stream(
    model: Model,
    corpus: Source | Corpus,
    sites: str | Site | Sequence[str | Site],
    settings: Harvest | None = None,
    *,
    batch_size: int,
    **drawn: object,
) -> "StreamedRows":
    """Return a Stream over the activations of a corpus: what `batches(order="harvest")` of a store with these settings gives.

    `drawn` takes the other fields of `Drawn`: seed, dtype, device, pool. Several Sites give tuples of batches of the same tokens.
    """
    reader, text = Reader(model, sites, settings or Harvest()), open_corpus(corpus)
    is_single = isinstance(sites, str | Site) and len(reader.sites) == 1
    return StreamedRows(reader, text, Drawn(batch_size=batch_size, **drawn), is_single)  # type: ignore[arg-type]


class StreamedRows:
    """A Stream of batches whose rows are computed when they are asked for; it can be iterated over."""

    def __init__(self, reader: Reader, corpus: Corpus, drawn: Drawn, is_single: bool) -> None:
        self.reader, self.corpus, self.drawn = reader, corpus, drawn
        dtype, device = as_dtype(drawn.dtype), torch.device(drawn.device)
        self._drawing = Drawing(batch_size=drawn.batch_size, seed=drawn.seed, epochs=1, dtype=dtype, device=device)
        self._is_single = is_single
        self.packer = Packer(corpus, reader.tokenizer, reader.settings)
        self.n_rows, self.n_pools = 0, 0
        self._limits: dict[Site, float] | None = None
        # Rows beyond the pool, in the order of the harvest, and rows of the pool, shuffled, that were not handed out yet.
        self._coming, self._waiting = self._none(), self._none()

    def next(self) -> Batch:
        """Return the next batch; raise InputError where the corpus, or what was asked of it, has no more."""
        found = self._next()
        if found is None:
            raise InputError(
                f"'{self.corpus.name}' gave {self.n_rows:,} rows and no further batch of {self.drawn.batch_size:,}; "
                "give a longer corpus, or ask for as many batches as that fills"
            )
        return found

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._next, None)

    def _next(self) -> Batch | None:
        size = self.drawn.batch_size
        while len(self._waiting[0]) < size:
            pool = self._next_pool()
            if pool is None:
                return None
            self._waiting = _joined([self._waiting, pool])
        batch = [values[:size] for values in self._waiting]
        self._waiting = [values[size:] for values in self._waiting]
        return self._drawing.handed_out(batch, self._is_single)

    def _next_pool(self) -> list[Tensor] | None:
        """Return the next rows of the harvest, shuffled; None where there are none."""
        parts, n_rows = [self._coming], len(self._coming[0])
        while n_rows < self.drawn.pool and (contexts := self._next_contexts()):
            for part in self.reader.rows(contexts, self._limits or {}):
                parts.append([part.values[site] for site in self.reader.sites])
                n_rows += len(part.contexts)
                self.n_rows += len(part.contexts)
        rows = _joined(parts)
        pool, self._coming = ([values[part] for values in rows] for part in self._cut)
        if not len(pool[0]):
            return None
        order = shuffled_within(len(pool[0]), self.drawn.seed, 0, self.n_pools)
        self.n_pools += 1
        return [values[order] for values in pool]

    @property
    def _cut(self) -> tuple[slice, slice]:
        return slice(self.drawn.pool), slice(self.drawn.pool, None)

    def _next_contexts(self) -> list[Context]:
        """Return the contexts of the next pass, no more than can be wanted."""
        how = self.reader.settings
        if self._limits is None:
            first = self.packer.look(calibration_contexts(how))
            self._limits = limits_of(self.reader.median_norms(first), how) if first and how.policy.norm_multiple else {}
        wanted = float("inf") if how.tokens is None else how.tokens - self.n_rows
        found: list[Context] = []
        while wanted > 0 and len(found) < how.batch_size and (context := self.packer.next()):
            found.append(context)
            wanted -= self.reader.most_rows(context)
        return found

    @property
    def facts(self) -> dict[str, Any]:
        """Return weights, settings, and the corpus with number and checksum of the documents read so far, as a store does."""
        info, source = self.corpus.info, self.packer.source
        corpus = {"name": info.name, "licence": info.licence, "origin": info.origin}
        return {
            "weights": self.reader.model.identity.to_dict(),
            "corpus": corpus | {"documents": source.read, "sha256": source.sha256},
            "settings": self.reader.settings.asked(),
            "counts": {"tokens": self.n_rows},
        }

    def state(self) -> dict[str, Tensor]:
        """Return where the stream stands: documents read, contexts that wait, and rows that were not handed out yet."""
        found = {f"packer/{name}": value for name, value in self.packer.state().items()}
        found["numbers"] = torch.tensor([self.n_rows, self.n_pools, int(self._limits is not None)])
        for number, site in enumerate(self.reader.sites):
            found[f"coming/{number}"] = self._coming[number].clone()
            found[f"waiting/{number}"] = self._waiting[number].clone()
            limit = (self._limits or {}).get(site, float("inf"))
            found[f"limit/{number}"] = torch.tensor(limit, dtype=torch.float64)
        return found

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        inside = {name.removeprefix("packer/"): value for name, value in state.items() if name.startswith("packer/")}
        self.packer.load_state(inside)
        self.n_rows, self.n_pools, has_limits = state["numbers"].tolist()
        sites = self.reader.sites
        self._coming, self._waiting = (
            [state[f"{name}/{number}"].clone() for number in range(len(sites))] for name in ("coming", "waiting")
        )
        limits = {site: float(state[f"limit/{number}"]) for number, site in enumerate(sites)}
        self._limits = limits if has_limits else None

    def _none(self) -> list[Tensor]:
        reader = self.reader
        return [torch.empty(0, reader.widths[site], dtype=reader.dtype) for site in reader.sites]


def _joined(parts: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    return [torch.cat(values) for values in zip(*parts, strict=True)]
