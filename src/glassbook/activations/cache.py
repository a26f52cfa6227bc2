"""What was captured, under every spelling of its address, with the algebra of the residual stream.

The algebra is the one users of TransformerLens know: the residual stream is a sum of writes, so a logit is a sum of what
each write says (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits").
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glassbook.core.errors import InputError, SiteError
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts

Key = str | Site | tuple[str, int]


class ActivationCache(Mapping[Site, Tensor]):
    """Captured values by Site: `cache["L5.resid_post"]`, `cache["blocks.5.hook_resid_post"]`, `cache["resid_post", 5]`."""

    def __init__(self, values: dict[Site, Tensor], model: Model, batch: Prompts) -> None:
        self._values = values
        self.model = model
        self.tokens = batch.ids
        self.lengths = batch.lengths

    def __getitem__(self, key: Key) -> Tensor:
        """Return the value at an address; a head or neuron is cut out of its whole where only that was captured."""
        site = Site.parse(f"L{key[1]}.{key[0]}") if isinstance(key, tuple) else Site.parse(key)
        if site in self._values:
            return self._values[site]
        if site.part is not None and site.whole in self._values:
            # Counted from the end, since the batch axis may have been removed.
            axis, index = site.part
            return self._values[site.whole].select(axis - len(site.kind.axes), index)
        held = ", ".join(str(site) for site in list(self._values)[:8])
        raise SiteError(f"'{site}' was not captured; this cache holds {len(self._values)} Sites: {held} ...")

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]
        except (SiteError, TypeError):
            return False
        return True

    def get(self, key: Key, default: Tensor | None = None) -> Tensor | None:  # type: ignore[override]
        """Return the value at an address, or `default` where it was not captured."""
        try:
            return self[key]
        except SiteError:
            return default

    def __iter__(self) -> Iterator[Site]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def is_real(self) -> Bool[Tensor, "batch pos"]:
        """Return where each prompt has a token; what was captured beyond it, in a batch of unequal prompts, means nothing."""
        return self.model.span(Prompts(self.tokens, self.lengths)).is_real

    def __repr__(self) -> str:
        return f"<{len(self)} Sites of {len(self.lengths)} prompts: {', '.join(map(str, list(self._values)[:6]))} ...>"

    def grad(self, key: Key) -> Tensor:
        """Return the gradient at an address, after `backward`; raise InputError where there is none."""
        value = self[key]
        if value.grad is None:
            raise InputError(f"there is no gradient at {key}; capture with grad=True and call backward first")
        return value.grad

    def stack(self, name: str) -> Float[Tensor, "layer *value"]:
        """Return one sort of Site over all captured layers, lowest first."""
        sites = sorted((s for s in self._values if s.name == name and s.part is None), key=lambda s: s.layer or 0)
        if not sites:
            raise SiteError(f"no layer of '{name}' was captured; ask for 'L*.{name}'")
        return _joined([self._values[site] for site in sites])

    def accumulated_resid(
        self, layer: int | None = None, incl_mid: bool = False
    ) -> Float[Tensor, "component *batch pos d_model"]:
        """Return the residual stream as it stands before each block up to `layer`, and after the last where None."""
        last = self._layer(layer)
        parts = [
            self[name, i] for i in range(last) for name in (("resid_pre", "resid_mid") if incl_mid else ("resid_pre",))
        ]
        top = self["resid_post", last - 1] if last == self.model.config.n_layers else self["resid_pre", last]
        return torch.stack([*parts, top])

    def accumulated_labels(self, layer: int | None = None, incl_mid: bool = False) -> list[str]:
        """Return the names of the components of `accumulated_resid`."""
        last = self._layer(layer)
        parts = [f"{i}_{name}" for i in range(last) for name in (("pre", "mid") if incl_mid else ("pre",))]
        return [*parts, "final_post" if last == self.model.config.n_layers else f"{last}_pre"]

    def decompose_resid(self, layer: int | None = None) -> Float[Tensor, "component *batch pos d_model"]:
        """Return every write to the residual stream below `layer`; their sum is the stream there."""
        return torch.stack([self[key] for key in self._writes(layer)])

    def decompose_labels(self, layer: int | None = None) -> list[str]:
        """Return the names of the components of `decompose_resid`."""
        return [key if isinstance(key, str) else f"{key[1]}_{key[0]}" for key in self._writes(layer)]

    def stack_head_results(self, layer: int | None = None) -> Float[Tensor, "component *batch pos d_model"]:
        """Return what every head below `layer` writes, layer by layer, head by head (biases left out)."""
        parts = []
        for i in range(self._layer(layer)):
            result = self["result", i] if Site("result", i) in self else self._results(i)
            parts.append(result.movedim(-2, 0))
        return torch.cat(parts)

    def head_labels(self, layer: int | None = None) -> list[str]:
        """Return the names of the components of `stack_head_results`."""
        return [f"L{i}H{head}" for i in range(self._layer(layer)) for head in range(self.model.config.n_heads)]

    def apply_ln_to_stack(
        self, stack: Float[Tensor, "component *batch pos d_model"]
    ) -> Float[Tensor, "component *batch pos d_model"]:
        """Return each component as the final norm scales it, the scale frozen at the captured `ln_final_scale`."""
        norm = self.model.transformer.ln_final
        assert isinstance(norm, nn.LayerNorm | nn.RMSNorm)
        centered = stack - stack.mean(-1, keepdim=True) if isinstance(norm, nn.LayerNorm) else stack
        return centered / self["ln_final_scale"] * norm.weight

    def logit_attrs(
        self,
        stack: Float[Tensor, "component *batch pos d_model"],
        tokens: Int[Tensor, " batch"] | int,
        incorrect_tokens: Int[Tensor, " batch"] | int | None = None,
    ) -> Float[Tensor, "component *batch pos"]:
        """Return how much each component adds to the logit of `tokens`, or to its difference from `incorrect_tokens`.

        Exact under the frozen final norm: over all writes the attributions sum to the logit, up to the final norm's bias.
        """
        direction = self._unembedding(tokens)
        if incorrect_tokens is not None:
            direction = direction - self._unembedding(incorrect_tokens)
        scaled = self.apply_ln_to_stack(stack)
        if scaled.ndim == 3:
            return scaled @ direction.squeeze(0)
        return torch.einsum("cbpm,bm->cbp", scaled, direction)

    def _unembedding(self, tokens: Tensor | int) -> Float[Tensor, "batch d_model"]:
        ids = torch.as_tensor(tokens, device=self.model.device).expand(len(self.lengths))
        return self.model.transformer.unembed_weight[ids]

    def _results(self, layer: int) -> Float[Tensor, "*batch pos head d_model"]:
        z = self["z", layer]
        return torch.einsum("...phd,hdm->...phm", z, self.model.transformer.W_O[layer].to(z.dtype))

    def _layer(self, layer: int | None) -> int:
        n = self.model.config.n_layers
        if layer is not None and not 0 <= layer <= n:
            raise SiteError(f"layer {layer} is not in this model; give 0 to {n}")
        return n if layer is None else layer

    def _writes(self, layer: int | None) -> list[str | tuple[str, int]]:
        known = self.model.transformer.site_names
        start: list[str | tuple[str, int]] = [name for name in ("embed", "pos_embed") if name in known]
        return start + [(name, i) for i in range(self._layer(layer)) for name in ("attn_out", "mlp_out")]

    def to(self, target: torch.device | torch.dtype | str) -> "ActivationCache":
        """Return the same cache on another device or in another precision."""
        moved = {site: value.to(target) for site, value in self._values.items()}
        return ActivationCache(moved, self.model, Prompts(self.tokens, self.lengths))

    def renamed(self) -> dict[str, Tensor]:
        """Return the whole values under their TransformerLens names, which heads and neurons by themselves have not."""
        return {site.legacy: value for site, value in self._values.items() if site.part is None}


def _joined(values: Sequence[Tensor]) -> Tensor:
    """Return values stacked; without a copy where capture laid them side by side."""
    first = values[0]
    step = first.numel()
    neighbors = all(
        value.is_contiguous()
        and value.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        and value.storage_offset() == first.storage_offset() + i * step
        for i, value in enumerate(values)
    )
    if not neighbors:
        return torch.stack(list(values))
    return first.as_strided((len(values), *first.shape), (step, *first.stride()), first.storage_offset())
