"""What every decoder-only transformer here has in common: the way through it, and its weights under the field's names."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glassbook.core.seeds import generator
from glassbook.core.sites import KINDS
from glassbook.core.taps import IDLE, Span, Taps
from glassbook.models.attention import KVCache, windowed
from glassbook.models.config import Config
from glassbook.models.linear import Embedding, Linear
from glassbook.models.native.steps import Steps, can_step
from glassbook.models.network import Network
from glassbook.models.norms import LayerNorm, RMSNorm
from glassbook.models.rotary import Angles, Rotary


class Transformer(Network):
    """A stack of blocks over a residual stream: `enter` it, `climb` the blocks, `read` the logits.

    An architecture names its configuration, its block and its norm, and says what differs from the way written here.
    """

    config_class: ClassVar[type[Config]]
    block_class: ClassVar[type[nn.Module]]
    norm_class: ClassVar[type[LayerNorm] | type[RMSNorm]]
    missing_sites: tuple[str, ...] = ()
    resumable = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        config.check()
        self.config = config
        self.embed = Embedding(config.d_vocab, config.d_model)
        self.blocks = nn.ModuleList(self.block_class(config, layer) for layer in range(config.n_layers))
        self.ln_final = self.norm_class(config.d_model, config.norm_eps)
        if not config.tied_embeddings:
            self.unembed = Linear(config.d_model, config.d_vocab, bias=False)

    @property
    def unembed_weight(self) -> Float[Tensor, "d_vocab d_model"]:
        """Return the matrix whose rows score the tokens."""
        return self.embed.weight if self.config.tied_embeddings else self.unembed.weight

    def enter(
        self, tokens: Int[Tensor, "batch pos"], positions: Int[Tensor, "batch pos"], taps: Taps
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream before the first block: the token embeddings."""
        return taps.at()("embed", self.embed(tokens))

    @abstractmethod
    def given(
        self, resid: Float[Tensor, "batch pos d_model"], positions: Int[Tensor, "batch pos"], cache: KVCache | None
    ) -> Sequence[tuple[Any, ...]]:
        """Return what each block is given beside the stream, its taps and the cache: the mask, and any angles."""

    def climb(
        self,
        resid: Float[Tensor, "batch pos d_model"],
        positions: Int[Tensor, "batch pos"],
        taps: Taps,
        cache: KVCache | None,
        first_layer: int = 0,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream after the last block, begun at `first_layer`."""
        given = self.given(resid, positions, cache)
        steps = self.steps(resid, cache) if cache else None
        layer, n_layers = first_layer, self.config.n_layers
        while layer < n_layers:
            # One call takes a new token through all blocks up to the next value that somebody reads or edits.
            untapped = untapped_from(layer, n_layers, taps) if steps else range(0)
            if steps and untapped:
                resid = steps.run(untapped, taps.at(layer)("resid_pre", resid), *given[layer])
                layer = untapped.stop
                resid = taps.at(layer - 1)("resid_post", resid)
            else:
                resid = self.blocks[layer](resid, taps.at(layer), *given[layer], cache)
                layer += 1
        return resid

    def steps(self, resid: Float[Tensor, "batch pos d_model"], cache: KVCache) -> Steps | None:
        """Return the blocks laid out for the kernel, where it can take this pass through them."""
        return None

    def read(self, resid: Float[Tensor, "batch pos d_model"], taps: Taps) -> Float[Tensor, "batch pos d_vocab"]:
        """Return the logits that the residual stream says."""
        at = taps.at()
        final = at("resid_final", self.ln_final(resid, at, "ln_final_scale"))
        return at("logits", self.score(final))

    def score(self, final: Float[Tensor, "batch read d_model"]) -> Float[Tensor, "batch read d_vocab"]:
        """Return a score of every token for a normed stream."""
        return self.embed.score(final) if self.config.tied_embeddings else self.unembed(final)

    def init_weights(self, seed: int) -> None:
        """Draw every matrix from N(0, `init_std`) in place; the norms begin as ones, the biases as zeros."""
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            elif weight.ndim == 1:
                nn.init.ones_(weight)
            else:
                nn.init.normal_(weight, std=self.init_std(name), generator=generator(seed, "init", name))

    def init_std(self, name: str) -> float:
        """Return the standard deviation that the architecture's authors drew the matrix `name` with."""
        return 0.02

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
        return KVCache((c.n_layers, batch, c.kv_heads, columns, c.d_head), self.dtype, self.device)

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


def untapped_from(first: int, n_layers: int, taps: Taps) -> range:
    """Return the blocks from `first` on up to the next value that taps want; those of the two ends are left to them."""
    if taps.idle:
        return range(first, n_layers)
    for layer in range(first, n_layers):
        at = taps.at(layer)
        if not at.wants_only("resid_pre", "resid_post") or (layer > first and at.wants("resid_pre")):
            return range(first, layer)
        if at.wants("resid_post"):
            return range(first, layer + 1)
    return range(first, n_layers)


class RotaryTransformer(Transformer):
    """A transformer whose heads know positions by the angles that turn their queries and keys."""

    rotary: Rotary

    def steps(self, resid: Float[Tensor, "batch pos d_model"], cache: KVCache) -> Steps | None:
        """Return the blocks laid out for the kernel, where each is of the form it knows and sees all that came before."""
        if not can_step(resid, cache):
            return None
        if cache.steps is None:
            parts = [getattr(block, "parts", None) for block in self.blocks]
            has_window = any(self.config.window(layer) for layer in range(self.config.n_layers))
            known = [one for one in parts if one is not None]
            cache.steps = () if has_window or len(known) < len(parts) else Steps(known, self.config, cache)
        return cache.steps or None

    def given(
        self, resid: Float[Tensor, "batch pos d_model"], positions: Int[Tensor, "batch pos"], cache: KVCache | None
    ) -> list[tuple[Angles, Tensor | None]]:
        """Return for each block the angles of these positions, and the mask."""
        n_new = resid.shape[1]
        angles = self.rotary.angles(positions, cache.filled + n_new if cache else n_new, resid.dtype)
        windows = [self.config.window(layer) for layer in range(self.config.n_layers)]
        masks = {
            window: cache.mask(n_new, window) if cache else windowed(n_new, window, resid.device)
            for window in set(windows)
        }
        return [(angles, masks[window]) for window in windows]
