"""Dictionaries spliced into a model: what flows on is what their features say, with or without what they miss.

A splice is given to a model as `steer=` or its edits to `capture`. With the error term and features as they are, what flows on is
what was there, bit for bit; a change of features adds exactly what it changes in the reconstruction (Marks et al. 2024,
2403.19647).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from glassbook.activations.store.reading import width_at
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, Span
from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryError
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
        for site, width in ((self.read, self.dictionary.d_in), (self.written, self.dictionary.d_out)):
            has = width_at(model, *model.sites(site))
            if has != width:
                raise DictionaryError(
                    f"this {self.dictionary.kind} dictionary is {width} wide and {site} of {model.identity.name} is {has}; "
                    "splice it where it was trained"
                )
        if self.read == self.written:
            return [Edit(self.written, self._replace, self.where)]
        seen: list[Tensor] = []

        def keep(value: Tensor, span: Span) -> Tensor:
            seen[:] = [value]
            return value

        def write(value: Tensor, span: Span) -> Tensor:
            if not seen:
                raise DictionaryError(
                    f"{self.written} comes before {self.read} in this model, so nothing was read; swap them"
                )
            return self._replaced(seen.pop(), value, span)

        return [Edit(self.read, keep, _nowhere), Edit(self.written, write, self.where)]

    def _replace(self, value: Tensor, span: Span) -> Tensor:
        return self._replaced(value, value, span)

    def _replaced(self, read: Tensor, value: Tensor, span: Span) -> Tensor:
        """Return what flows on in place of `value`, given what the dictionary reads."""
        if self.error and self.change is None and not self.through_features:
            return value
        dictionary = self.dictionary
        x, was = (part.flatten(2).to(dictionary.encoder.dtype) for part in (read, value))
        features = dictionary.encode(x)
        changed = features if self.change is None else self.change(features, span)
        new, past = dictionary.decode(changed), dictionary.skip(x)
        if past is not None:
            new = new + past
        if self.error:
            before = dictionary.decode(features)
            before = before if past is None else before + past
            new = new + (was - before).detach() if self.through_features else was + (new - before)
        mask = self.where(span).view(*value.shape[:2], *[1] * (value.ndim - 2))
        return new.view_as(value).to(value.dtype).where(mask, value)


def splice(dictionaries: Mapping[SiteOrPair, Dictionary] | Dictionary, **how: Any) -> list[Splice]:
    """Return splices of dictionaries by Site, or of one at the Site it was trained at; `how` takes the fields of Splice.

    Raises InputError where a dictionary does not say what it was trained at.
    """
    given = {_trained_at(dictionaries): dictionaries} if isinstance(dictionaries, Dictionary) else dictionaries
    found = []
    for place, dictionary in given.items():
        read, written = place if isinstance(place, tuple) else (place, place)
        found.append(Splice(dictionary=dictionary, read=Site.parse(read), written=Site.parse(written), **how))
    return found


def _trained_at(dictionary: Dictionary) -> SiteOrPair:
    read, written = dictionary.facts.get("site"), dictionary.facts.get("site_out")
    if not read:
        raise InputError('this dictionary does not say where it was trained; give {"L6.resid_post": dictionary}')
    return (read, written) if written else read


def _nowhere(span: Span) -> Bool[Tensor, "batch pos"]:
    return span.is_real & False
