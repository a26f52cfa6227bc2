"""GPT-NeoX, Black et al. 2022 (2204.06745), the architecture of Pythia: attention and MLP read the same stream."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glassbook.core.errors import ModelError
from glassbook.core.sites import NORM_SITES, ROUTER_SITES
from glassbook.core.taps import At
from glassbook.models.architectures import ARCHITECTURES
from glassbook.models.attention import KVCache, attend, write
from glassbook.models.gpt2 import MLP, GPT2Config
from glassbook.models.linear import Linear
from glassbook.models.norms import LayerNorm
from glassbook.models.part import Part
from glassbook.models.rotary import Angles, Rotary, rotate
from glassbook.models.transformer import RotaryTransformer


@dataclass(frozen=True, kw_only=True)
class GPTNeoXConfig(GPT2Config):
    """GPT-NeoX's own choices; of each head the first `d_rotary` dimensions turn with the position."""

    d_rotary: int
    rope_base: float = 10000.0
    parallel: bool = True
    act_fn: str = "gelu"

    def check(self) -> None:
        """Raise ModelError for sizes that no network can have."""
        super().check()
        if self.d_rotary % 2 or not 0 < self.d_rotary <= self.d_head:
            raise ModelError(
                f"d_rotary = {self.d_rotary} dimensions of a head of {self.d_head} cannot be rotated in pairs; mend the "
                f"configuration to an even number from 2 to {self.d_head}"
            )


class Attention(Part):
    """Multi-head causal self-attention with rotary positions in a part of each head."""

    def __init__(self, config: GPTNeoXConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.n_heads, self.d_head = layer, config.n_heads, config.d_head
        self.turning, self.still = config.d_rotary, config.d_head - config.d_rotary
        self.qkv = Linear(config.d_model, 3 * config.n_heads * config.d_head)
        self.out = Linear(config.n_heads * config.d_head, config.d_model)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], at: At, angles: Angles, mask: Tensor | None, cache: KVCache | None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return what the heads write together."""
        q, k, v = self.qkv(x).unflatten(-1, (3 * self.n_heads, self.d_head)).chunk(3, dim=2)
        q, k = self.turned(at("q", q), angles), self.turned(at("k", k), angles)
        q, k, v = at("rot_q", q), at("rot_k", k), at("v", v)
        keys, values = cache.extend(self.layer, k, v) if cache else (k.transpose(1, 2), v.transpose(1, 2))
        return write(at("z", attend(q, keys, values, at, mask)), self.out, at)

    def turned(
        self, x: Float[Tensor, "batch pos heads d_head"], angles: Angles
    ) -> Float[Tensor, "batch pos heads d_head"]:
        """Return the heads with their first `d_rotary` dimensions turned."""
        turning, still = torch.split_with_sizes(x, (self.turning, self.still), -1)
        return torch.cat((rotate(turning, angles), still), -1)


class Block(nn.Module):
    """Attention and MLP, each reading a normed copy of the stream: of the same stream where they stand in parallel."""

    def __init__(self, config: GPTNeoXConfig, layer: int) -> None:
        super().__init__()
        self.parallel = config.parallel
        self.ln1 = LayerNorm(config.d_model, config.norm_eps)
        self.attn = Attention(config, layer)
        self.ln2 = LayerNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], at: At, angles: Angles, mask: Tensor | None, cache: KVCache | None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream after the block."""
        x = at("resid_pre", x)
        mid = x + at("attn_out", self.attn(self.ln1(x, at, "ln1_scale"), at, angles, mask, cache))
        read = x if self.parallel else (mid := at("resid_mid", mid))
        return at("resid_post", mid + at("mlp_out", self.mlp(self.ln2(read, at, "ln2_scale"), at)))


@ARCHITECTURES.add("gpt_neox")
class GPTNeoX(RotaryTransformer):
    """The network; `config` says how large."""

    config_class, block_class, norm_class = GPTNeoXConfig, Block, LayerNorm
    missing_sites = ("pos_embed", "mlp_pre_linear", *ROUTER_SITES, *NORM_SITES)
    config: GPTNeoXConfig

    def __init__(self, config: GPTNeoXConfig) -> None:
        super().__init__(config)
        self.rotary = Rotary(config.d_rotary, config.rope_base)
        if config.parallel:
            # Nothing stands between attention and MLP when neither waits for the other.
            self.missing_sites = ("resid_mid", *self.missing_sites)
