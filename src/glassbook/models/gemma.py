"""Gemma 2 (2408.00118) and Gemma 3 (2503.19786), text: Llama with norms after the sublayers too, and two kinds of layers.

A local layer looks back through a window, a global one sees all that came before. Gemma 2 bends scores and logits to a cap;
Gemma 3 norms queries and keys instead, and its local layers turn by a base of their own.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from glassbook.core.errors import ModelError
from glassbook.core.sites import ROUTER_SITES
from glassbook.core.taps import At, Taps
from glassbook.models import llama
from glassbook.models.architectures import ARCHITECTURES
from glassbook.models.attention import KVCache, bend
from glassbook.models.config import Config
from glassbook.models.norms import OffsetRMSNorm
from glassbook.models.rotary import Angles, Rotary


@dataclass(frozen=True, kw_only=True)
class GemmaConfig(llama.LlamaConfig):
    """Gemma's own choices: a softcap of 0 is none, and without `local_rope_base` all layers turn alike."""

    query_pre_attn_scalar: float
    attn_softcap: float = 0.0
    final_softcap: float = 0.0
    local_rope_base: float | None = None

    def check(self) -> None:
        """Raise ModelError for sizes that no network can have."""
        super().check()
        scalar, caps = self.query_pre_attn_scalar, (self.attn_softcap, self.final_softcap)
        if not scalar > 0 or not min(caps) >= 0:
            raise ModelError(
                f"query_pre_attn_scalar = {scalar} and softcaps of {caps} cannot be computed with; mend the configuration "
                "to a number above 0 and caps that are not below 0"
            )


class Attention(llama.Attention):
    """Llama's attention, its scores scaled and capped as the configuration says."""

    norm_class = OffsetRMSNorm

    def __init__(self, config: GemmaConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.scale, self.softcap = config.query_pre_attn_scalar**-0.5, config.attn_softcap


def _gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


class MLP(llama.MLP):
    """GEGLU, Shazeer 2020 (2002.05202), equation 6: gelu(gate) * linear, then down."""

    act = staticmethod(_gelu)


class Block(llama.Block):
    """Attention, then MLP, each reading a normed copy of the stream and adding its normed output to it."""

    norm_class, attn_class, mlp_class = OffsetRMSNorm, Attention, MLP

    def __init__(self, config: GemmaConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.ln1_post = OffsetRMSNorm(config.d_model, config.norm_eps)
        self.ln2_post = OffsetRMSNorm(config.d_model, config.norm_eps)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], at: At, angles: Angles, mask: Tensor | None, cache: KVCache | None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream after the block."""
        x = at("resid_pre", x)
        mixed = self.attn(self.ln1(x, at, "ln1_scale"), at, angles, mask, cache)
        x = at("resid_mid", x + at("attn_out", self.ln1_post(mixed, at, "ln1_post_scale")))
        made = self.mlp(self.ln2(x, at, "ln2_scale"), at)
        return at("resid_post", x + at("mlp_out", self.ln2_post(made, at, "ln2_post_scale")))


@ARCHITECTURES.add("gemma")
class Gemma(llama.Llama):
    """The network; `config` says how large, and which of the two generations it is."""

    config_class: ClassVar[type[Config]] = GemmaConfig
    block_class: ClassVar[type[llama.Block]] = Block
    norm_class = OffsetRMSNorm
    missing_sites = ("pos_embed", *ROUTER_SITES)
    config: GemmaConfig

    def __init__(self, config: GemmaConfig) -> None:
        super().__init__(config)
        base = config.local_rope_base
        self.local_rotary = self.rotary if base is None else Rotary(config.d_head, base)

    @property
    def W_E(self) -> Float[Tensor, "d_vocab d_model"]:
        """Return the token embedding as the stream receives it, times sqrt(d_model)."""
        return self._enlarged(self.embed.weight)

    def enter(
        self, tokens: Int[Tensor, "batch pos"], positions: Int[Tensor, "batch pos"], taps: Taps
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream before the first block: the token embeddings times sqrt(d_model)."""
        return taps.at()("embed", self._enlarged(self.embed(tokens)))

    def _enlarged(self, rows: Float[Tensor, "*lead d_model"]) -> Float[Tensor, "*lead d_model"]:
        # The root is rounded to the precision of the weights, as in training: in bfloat16 that of 3072 is 55.5.
        return rows * torch.tensor(self.config.d_model**0.5, dtype=rows.dtype, device=rows.device)

    def given(
        self, resid: Float[Tensor, "batch pos d_model"], positions: Int[Tensor, "batch pos"], cache: KVCache | None
    ) -> list[tuple[Angles, Tensor | None]]:
        """Return for each block the angles of its kind of layer, and the mask."""
        given = super().given(resid, positions, cache)
        if self.local_rotary is self.rotary:
            return given
        longest = cache.filled + resid.shape[1] if cache else resid.shape[1]
        local = self.local_rotary.angles(positions, longest, resid.dtype)
        return [(local if self.config.window(layer) else angles, mask) for layer, (angles, mask) in enumerate(given)]

    def score(self, final: Float[Tensor, "batch read d_model"]) -> Float[Tensor, "batch read d_vocab"]:
        """Return a score of every token for a normed stream, bent to the cap where there is one."""
        return bend(super().score(final), self.config.final_softcap)

    def init_weights(self, seed: int) -> None:
        """Draw every matrix from N(0, `init_std`) in place; the norms multiply by 1 to begin with."""
        super().init_weights(seed)
        for weight in self.parameters():
            if weight.ndim == 1:
                nn.init.zeros_(weight)
