"""Scaled dot-product attention with grouped queries, and the cache of past keys and values."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from glassbook.core.taps import At
from glassbook.models.linear import Linear, is_widened

# Where padding stands: beyond every token, so that none sees it.
_NOWHERE = 1 << 40


class KVCache:
    """Keys and values of the tokens so far, in memory taken once.

    Prompts of unequal length are padded on the right, so a row may have columns that hold no token of its own; `hide` marks
    them, and no later token sees them. The tokens that follow count on from their own row's end.
    """

    def __init__(self, shape: tuple[int, int, int, int, int], dtype: torch.dtype, device: torch.device) -> None:
        """Take memory for `shape` = (n_layers, batch, n_kv_heads, columns, d_head)."""
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.filled = 0
        # A network's blocks laid out for the kernel over this memory; empty where it knows not all of them.
        self.steps: Any = None
        self._places: Int[Tensor, "batch columns"] | None = None

    def extend(
        self, layer: int, k: Float[Tensor, "batch pos kv d"], v: Float[Tensor, "batch pos kv d"]
    ) -> tuple[Tensor, Tensor]:
        """Store one layer's new keys and values; return all up to them, each `[batch kv columns d]`, as precise as the new."""
        start, n_new = self.filled, k.shape[1]
        keys, values = self.keys[layer], self.values[layer]
        keys.narrow(2, start, n_new).copy_(k.transpose(1, 2))
        values.narrow(2, start, n_new).copy_(v.transpose(1, 2))
        return keys.narrow(2, 0, start + n_new).to(k.dtype), values.narrow(2, 0, start + n_new).to(v.dtype)

    def hide(self, lengths: list[int]) -> None:
        """Mark the filled columns at and beyond each row's length as padding."""
        if min(lengths) == self.filled:
            return
        columns = torch.arange(self.keys.shape[3], device=self.keys.device)
        ends = torch.tensor(lengths, device=self.keys.device)[:, None]
        later = columns - self.filled + ends
        self._places = torch.where(columns < ends, columns, torch.where(columns < self.filled, _NOWHERE, later))

    def mask(self, n_new: int, window: int = 0) -> Bool[Tensor, "rows 1 new columns"] | None:
        """Return which columns each of `n_new` tokens sees, or None where plain causal attention says it all.

        With a window a token sees so many tokens of its row, itself the last of them.
        """
        end = self.filled + n_new
        is_narrow = 0 < window < end
        if self._places is None and not is_narrow and (n_new == 1 or self.filled == 0):
            return None
        places = torch.arange(end, device=self.keys.device)[None] if self._places is None else self._places[:, :end]
        return _visible(places[:, self.filled :], places, window if is_narrow else 0)

    def repeated(self, n: int) -> "KVCache":
        """Return a cache with every row `n` times, for several samples of one prompt."""
        copy = KVCache.__new__(KVCache)
        copy.keys, copy.values = self.keys.repeat_interleave(n, 1), self.values.repeat_interleave(n, 1)
        copy.filled, copy.steps = self.filled, None
        copy._places = None if self._places is None else self._places.repeat_interleave(n, 0)
        return copy

    def keep(self, rows: Tensor) -> None:
        """Keep only these rows, when the others have finished."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]
        self._places = None if self._places is None else self._places[rows]


class Behind(KVCache):
    """What several rows look back at in common: some rows of a cache, each seen by `times` rows, to which nothing is added."""

    def __init__(self, keys: Tensor, values: Tensor, times: int) -> None:
        """Look back at keys and values of `[layer row kv columns d]`, which may be filled in until they are looked at."""
        self.keys, self.values, self.times = keys, values, times
        self.filled, self.steps, self._places = keys.shape[3], None, None

    def extend(
        self, layer: int, k: Float[Tensor, "batch pos kv d"], v: Float[Tensor, "batch pos kv d"]
    ) -> tuple[Tensor, Tensor]:
        """Return one layer's keys and values up to the new ones, each `[batch kv columns d]`; the new ones are not kept."""
        keys, values = (held[layer].repeat_interleave(self.times, 0) for held in (self.keys, self.values))
        return torch.cat((keys, k.transpose(1, 2)), 2), torch.cat((values, v.transpose(1, 2)), 2)


