"""The encoder at work on one batch of a training: which features are active, found exactly and with little memory.

The product with the encoder is the one large product of a step. It is formed for some rows at a time, so that what is chosen
from is still in the processor's cache, and only what was chosen is kept.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from glassbook.core.devices import widens_bfloat16
from glassbook.features.active import Active, Listed, Whole
from glassbook.features.native.library import above, top_of_rows
from glassbook.features.objective import Step
from glassbook.features.sparse_products import Places, row_products
from glassbook.training.processes import Processes

_CHUNK = 1024
"""Rows whose pre-activations are formed at a time."""

_SLACK = 0.85
"""How far below the last threshold candidates for the next are taken."""

_CLEAR = 1.02
"""How far the limit must lie above a floor by which candidates were taken in rounded numbers, so that none was overlooked."""

_SMALLEST = 1e-3
"""A floor below which candidates are taken from 0 on."""


def encoder_dtype(device: torch.device) -> torch.dtype:
    """Return the precision in which the encoder's product is fastest here; what lists hold of it is in float32 again."""
    if device.type == "cpu":
        return torch.float32 if widens_bfloat16() else torch.bfloat16
    return torch.bfloat16


class Encoding:
    """The features of one batch, before it is known which of them are active."""

    def __init__(
        self,
        x: Float[Tensor, "batch d_in"],
        encoder: Float[Tensor, "n_features d_in"],
        b_enc: Float[Tensor, " n_features"],
        step: Step,
    ) -> None:
        self.x, self.encoder, self.b_enc, self.step = x, encoder, b_enc, step

    def top_of_rows(self, k: int) -> Active:
        """Return the k largest of each row."""
        k = min(k, len(self.encoder))
        if self.step.whole:
            pre = self._pre()
            mask = torch.zeros_like(pre, dtype=torch.bool).scatter(-1, pre.topk(k, dim=-1).indices, True)
            return Whole(pre, mask, self.step.dtype)
        bias = self.b_enc.detach()
        found = [top_of_rows(chunk, bias, k) for _, chunk in self._chunks()]
        rows = torch.arange(len(self.x)).repeat_interleave(k)
        places = self._places(rows, torch.cat([features for features, _ in found]).view(-1))
        return self._listed(places, self._exact(places, torch.cat([values for _, values in found]).view(-1)))

    def top_of_batch(self, n: int) -> tuple[Active, Float[Tensor, ""]]:
        """Return the n largest of the whole batch as far as they are above 0, and the smallest of them.

        Those as large as the smallest are all taken; it is 0 where there are fewer than n.
        """
        if self.step.whole:
            pre = self._pre()
            limit = nth_largest(pre.detach().flatten(), n, self.step.processes)
            return Whole(pre, (pre >= limit) & (pre > 0), self.step.dtype), limit
        share = self.step.processes
        floor = self.step.floor * _SLACK or float(share.summed(self._guess(n))) / share.size
        while True:
            places, values = self._above(floor)
            if floor == 0 or int(share.summed(torch.tensor(len(values)))) >= n:
                limit = nth_largest(values, n, share)
                if floor == 0 or limit >= floor * (1 if self.step.dtype is torch.float32 else _CLEAR):
                    break
            floor = floor / 2 if floor > _SMALLEST else 0.0
        kept = (values >= limit).nonzero().view(-1)
        return self._listed(self._places(places.bags[kept], places.features[kept]), values[kept]), limit

    def above(self, floors: Float[Tensor, " n_features"] | float) -> Active:
        """Return what is above its feature's floor."""
        if self.step.whole:
            pre = self._pre()
            mask = None if isinstance(floors, float) and floors == 0 else pre > floors
            return Whole(pre, mask, self.step.dtype)
        return self._listed(*self._above(floors))

    def _pre(self) -> Float[Tensor, "batch n_features"]:
        with torch.autocast(self.x.device.type, torch.bfloat16, enabled=self.step.dtype is torch.bfloat16):
            return F.linear(self.x, self.encoder, self.b_enc).float()

    def _places(self, rows: Tensor, features: Tensor) -> Places:
        return Places(rows, features, len(self.x), len(self.encoder))

    def _listed(self, places: Places, values: Tensor) -> Listed:
        return Listed(places, row_products(self.x, self.encoder, self.b_enc, places, values))

    def _exact(self, places: Places, values: Tensor) -> Float[Tensor, " entries"]:
        """Return the pre-activations of chosen places in float32, whatever precision they were chosen in."""
        if self.step.dtype is torch.float32:
            return values
        with torch.no_grad():
            return row_products(self.x, self.encoder, self.b_enc, places)

    def _chunks(self) -> Iterator[tuple[int, Float[Tensor, "rows n_features"]]]:
        """Yield the first row of each part of the batch and its product with the encoder, which the next is written over."""
        dtype = self.step.dtype
        with torch.no_grad():
            weight = self.encoder.detach().to(dtype).T
            memory = torch.empty(min(_CHUNK, len(self.x)), len(self.encoder), dtype=dtype)
            for first in range(0, len(self.x), _CHUNK):
                rows = self.x[first : first + _CHUNK].detach().to(dtype)
                yield first, torch.mm(rows, weight, out=memory[: len(rows)])

    def _above(self, floors: Tensor | float) -> tuple[Places, Float[Tensor, " entries"]]:
        """Return all places above the floor, row by row, with their values."""
        bias = self.b_enc.detach()
        limits = torch.as_tensor(floors, dtype=torch.float32).expand(len(self.encoder))
        rows, features, values = [], [], []
        for first, chunk in self._chunks():
            found = above(chunk, bias, limits)
            rows.append(found[0] + first)
            features.append(found[1])
            values.append(found[2])
        places = self._places(torch.cat(rows), torch.cat(features))
        return places, self._exact(places, torch.cat(values))

    def _guess(self, n: int) -> Float[Tensor, ""]:
        """Return about where the n-th largest of the batch is, from its first rows."""
        _, chunk = next(self._chunks())
        share = max(n * len(chunk) // self.step.n_rows, 1)
        return _nth((chunk + self.b_enc.detach()).flatten().float(), share) * _SLACK


def nth_largest(values: Float[Tensor, " n"], n: int, processes: Processes) -> Float[Tensor, ""]:
    """Return the n-th largest of all processes' values that are above 0; 0 where there are fewer."""
    if processes.size == 1:
        return _nth(values, n)
    # Floats above 0 are in the order of their bits, so the largest limit that n values reach is found bit by bit.
    bits = values.clamp(min=0).float().contiguous().view(torch.int32)
    limit = 0
    for place in range(30, -1, -1):
        tried = limit | 1 << place
        if int(processes.summed((bits >= tried).sum())) >= n:
            limit = tried
    return torch.tensor(limit, dtype=torch.int32).view(torch.float32).to(values.device)


def _nth(values: Float[Tensor, " n"], n: int) -> Float[Tensor, ""]:
    if len(values) < n:
        return values.new_zeros(())
    if values.device.type != "cpu":
        return values.topk(n, sorted=False).values.min().clamp(min=0)
    return values.kthvalue(len(values) - n + 1).values.clamp(min=0)
