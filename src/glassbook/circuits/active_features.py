"""Which features of a dictionary are active at each token of a text."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glassbook.activations.capture import capture
from glassbook.activations.store import Harvest
from glassbook.activations.store.packing import start_id
from glassbook.core.errors import InputError
from glassbook.features.belonging import check_belongs, policy_of
from glassbook.features.dictionary import Dictionary
from glassbook.features.splicing import SiteOrPair, places_of
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts

Text = str | list[int] | Prompts
"""One text, or the ids of one as they are to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveFeatures:
    """The active features of a text, token by token, the strongest first, each with its value.

    `explained` is the share of each activation, counted from the decoder's bias, that the reconstruction leaves no error of;
    below 0 the bias alone would do better. `unseen` marks tokens such as the harvest left out, of which training knows nothing.
    """

    tokens: tuple[int, ...]
    strings: tuple[str, ...]
    features: tuple[tuple[tuple[int, float], ...], ...]
    explained: tuple[float, ...]
    unseen: tuple[bool, ...]
    n_features: int

    @property
    def l0(self) -> float:
        """Return how many features are active at a token, in the mean over tokens that training knows."""
        counts = [len(one) for one, unseen in zip(self.features, self.unseen, strict=True) if not unseen]
        return sum(counts) / len(counts) if counts else 0.0

    def strongest(self, n: int) -> list[int]:
        """Return the `n` features with the largest value at any token that training knows, the largest first."""
        peaks: dict[int, float] = defaultdict(float)
        for one, unseen in zip(self.features, self.unseen, strict=True):
            for feature, value in one:
                peaks[feature] = max(peaks[feature], 0.0 if unseen else abs(value))
        return sorted(peaks, key=lambda feature: (-peaks[feature], feature))[:n]

    def along(self, feature: int) -> list[float]:
        """Return the value of one feature at every token."""
        return [dict(one).get(feature, 0.0) for one in self.features]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, a row for each token."""
        rows = zip(self.tokens, self.strings, self.features, self.explained, self.unseen, strict=True)
        return {
            "n_features": self.n_features,
            "l0": self.l0,
            "tokens": [
                {
                    "id": token,
                    "text": text,
                    "unseen": unseen,
                    "explained": explained,
                    "features": [{"feature": feature, "value": value} for feature, value in found],
                }
                for token, text, found, explained, unseen in rows
            ],
        }


def active_features(
    model: Model,
    dictionary: Dictionary,
    text: Text,
    *,
    site: SiteOrPair | None = None,
    prepend_bos: bool | None = None,
    force: bool = False,
) -> ActiveFeatures:
    """Return all active features of a text, read as the dictionary's harvest read its own: behind the start token if that did so.

    Raises InputError for a text that cannot be read, DictionaryError where the dictionary does not fit the model.
    """
    check_belongs(dictionary, model.identity, force)
    read, written = places_of(dictionary, site)
    batch = read_text(model, dictionary, text, prepend_bos)
    values = capture(model, batch, list(dict.fromkeys((read, written))))
    x, y = (_rows(values[place], dictionary) for place in (read, written))
    with torch.inference_mode():
        features = dictionary.encode(x)
        error = (y - dictionary(x)).square().sum(-1) / (y - dictionary.b_dec).square().sum(-1)
    ids = batch.row(0)
    return ActiveFeatures(
        tokens=tuple(ids),
        strings=tuple(model.to_str_tokens(batch)) if model.tokenizer else tuple(map(str, ids)),
        features=tuple(_sorted(row) for row in features.float().cpu()),
        explained=tuple((1 - error.float()).tolist()),
        unseen=tuple(unseen_positions(model, dictionary, x, ids).tolist()),
        n_features=dictionary.n_features,
    )


def read_text(model: Model, dictionary: Dictionary, text: Text, prepend_bos: bool | None = None) -> Prompts:
    """Return one text as ids, by default behind the start token if the dictionary's harvest put one there.

    Raises InputError for an empty text, several texts, or one that the model cannot read.
    """
    if isinstance(text, str):
        if not text:
            raise InputError("the text is empty; give at least one token")
        if prepend_bos is None and _start(model, dictionary) is not None:
            prepend_bos = True
    batch = model.read(text, prepend_bos)
    if len(batch.lengths) != 1:
        raise InputError(f"{len(batch.lengths)} texts were given and features are read of one; give them one by one")
    return batch


def unseen_positions(
    model: Model, dictionary: Dictionary, x: Float[Tensor, "pos d_in"], ids: list[int]
) -> Bool[Tensor, " pos"]:
    """Return which tokens of a text the policy of the dictionary's harvest leaves out; none where no harvest is known."""
    unseen = torch.zeros(len(ids), dtype=torch.bool)
    policy = policy_of(dictionary)
    if policy is None:
        return unseen
    if policy.drop_start:
        start = _start(model, dictionary)
        unseen[0] = True
        unseen |= torch.tensor([token == start for token in ids])
    if policy.norm_multiple is not None and not bool(unseen.all()):
        norms = x.float().norm(dim=-1).cpu()
        unseen |= norms > policy.norm_multiple * norms[~unseen].median()
    return unseen


def _rows(value: Tensor, dictionary: Dictionary) -> Float[Tensor, "pos width"]:
    return value.flatten(2)[0].to(dictionary.encoder.dtype)


def _sorted(row: Float[Tensor, " n_features"]) -> tuple[tuple[int, float], ...]:
    active = row.nonzero().squeeze(-1)
    order = row[active].abs().argsort(descending=True, stable=True)
    return tuple((int(feature), float(row[feature])) for feature in active[order])


def _start(model: Model, dictionary: Dictionary) -> int | None:
    """Return the token that the dictionary's harvest put before texts; None where it put none, or nothing is known of it."""
    policy = policy_of(dictionary)
    if policy is None or model.tokenizer is None:
        return None
    return start_id(model.tokenizer, Harvest(policy=policy))
