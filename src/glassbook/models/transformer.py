"""What every decoder-only transformer here has in common: the way through it, and its weights under the field's names."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glassbook.core.sites import KINDS
from glassbook.core.taps import IDLE, Span, Taps
from glassbook.models.attention import KVCache
from glassbook.models.config import Config


class Transformer(nn.Module, ABC):
    """A stack of blocks over a residual stream: `enter` it, `climb` the blocks, `read` the logits."""

    missing_sites: ClassVar[tuple[str, ...]] = ()
    config: Config
    embed: nn.Embedding
    blocks: nn.ModuleList

    @property
    @abstractmethod
    def unembed_weight(self) -> Float[Tensor, "d_vocab d_model"]:
        """Return the matrix whose rows score the tokens."""

    @abstractmethod
    def enter(
        self, tokens: Int[Tensor, "batch pos"], positions: Int[Tensor, "batch pos"], taps: Taps
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream before the first block."""

    @abstractmethod
    def climb(
        self,
        resid: Float[Tensor, "batch pos d_model"],
        positions: Int[Tensor, "batch pos"],
        taps: Taps,
        cache: KVCache | None,
        first_layer: int = 0,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream after the last block, begun at `first_layer`."""

    @abstractmethod
    def read(self, resid: Float[Tensor, "batch pos d_model"], taps: Taps) -> Float[Tensor, "batch pos d_vocab"]:
        """Return the logits that the residual stream says."""

    @abstractmethod
    def init_weights(self, seed: int) -> None:
        """Draw random weights in place, the way the architecture's authors did."""

    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        taps: Taps = IDLE,
        cache: KVCache | None = None,
        positions: Int[Tensor, "batch pos"] | None = None,
        read_at: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch read d_vocab"]:
        """Return logits at every position, or only at the one that `read_at` gives for each row.

        `positions` count from the cache's end where they are not given. Raises PassDone when the taps have read enough.
        """
        if positions is None:
            start = cache.filled if cache else 0
            positions = torch.arange(start, start + tokens.shape[1], device=tokens.device).expand(tokens.shape)
        if taps.span is None and not taps.idle:
            taps.span = Span.prompts([positions.shape[1]] * len(positions), positions.shape[1], tokens.device)
        resid = self.climb(self.enter(tokens, positions, taps), positions, taps, cache)
        if cache is not None:
            cache.filled += tokens.shape[1]
        if read_at is not None:
            resid = resid[torch.arange(len(resid), device=resid.device), read_at].unsqueeze(1)
        return self.read(resid, taps)

    def new_cache(self, batch: int, columns: int) -> KVCache:
        """Return an empty cache for `columns` tokens in each of `batch` rows."""
        c = self.config
        weight = self.embed.weight
        return KVCache((c.n_layers, batch, c.kv_heads, columns, c.d_head), weight.dtype, weight.device)

    @property
    def site_names(self) -> list[str]:
        """Return the names of the Sites that this architecture has, in the order of the forward pass."""
        return [name for name in KINDS if name not in self.missing_sites]

    def _stacked(self, part: str) -> Iterator[Tensor]:
        for block in self.blocks:
            yield block.get_submodule(part).weight  # type: ignore[misc]

    def _qkv(self, first: int, heads: int) -> Float[Tensor, "layer head d_model d_head"]:
        d = self.config.d_head
        rows = [w[first * d : (first + heads) * d] for w in self._stacked("attn.qkv")]
        return torch.stack(rows).unflatten(1, (heads, d)).transpose(2, 3)

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:
        """Return the token embedding."""
        return self.embed.weight

    @property
    def W_U(self) -> Float[Tensor, "d_model d_vocab"]:
        """Return the unembedding."""
        return self.unembed_weight.T

    @property
    def W_Q(self) -> Float[Tensor, "layer head d_model d_head"]:
        """Return the query matrices."""
        return self._qkv(0, self.config.n_heads)

    @property
    def W_K(self) -> Float[Tensor, "layer kv_head d_model d_head"]:
        """Return the key matrices, one per group of query heads."""
        return self._qkv(self.config.n_heads, self.config.kv_heads)

    @property
    def W_V(self) -> Float[Tensor, "layer kv_head d_model d_head"]:
        """Return the value matrices, one per group of query heads."""
        return self._qkv(self.config.n_heads + self.config.kv_heads, self.config.kv_heads)

    @property
    def W_O(self) -> Float[Tensor, "layer head d_head d_model"]:
        """Return the output matrices of the heads."""
        stacked = torch.stack(list(self._stacked("attn.out")))
        return stacked.transpose(1, 2).unflatten(1, (self.config.n_heads, self.config.d_head))

    @property
    def W_out(self) -> Float[Tensor, "layer d_mlp d_model"]:
        """Return the output matrices of the MLPs; row N is what neuron N writes."""
        return torch.stack(list(self._stacked("mlp.down"))).transpose(1, 2)
