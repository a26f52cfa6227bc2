"""Dictionaries spliced into a model: what flows on is what their features say, with or without what they miss.

A splice is given to a model as `steer=` or its edits to `capture`. With the error term and features as they are, what flows on is
what was there, bit for bit; a change of features adds exactly what it changes in the reconstruction (Marks et al. 2024,
2403.19647).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glassbook.activations.store.reading import width_at
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, Span
from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.transcoder import Transcoder
from glassbook.models.model import Model

FeatureChange = Callable[[Float[Tensor, "batch pos n_features"], Span], Float[Tensor, "batch pos n_features"]]
"""What is done to features before they are decoded."""

Where = Callable[[Span], Bool[Tensor, "batch pos"]]
"""At which tokens a splice acts."""

SiteOrPair = str | Site | tuple[str | Site, str | Site]
"""Where a dictionary reads and writes; for a transcoder two Sites."""


def every_token(span: Span) -> Bool[Tensor, "batch pos"]:
    """Return where there is a token."""
    return span.is_real


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """One dictionary at its place in a model.

    With `error` what the reconstruction misses is added again. `change` edits features before they are decoded. Gradients go
    past the features too, unless `through_features`: then what they miss is a constant, and the value is exact to rounding.
    """

    dictionary: Dictionary
    read: Site
    written: Site
    error: bool = True
    change: FeatureChange | None = None
    where: Where = every_token
    through_features: bool = False

    @property
    def needs_bos(self) -> bool:
        """Return False: a splice acts on any prompt."""
        return False

    def edits_for(self, model: Model) -> list[Edit]:
        """Return the edits for a model; raise DictionaryError where the widths differ."""
        return edits_between(model, self.dictionary, (self.read, self.written), self._replaced, self.where)

    def _replaced(self, read: Tensor, value: Tensor, span: Span) -> Tensor:
        """Return what flows on in place of `value`, given what the dictionary reads, heads side by side."""
        if self.error and self.change is None and not self.through_features:
            return value
        dictionary = self.dictionary
        features = dictionary.encode(read)
        changed = features if self.change is None else self.change(features, span)
        if self.error and not self.through_features:
            # What is as it was adds exactly nothing, however large the reconstruction is.
            return value + (changed - features) @ dictionary.W_dec
        new, past = dictionary.decode(changed), dictionary.skip(read)
        if past is not None:
            new = new + past
        if self.error:
            before = dictionary.decode(features)
            new = new + (value - (before if past is None else before + past)).detach()
        return new


Replacing = Callable[[Float[Tensor, "batch pos d_in"], Float[Tensor, "batch pos d_out"], Span], Tensor]
"""What flows on where a dictionary writes: from what it reads, what stands there, and the span of the pass."""


def edits_between(
    model: Model, dictionary: Dictionary, places: tuple[Site, Site], replacing: Replacing, where: Where
) -> list[Edit]:
    """Return the edits that put `replacing` in the place of a value, at the tokens `where`, heads side by side.

    `places` are where the dictionary reads and where it writes. Raises DictionaryError where the widths differ.
    """
    read, written = places
    for site, width in ((read, dictionary.d_in), (written, dictionary.d_out)):
        has = width_at(model, *model.sites(site))
        if has != width:
            raise DictionaryError(
                f"this {dictionary.kind} dictionary is {width} wide and {site} of {model.identity.name} is {has}; "
                "splice it where it was trained"
            )

    def replaced(read_value: Tensor, value: Tensor, span: Span) -> Tensor:
        if value.shape[1] != span.positions.shape[1]:
            raise DictionaryError(
                f"while a model writes, {written} is formed for the newest token alone; "
                "use a dictionary of a Site inside the blocks, such as the last resid_post"
            )
        # A dictionary held in half precision would else round what it leaves alone.
        dtype = torch.promote_types(dictionary.encoder.dtype, value.dtype)
        new = replacing(read_value.flatten(2).to(dictionary.encoder.dtype), value.flatten(2).to(dtype), span)
        mask = where(span).view(*value.shape[:2], *[1] * (value.ndim - 2))
        return new.view_as(value).to(value.dtype).where(mask, value)

    if read == written:
        return [Edit(written, lambda value, span: replaced(value, value, span), where)]
    seen: list[Tensor] = []

    def keep(value: Tensor, span: Span) -> Tensor:
        seen[:] = [value]
        return value

    def write(value: Tensor, span: Span) -> Tensor:
        if not seen:
            raise DictionaryError(f"{written} comes before {read} in this model, so nothing was read; swap them")
        return replaced(seen.pop(), value, span)

    return [Edit(read, keep, _nowhere), Edit(written, write, where)]


def splice(dictionaries: Mapping[SiteOrPair, Dictionary] | Dictionary, **how: Any) -> list[Splice]:
    """Return splices of dictionaries by Site, or of one at the Site it was trained at; `how` takes the fields of Splice.

    Raises InputError where a dictionary does not say what it was trained at, DictionaryError for a transcoder at one Site.
    """
    given = {None: dictionaries} if isinstance(dictionaries, Dictionary) else dictionaries
    found = []
    for place, dictionary in given.items():
        read, written = places_of(dictionary, place)
        found.append(Splice(dictionary=dictionary, read=read, written=written, **how))
    return found


def places_of(dictionary: Dictionary, site: SiteOrPair | None = None) -> tuple[Site, Site]:
    """Return where a dictionary reads and where it writes: at `site`, else where it was trained.

    Raises InputError where it does not say so, DictionaryError for a transcoder at one Site.
    """
    if site is None:
        site, out = dictionary.facts.get("site"), dictionary.facts.get("site_out")
        if not site:
            raise InputError("this dictionary does not say where it was trained; give its Site, such as L6.resid_post")
        site = (site, out) if out else site
    if not isinstance(site, tuple):
        if isinstance(dictionary, Transcoder):
            raise DictionaryError(
                f"a {dictionary.kind} reads at one Site and writes at another, and only {site} is known; "
                "give both, such as (L6.resid_mid, L6.mlp_out)"
            )
        site = (site, site)
    return Site.parse(site[0]), Site.parse(site[1])


def _nowhere(span: Span) -> Bool[Tensor, "batch pos"]:
    return span.is_real & False
