"""GPT-2, Radford et al. 2019: learned positions, layer norm before each sublayer, GELU, tied unembedding."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from glassbook.core.sites import NORM_SITES, ROUTER_SITES
from glassbook.core.taps import At, Taps
from glassbook.models.architectures import ARCHITECTURES
from glassbook.models.attention import KVCache, attend, write
from glassbook.models.config import Config
from glassbook.models.linear import Linear
from glassbook.models.norms import LayerNorm
from glassbook.models.part import Part
from glassbook.models.transformer import Transformer

ACTIVATIONS = {
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_fast": lambda x: F.gelu(x, approximate="tanh"),
    "gelu": F.gelu,
    "relu": F.relu,
}


@dataclass(frozen=True, kw_only=True)
class GPT2Config(Config):
    """GPT-2's own choices."""

    act_fn: str = "gelu_new"


class Attention(Part):
    """Multi-head causal self-attention."""

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.layer, self.n_heads, self.d_head = layer, config.n_heads, config.d_head
        self.qkv = Linear(config.d_model, 3 * config.n_heads * config.d_head)
        self.out = Linear(config.n_heads * config.d_head, config.d_model)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], at: At, mask: Tensor | None, cache: KVCache | None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return what the heads write together."""
        q, k, v = self.qkv(x).unflatten(-1, (3 * self.n_heads, self.d_head)).chunk(3, dim=2)
        q, k, v = at("q", q), at("k", k), at("v", v)
        keys, values = cache.extend(self.layer, k, v) if cache else (k.transpose(1, 2), v.transpose(1, 2))
        return write(at("z", attend(q, keys, values, at, mask)), self.out, at)


class MLP(Part):
    """Two affine maps around a nonlinearity."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.act = ACTIVATIONS[config.act_fn]
        self.up = Linear(config.d_model, config.d_mlp)
        self.down = Linear(config.d_mlp, config.d_model)

    def forward(self, x: Float[Tensor, "batch pos d_model"], at: At) -> Float[Tensor, "batch pos d_model"]:
        """Return what the neurons write together."""
        pre = at("mlp_pre", self.up(x))
        return self.down(at("mlp_post", self.act(pre)))


class Block(nn.Module):
    """Attention, then MLP, each reading a normed copy of the residual stream and adding to it."""

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.ln1 = LayerNorm(config.d_model, config.norm_eps)
        self.attn = Attention(config, layer)
        self.ln2 = LayerNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], at: At, mask: Tensor | None, cache: KVCache | None
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream after the block."""
        x = at("resid_pre", x)
        x = at("resid_mid", x + at("attn_out", self.attn(self.ln1(x, at, "ln1_scale"), at, mask, cache)))
        return at("resid_post", x + at("mlp_out", self.mlp(self.ln2(x, at, "ln2_scale"), at)))


@ARCHITECTURES.add("gpt2")
class GPT2(Transformer):
    """The network; `config` says how large."""

    config_class, block_class, norm_class = GPT2Config, Block, LayerNorm
    missing_sites = ("rot_q", "rot_k", "mlp_pre_linear", *ROUTER_SITES, *NORM_SITES)
    config: GPT2Config

    def __init__(self, config: GPT2Config) -> None:
        super().__init__(config)
        self.pos_embed = nn.Embedding(config.n_ctx, config.d_model)

    def enter(
        self, tokens: Int[Tensor, "batch pos"], positions: Int[Tensor, "batch pos"], taps: Taps
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return token embeddings plus position embeddings."""
        return super().enter(tokens, positions, taps) + taps.at()("pos_embed", self.pos_embed(positions))

    def given(
        self, resid: Float[Tensor, "batch pos d_model"], positions: Int[Tensor, "batch pos"], cache: KVCache | None
    ) -> list[tuple[Tensor | None]]:
        """Return the mask for each block."""
        return [(cache.mask(resid.shape[1]) if cache else None,)] * self.config.n_layers

    def init_std(self, name: str) -> float:
        """Return 0.02, for the writes to the residual stream scaled by 1 / sqrt(2 n_layers) (section 2.3)."""
        writes = name.endswith(("attn.out.weight", "mlp.down.weight"))
        return 0.02 / (2 * self.config.n_layers) ** 0.5 if writes else 0.02
