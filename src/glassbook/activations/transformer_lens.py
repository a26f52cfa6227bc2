"""The habits of TransformerLens: `run_with_cache`, `run_with_hooks`, names filters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassbook.activations.cache import ActivationCache
from glassbook.activations.capture import Reading, Store, below
from glassbook.core.errors import InputError, SiteError
from glassbook.core.sites import KINDS, Site
from glassbook.core.taps import Edit, PassDone, Span, Taps
from glassbook.models.model import Model
from glassbook.models.prompts import Prompt, Prompts

NamesFilter = str | Site | Sequence[str | Site] | Callable[[str], bool] | None


@dataclass(frozen=True, slots=True)
class HookPoint:
    """What a hook learns of the place it is called at."""

    site: Site

    @property
    def name(self) -> str:
        """Return the TransformerLens name."""
        return self.site.legacy

    def layer(self) -> int:
        """Return the layer; raise SiteError outside the blocks."""
        if self.site.layer is None:
            raise SiteError(f"Site '{self.site}' lies outside the blocks and has no layer")
        return self.site.layer


Hook = Callable[[Tensor, HookPoint], Tensor | None]


def all_sites(model: Model) -> list[Site]:
    """Return every Site of the model, per-head results left out since they are n_heads times the residual stream."""
    layers = range(model.config.n_layers)
    names = [name for name in model.site_names if name != "result"]
    return [
        site for name in names for site in ([Site(name, i) for i in layers] if KINDS[name].per_layer else [Site(name)])
    ]


def run_with_cache(
    model: Model,
    prompt: Prompt | Prompts,
    names_filter: NamesFilter = None,
    stop_at_layer: int | None = None,
    remove_batch_dim: bool = False,
    prepend_bos: bool | None = None,
    **how: object,
) -> tuple[Tensor | None, ActivationCache]:
    """Return the logits (None when `stop_at_layer` ends the pass) and the cache of what `names_filter` chooses.

    The filter is a name in either spelling, several, or a predicate on TransformerLens names; None takes everything but
    per-head results. `how` takes the fields of `Reading`.
    """
    batch, reading = model.read(prompt, prepend_bos), Reading(**how)  # type: ignore[arg-type]
    if reading.grad or reading.batch_size:
        raise InputError("run_with_cache makes one pass without gradients; use capture for grad=True or a batch_size")
    if remove_batch_dim and len(batch.lengths) > 1:
        raise InputError(f"remove_batch_dim needs one prompt and there are {len(batch.lengths)}; give one")
    store = Store(model, batch, below(_chosen(model, names_filter), stop_at_layer), reading)
    taps = Taps(readers=store.readers(slice(None)), stop=stop_at_layer is not None)
    logits = None
    with torch.inference_mode():
        try:
            logits = model.run(batch, taps)
        except PassDone:
            logits = None
    values = store.values()
    if remove_batch_dim:
        values = {site: value.squeeze(0) for site, value in values.items()}
    return logits, ActivationCache(values, model, batch)


def run_with_hooks(
    model: Model,
    prompt: Prompt | Prompts,
    fwd_hooks: Sequence[tuple[str | Site | Callable[[str], bool], Hook]] = (),
    prepend_bos: bool | None = None,
) -> Tensor:
    """Return the logits of a pass in which each hook sees, and may replace, the value at its name."""
    edits = [_edit(site, hook) for where, hook in fwd_hooks for site in _chosen(model, where)]
    return model.run(model.read(prompt, prepend_bos), Taps(edits=edits))


def _edit(site: Site, hook: Hook) -> Edit:
    def change(value: Tensor, _: Span) -> Tensor:
        changed = hook(value, HookPoint(site))
        return value if changed is None else changed

    return Edit(site, change)


def _chosen(model: Model, names: NamesFilter) -> list[Site]:
    if names is None:
        return all_sites(model)
    if isinstance(names, str | Site):
        return model.sites(names)
    if not callable(names):
        return model.sites(list(names))
    found = [site for site in all_sites(model) if names(site.legacy)]
    if not found:
        raise SiteError(
            "the names filter chooses no Site of this model; it is asked about names like 'blocks.0.hook_resid_pre'"
        )
    return found
