"""Llama, Touvron et al. 2023 (2302.13971): RMS norm, rotary positions, SwiGLU, grouped-query attention (2305.13245).

Its descendants are this network with one more choice made: Mistral (2310.06825) looks back through a window, Llama 3.1 slows
its angles down, Qwen2 (2407.10671) adds a bias to queries, keys and values, Qwen3 (2505.09388) norms queries and keys.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from glassbook.core.errors import ModelError
from glassbook.core.sites import POST_NORM_SITES, QK_NORM_SITES, ROUTER_SITES
from glassbook.core.taps import At
from glassbook.models.architectures import ARCHITECTURES
from glassbook.models.attention import KVCache, attend, write
from glassbook.models.config import Config
from glassbook.models.linear import Linear
from glassbook.models.native.steps import BlockParts
from glassbook.models.norms import RMSNorm
from glassbook.models.part import Part
from glassbook.models.rotary import Angles, Rotary, Scaling, rotate
from glassbook.models.transformer import RotaryTransformer


@dataclass(frozen=True, kw_only=True)
class LlamaConfig(Config):
    """Llama's own choices."""

    n_kv_heads: int
    rope_base: float = 10000.0
    rope_scaling: Scaling | None = None
    windows: tuple[int, ...] = ()
    qkv_bias: bool = False
    qk_norm: bool = False

    @property
    def kv_heads(self) -> int:
        """Return how many heads keys and values have."""
        return self.n_kv_heads

    def window(self, layer: int) -> int:
        """Return how many tokens a token sees in `layer`, itself among them; 0 where it sees all that came before."""
        return self.windows[layer] if self.windows else 0

    def check(self) -> None:
        """Raise ModelError for sizes that no network can have."""
        super().check()
        if self.d_head % 2:
            raise ModelError(
                f"d_head = {self.d_head} cannot be rotated in pairs; mend the configuration to an even number"
            )
        if self.windows and (len(self.windows) != self.n_layers or min(self.windows) < 0):
            raise ModelError(
                f"windows = {self.windows} are not one for each of {self.n_layers} layers, 0 where there is none; mend the "
                "configuration"
            )


class Attention(Part):
    """Grouped-query causal self-attention with rotary positions."""

    norm_class: ClassVar[type[RMSNorm]] = RMSNorm
    scale: float | None = None
    softcap: float = 0.0

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.d_head = layer, config.d_head
        self.n_heads, self.n_kv_heads = config.n_heads, config.n_kv_heads
        self.qkv = Linear(config.d_model, (self.n_heads + 2 * self.n_kv_heads) * config.d_head, bias=config.qkv_bias)
        self.out = Linear(config.n_heads * config.d_head, config.d_model, bias=False)
        self.normed = config.qk_norm
        if config.qk_norm:
            self.q_norm = self.norm_class(config.d_head, config.norm_eps)
            self.k_norm = self.norm_class(config.d_head, config.norm_eps)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], at: At, angles: Angles, mask: Tensor | None, cache: KVCache | None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return what the heads write together."""
        heads, kv_heads = self.n_heads, self.n_kv_heads
        qkv = self.qkv(x).view(*x.shape[:2], heads + 2 * kv_heads, self.d_head)
        qk, v = torch.split_with_sizes(qkv, (heads + kv_heads, kv_heads), 2)
        if at.wants("q", "k"):
            q, k = torch.split_with_sizes(qk, (heads, kv_heads), 2)
            qk = torch.cat((at("q", q), at("k", k)), 2)
        if self.normed:
            q, k = torch.split_with_sizes(qk, (heads, kv_heads), 2)
            qk = torch.cat((self.q_norm(q, at, "q_norm_scale"), self.k_norm(k, at, "k_norm_scale")), 2)
        # Queries and keys turn by the same angles, so they turn together.
        q, k = torch.split_with_sizes(rotate(qk, angles), (heads, kv_heads), 2)
        q, k, v = at("rot_q", q), at("rot_k", k), at("v", v)
        keys, values = cache.extend(self.layer, k, v) if cache else (k.transpose(1, 2), v.transpose(1, 2))
        return write(at("z", attend(q, keys, values, at, mask, self.scale, self.softcap)), self.out, at)


class MLP(Part):
    """SwiGLU, Shazeer 2020 (2002.05202), equation 6: silu(gate) * linear, then down."""

    act: Callable[[Tensor], Tensor] = staticmethod(F.silu)

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.d_mlp = config.d_mlp
        self.gate_up = Linear(config.d_model, 2 * config.d_mlp, bias=False)
        self.down = Linear(config.d_mlp, config.d_model, bias=False)

    def forward(self, x: Float[Tensor, "batch pos d_model"], at: At) -> Float[Tensor, "batch pos d_model"]:
        """Return what the neurons write together."""
        gate, up = torch.split_with_sizes(self.gate_up(x), (self.d_mlp, self.d_mlp), -1)
        gate, up = at("mlp_pre", gate), at("mlp_pre_linear", up)
        return self.down(at("mlp_post", self.act(gate) * up))


class Block(nn.Module):
    """Attention, then MLP, each reading a normed copy of the residual stream and adding to it."""

    norm_class: ClassVar[type[RMSNorm]] = RMSNorm
    attn_class: ClassVar[type[Attention]] = Attention
    mlp_class: ClassVar[type[Part]] = MLP

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.ln1 = self.norm_class(config.d_model, config.norm_eps)
        self.attn = self.attn_class(config, layer)
        self.ln2 = self.norm_class(config.d_model, config.norm_eps)
        self.mlp = self.mlp_class(config)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], at: At, angles: Angles, mask: Tensor | None, cache: KVCache | None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream after the block."""
        x = at("resid_pre", x)
        x = at("resid_mid", x + at("attn_out", self.attn(self.ln1(x, at, "ln1_scale"), at, angles, mask, cache)))
        return at("resid_post", x + at("mlp_out", self.mlp(self.ln2(x, at, "ln2_scale"), at)))

    @property
    def parts(self) -> BlockParts | None:
        """Return what the kernel reads to do the same for one token, or None where this block is more than it knows."""
        if type(self) is not Block or self.attn.normed or self.ln1.weight.device.type != "cpu":
            return None
        eps = self.ln1.eps
        assert isinstance(self.mlp, MLP) and eps is not None
        held = (self.attn.qkv.held, self.attn.out.held, self.mlp.gate_up.held, self.mlp.down.held)
        return BlockParts(self.ln1.weight, self.ln2.weight, held, eps)


@ARCHITECTURES.add("llama")
class Llama(RotaryTransformer):
    """The network; `config` says how large."""

    config_class: ClassVar[type[Config]] = LlamaConfig
    block_class, norm_class = Block, RMSNorm
    missing_sites = ("pos_embed", *ROUTER_SITES, *POST_NORM_SITES)
    config: LlamaConfig

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        self.rotary = Rotary(config.d_head, config.rope_base, config.rope_scaling)
        if not config.qk_norm:
            self.missing_sites = (*self.missing_sites, *QK_NORM_SITES)