def windowed(pos: int, window: int, device: torch.device) -> Bool[Tensor, "1 1 pos pos"] | None:
    """Return the mask of a pass without a cache: None where plain causal attention says it all, as without a window."""
    if not 0 < window < pos:
        return None
    places = torch.arange(pos, device=device)[None]
    return _visible(places, places, window)


def attend(
    q: Float[Tensor, "batch pos heads d"],
    k: Float[Tensor, "batch kv columns d"],
    v: Float[Tensor, "batch kv columns d"],
    at: At,
    mask: Bool[Tensor, "rows 1 pos columns"] | None,
    scale: float | None = None,
    softcap: float = 0.0,
) -> Float[Tensor, "batch pos heads d"]:
    """Return z, the values mixed by softmax(q k * scale), Vaswani et al. 2017 (1706.03762), equation 1.

    Without a mask attention is causal; a single query then sees every column. `scale` is 1 / sqrt(d) unless another is
    given; a `softcap` c bends the scaled scores s to c tanh(s / c). Scores and pattern are formed only when somebody wants
    them, or for a cap, which the fused kernel does not know.
    """
    if softcap or at.wants("attn_scores", "pattern"):
        # In float32 at least, as the fused kernel computes inside.
        wide = torch.promote_types(q.dtype, torch.float32)
        scores = _scores(q.to(wide), k.to(wide), scale, softcap)
        return _attend_openly(scores, v.to(wide), at, mask).to(q.dtype)
    batch, pos, heads, d = q.shape
    if is_widened(q, batch * pos):
        return attend(q.float(), k.float(), v.float(), at, mask, scale).to(q.dtype)
    if pos == 1:
        # One query sees all that is visible, so the heads of a group can stand as rows of one product.
        folded = q.reshape(batch, k.shape[1], heads // k.shape[1], d)
        return F.scaled_dot_product_attention(folded, k, v, attn_mask=mask, scale=scale).reshape(batch, 1, heads, d)
    is_grouped = heads != k.shape[1]
    z = F.scaled_dot_product_attention(
        q.transpose(1, 2), k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=is_grouped
    )
    return z.transpose(1, 2)


def write(z: Float[Tensor, "batch pos heads d"], out: Linear, at: At) -> Float[Tensor, "batch pos d_model"]:
    """Return what the heads write together, each one's part formed only when somebody wants it."""
    if not at.wants("result"):
        return out(z.flatten(2))
    per_head = out.weight.T.unflatten(0, z.shape[2:])
    written = at("result", torch.einsum("bphd,hdm->bphm", z, per_head)).sum(2)
    return written if out.bias is None else written + out.bias


def bend(scores: Float[Tensor, "*any"], cap: float) -> Float[Tensor, "*any"]:
    """Return cap tanh(scores / cap), which never leaves (-cap, cap); a cap of 0 is none."""
    return torch.tanh(scores / cap) * cap if cap else scores


def _visible(
    queries: Int[Tensor, "rows new"], keys: Int[Tensor, "rows columns"], window: int
) -> Bool[Tensor, "rows 1 new columns"]:
    """Return which keys each query sees: those not after it, and with a window no farther back than that."""
    distance = queries.unsqueeze(2) - keys.unsqueeze(1)
    is_seen = (distance >= 0) & (distance < window) if window else distance >= 0
    return is_seen.unsqueeze(1)


def _scores(q: Tensor, k: Tensor, scale: float | None, softcap: float) -> Tensor:
    batch, pos, heads, d = q.shape
    grouped = q.reshape(batch, pos, k.shape[1], heads // k.shape[1], d).permute(0, 2, 3, 1, 4)
    scores = (grouped @ k.unsqueeze(2).mT).flatten(1, 2) * (d**-0.5 if scale is None else scale)
    return bend(scores, softcap)


def _attend_openly(scores: Tensor, v: Tensor, at: At, mask: Tensor | None) -> Tensor:
    heads, pos, columns = scores.shape[1:]
    if mask is None:
        index = torch.arange(columns, device=scores.device)
        mask = index <= index[columns - pos :, None]
    scores = at("attn_scores", scores.masked_fill(~mask, -torch.inf))
    pattern = at("pattern", scores.softmax(-1))
    z = pattern.unflatten(1, (v.shape[1], heads // v.shape[1])) @ v.unsqueeze(2)
    return z.flatten(1, 2).transpose(1, 2)
