"""A pass begun once and finished many times: what lies below the first edited layer is computed a single time."""

from collections.abc import Sequence
from contextlib import suppress

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, PassDone, Span, Taps
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts


class Prefix:
    """The residual stream of a batch where block `layer` begins, ready to be continued under different edits.

    `layer` None computes nothing ahead, for edits of the embeddings themselves; nor is anything computed ahead for a network
    whose pass cannot begin at a layer, of which every finish is a whole pass.
    """

    def __init__(
        self, model: Model, batch: Prompts, layer: int | None, prompt_lengths: Sequence[int] | None = None
    ) -> None:
        self.model, self.batch, self.layer = model, batch, layer
        self.span = model.span(batch, prompt_lengths)
        kept: list[Tensor] = []
        if layer is not None and model.net.resumable:
            with torch.inference_mode(), suppress(PassDone):
                model.run(batch, Taps(readers={Site("resid_pre", layer): kept.append}, stop=True))
        self.resid = kept[0] if kept else None

    @classmethod
    def below(
        cls, model: Model, batch: Prompts, edits: Sequence[Sequence[Edit]], prompt_lengths: Sequence[int] | None = None
    ) -> "Prefix":
        """Return the prefix below the lowest layer that any of several sets of edits touches."""
        sites = [edit.site for one in edits for edit in one]
        if any("embed" in site.name for site in sites):
            return cls(model, batch, None, prompt_lengths)
        layers = [site.layer for site in sites if site.layer is not None]
        return cls(model, batch, min(layers, default=model.config.n_layers - 1), prompt_lengths)

    def logits(
        self, edits: Sequence[Edit], read_at: Sequence[int] | None = None, span: Span | None = None
    ) -> Float[Tensor, "batch read d_vocab"]:
        """Return the logits under `edits`, all of them at or above the prefix, at one position of each row or everywhere.

        `span` is what the edits see instead of the prefix's own, where other tokens are to count as generated.
        """
        for edit in edits:
            if not self._reaches(edit.site):
                raise InputError(
                    f"the prefix ends where L{self.layer} begins, so an edit at {edit.site} would do nothing"
                )
        taps, positions = Taps(edits=edits, span=span or self.span), self.span.positions
        ends = None if read_at is None else torch.tensor(list(read_at), device=self.batch.ids.device)
        with torch.inference_mode():
            if not self.model.net.resumable:
                return self.model.net(self.batch.ids, taps, None, positions, ends)
            net = self.model.transformer
            resid = net.enter(self.batch.ids, positions, taps) if self.resid is None else self.resid
            resid = net.climb(resid, positions, taps, None, self.layer or 0)
            if ends is not None:
                resid = resid[torch.arange(len(resid), device=resid.device), ends].unsqueeze(1)
            return net.read(resid, taps)

    def _reaches(self, site: Site) -> bool:
        if self.layer is None:
            return True
        return "embed" not in site.name if site.layer is None else site.layer >= self.layer
