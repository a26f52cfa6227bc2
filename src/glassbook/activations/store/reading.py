"""Rows of activations from contexts: one pass for all Sites, stopped at the last of them, and what the policy leaves out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glassbook.activations.capture import capture
from glassbook.activations.store.packing import Context, start_id
from glassbook.activations.store.settings import Harvest
from glassbook.core.devices import as_dtype
from glassbook.core.errors import GlassbookError, InputError, SiteError
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts

Limits = Mapping[Site, float]
"""The largest norm that is kept, by Site."""


@dataclass(slots=True)
class LeftOut:
    """How many positions the policy left out: at the start, and for their norm (a position may exceed at several Sites)."""

    start: int = 0
    norm: int = 0
    norm_at: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rows:
    """What was kept of some contexts: a row of values at each Site, and which token of which context it belongs to."""

    values: dict[Site, Float[Tensor, "row _"]]
    contexts: Int[Tensor, " row"]
    positions: Int[Tensor, " row"]
    left_out: LeftOut


class Reader:
    """A model, read at several Sites under a policy; raises InputError or SiteError for what cannot be read."""

    def __init__(self, model: Model, sites: str | Site | Sequence[str | Site], settings: Harvest) -> None:
        self.model, self.settings = model, settings
        self.sites = tuple(model.sites(sites))
        if not self.sites:
            raise InputError("no Site is asked for; name at least one, for example L0.resid_post")
        if model.tokenizer is None:
            raise InputError("this model has no tokenizer, so a corpus cannot be read; open one that has")
        if settings.context > model.config.n_ctx:
            raise InputError(
                f"a context of {settings.context} tokens is longer than {model.identity.name} reads; "
                f"ask for at most {model.config.n_ctx}"
            )
        self.tokenizer = model.tokenizer
        self.start_id = start_id(self.tokenizer, settings)
        self.dtype = as_dtype(settings.dtype)
        self.widths = {site: width_at(model, site) for site in self.sites}

    def median_norms(self, contexts: Sequence[Context]) -> dict[Site, float]:
        """Return the median norm at each Site over all positions that the start does not exclude."""
        found: dict[Site, list[Tensor]] = {site: [] for site in self.sites}
        for part in self._batches(contexts):
            values, kept = self._pass(part), self._candidates(part)
            for site in self.sites:
                norms = _norms(values[site])[kept]
                self._check_finite(site, norms, kept, part)
                found[site].append(norms.cpu())
        if not sum(map(len, found[self.sites[0]])):
            raise InputError(
                "the first contexts hold no token that the policy keeps; use longer texts or drop_start=False"
            )
        medians = {site: float(torch.cat(norms).median()) for site, norms in found.items()}
        for site, median in medians.items():
            if median == 0:
                raise InputError(
                    f"most activations at {site} are zero, so no norm is usual there; use norm_multiple=None or another Site"
                )
        return medians

    def rows(self, contexts: Sequence[Context], limits: Limits) -> Iterator[Rows]:
        """Yield what is kept of the contexts, a part for each pass; raise GlassbookError where values are not finite."""
        first = 0
        for part in self._batches(contexts):
            yield self._rows(part, limits, first)
            first += len(part)

    def _rows(self, part: Sequence[Context], limits: Limits, first: int) -> Rows:
        values, kept = self._pass(part), self._candidates(part)
        left_out = LeftOut(start=sum(len(context.tokens) for context in part) - int(kept.sum()))
        beyond = torch.zeros_like(kept)
        for site in self.sites:
            norms = _norms(values[site])
            self._check_finite(site, norms[kept], kept, part)
            if site in limits:
                far = kept & (norms > limits[site])
                left_out.norm_at[str(site)] = int(far.sum())
                beyond |= far
        left_out.norm = int(beyond.sum())
        kept &= ~beyond
        contexts, positions = kept.nonzero().to("cpu", torch.int32).unbind(1)
        found = {site: self._stored(site, values[site][kept]) for site in self.sites}
        return Rows(found, contexts + first, positions.contiguous(), left_out)

    def most_rows(self, context: Context) -> int:
        """Return how many rows a context gives at most: one for each token that the start does not exclude."""
        if not self.settings.policy.drop_start:
            return len(context.tokens)
        starts = 0 if self.start_id is None else int((context.tokens[1:] == self.start_id).sum())
        return len(context.tokens) - 1 - starts

    def _batches(self, contexts: Sequence[Context]) -> list[Sequence[Context]]:
        size = self.settings.batch_size
        return [contexts[first : first + size] for first in range(0, len(contexts), size)]

    def _pass(self, part: Sequence[Context]) -> dict[Site, Float[Tensor, "batch pos _"]]:
        cache = capture(self.model, self._prompts(part), self.sites)
        return {site: cache[site].flatten(2) for site in self.sites}

    def _prompts(self, part: Sequence[Context]) -> Prompts:
        batch = Prompts.of([context.tokens.tolist() for context in part])
        return Prompts(batch.ids.to(self.model.device), batch.lengths)

    def _candidates(self, part: Sequence[Context]) -> Bool[Tensor, "batch pos"]:
        """Return which positions hold a token that the start does not exclude."""
        batch = self._prompts(part)
        kept = self.model.span(batch).is_real
        if self.settings.policy.drop_start:
            kept = kept & (batch.ids != (-1 if self.start_id is None else self.start_id))
            kept[:, 0] = False
        return kept

    def _stored(self, site: Site, values: Float[Tensor, "row width"]) -> Float[Tensor, "row width"]:
        """Return values in the precision they are kept in, on the CPU; raise InputError where they do not fit into it."""
        stored = values.to(self.dtype).cpu()
        if self.dtype == torch.float16 and not bool(stored.isfinite().all()):
            raise InputError(f"activations at {site} are too large for float16; harvest in bfloat16 or float32")
        return stored

    def _check_finite(
        self, site: Site, norms: Float[Tensor, " row"], kept: Bool[Tensor, "batch pos"], part: Sequence[Context]
    ) -> None:
        if bool(norms.isfinite().all()):
            return
        row, position = kept.nonzero()[(~norms.isfinite()).nonzero()[0, 0]].tolist()
        raise GlassbookError(
            f"the activation at {site} is not finite at position {position} of a context from document "
            f"{part[row].documents[position]}; open the model in float32 or bfloat16 or check its weights (what was harvested "
            "before is kept)"
        )


def width_at(model: Model, site: Site) -> int:
    """Return how many numbers a token has at a Site, heads side by side; raise SiteError where it has no vector."""
    axes = list(site.kind.axes)
    if axes[:2] != ["batch", "pos"] or site.neuron is not None or axes[-1] == "one":
        raise SiteError(
            f"there is no vector for each token at {site}; harvest resid_pre, resid_post, mlp_out, mlp_post, z and the like"
        )
    if site.part is not None:
        del axes[site.part[0]]
    width = 1
    for axis in axes[2:]:
        width *= model.config.sizes[axis]
    return width


def limits_of(medians: Mapping[Site, float], settings: Harvest) -> dict[Site, float]:
    """Return the largest norm that the policy keeps at each Site, to three digits so that rounding does not move it."""
    multiple = settings.policy.norm_multiple
    return {} if multiple is None else {site: float(f"{multiple * median:.3g}") for site, median in medians.items()}


def _norms(values: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch"]:
    return torch.linalg.vector_norm(values, dim=-1, dtype=torch.float32)
