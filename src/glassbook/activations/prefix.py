"""A pass begun once and finished many times: what lies below the first edited layer is computed a single time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, PassDone, Taps
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts


class Prefix:
    """The residual stream of a batch where block `layer` begins, ready to be continued under different edits."""

    def __init__(self, model: Model, batch: Prompts, layer: int, prompt_lengths: Sequence[int] | None = None) -> None:
        self.model, self.batch, self.layer = model, batch, layer
        self.span = model.span(batch, prompt_lengths)
        kept: list[Tensor] = []
        with torch.inference_mode():
            try:
                model.run(batch, Taps(readers={Site("resid_pre", layer): kept.append}, stop=True))
            except PassDone:
                self.resid = kept[0]

    @classmethod
    def below(
        cls, model: Model, batch: Prompts, edits: Sequence[Sequence[Edit]], prompt_lengths: Sequence[int] | None = None
    ) -> "Prefix":
        """Return the prefix below the lowest layer that any of several sets of edits touches."""
        touched = [edit.site.layer for one in edits for edit in one]
        layer = min((0 if at is None else at for at in touched), default=model.config.n_layers - 1)
        return cls(model, batch, layer, prompt_lengths)

    def logits(
        self, edits: Sequence[Edit], read_at: Sequence[int] | None = None
    ) -> Float[Tensor, "batch read d_vocab"]:
        """Return the logits under `edits`, all of them at or above the prefix, at one position of each row or everywhere."""
        for edit in edits:
            if not self._reaches(edit.site):
                raise InputError(f"the prefix ends where L{self.layer} begins, so an edit at {edit.site} would do nothing")
        net, taps = self.model.net, Taps(edits=edits, span=self.span)
        with torch.inference_mode():
            resid = net.climb(self.resid, self.span.positions, taps, None, self.layer)
            if read_at is not None:
                rows = torch.arange(len(resid), device=resid.device)
                resid = resid[rows, torch.tensor(list(read_at), device=resid.device)].unsqueeze(1)
            return net.read(resid, taps)

    def _reaches(self, site: Site) -> bool:
        if site.layer is None:
            return "embed" not in site.name
        return site.layer >= self.layer
