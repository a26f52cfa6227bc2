"""Finding features: by the words of their labels and of the text they are active on, by token, or by what a text activates."""

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from glassbook.activations.capture import capture
from glassbook.activations.store import Harvest
from glassbook.activations.store.packing import start_id
from glassbook.core.errors import InputError
from glassbook.features.belonging import check_belongs, policy_of
from glassbook.features.cards import Card, Cards, Example
from glassbook.features.dictionary import Dictionary
from glassbook.features.labels.label import Label, Labels
from glassbook.features.labels.lexicon import fold
from glassbook.models.model import Model

RANKED = {
    "words": "words of the label, then whole words at the peaks of examples, then beginnings of either; then the share of peaks",
    "token": "the share of examples whose strongest token it is",
    "text": "the largest activation on the text, as a share of the feature's largest on any",
}
"""How results are ordered, in words."""

_EDGES = string.punctuation + string.whitespace + "“”‘’—–…"


@dataclass(frozen=True, slots=True)
class Found:
    """A feature that was found, why, and the number it is ranked by last."""

    feature: int
    why: str
    share: float


class _Match(NamedTuple):
    """What one word of the question meets in a feature, in the order in which it counts."""

    in_label: bool
    at_peaks: bool
    begins_in_label: bool
    begins_at_peaks: bool
    share: float

    @property
    def why(self) -> str:
        """Return the best of it in words."""
        if self.in_label:
            return "word of the label"
        at_peaks = f"at {self.share:.0%} of the peaks"
        if self.at_peaks:
            return f"word {at_peaks}"
        return "begins a word of the label" if self.begins_in_label else f"begins a word {at_peaks}"


class Searcher:
    """The words of every feature's label and examples, read once."""

    def __init__(self, cards: Cards, labels: Labels | None = None) -> None:
        self.cards, self.labels = cards, labels
        self._label_words: dict[int, set[str]] = {}
        self._peaks: dict[int, list[tuple[str, str]]] = {}
        for feature in (cards.counts > 0).nonzero()[0].tolist():
            label = labels.label(feature) if labels is not None and feature in labels else None
            self._label_words[feature] = set(_label_words(label))
            self._peaks[feature] = list(self._of_card(cards.card(feature)))

    def words(self, query: str, most: int | None = None) -> list[Found]:
        """Return features for one or more words, ranked as RANKED tells; raise InputError where there is no word."""
        wanted = list(dict.fromkeys(_split(query)))
        if not wanted:
            raise InputError("there is no word to search for; give at least one")
        found = []
        for feature in self._peaks:
            matches = [one for word in wanted if any(one := self._match(feature, word))]
            if matches:
                key = (len(matches), *(sum(part) for part in zip(*matches, strict=True)))
                found.append((key, Found(feature, max(matches).why, sum(one.share for one in matches) / len(wanted))))
        found.sort(key=lambda pair: (*(-part for part in pair[0]), pair[1].feature))
        return [one for _, one in found][:most]

    def token(self, text: str, most: int | None = None) -> list[Found]:
        """Return features whose examples have a token of exactly this text at their peaks, the largest share first."""
        found = []
        for feature, peaks in self._peaks.items():
            share = sum(token == text for token, _ in peaks) / len(peaks) if peaks else 0.0
            if share:
                found.append(Found(feature, f"token at {share:.0%} of the peaks", share))
        return sorted(found, key=lambda one: (-one.share, one.feature))[:most]

    def peak_words(self, feature: int, most: int = 4) -> list[str]:
        """Return the words at the peaks of a feature's examples, the strongest example's first."""
        return list(dict.fromkeys(word for _, word in self._peaks.get(feature, ()) if word))[:most]

    def _match(self, feature: int, word: str) -> _Match:
        label, peaks = self._label_words[feature], [fold(peak) for _, peak in self._peaks[feature]]
        exact, begun = sum(peak == word for peak in peaks), sum(peak.startswith(word) for peak in peaks)
        return _Match(
            word in label,
            exact > 0,
            any(one.startswith(word) for one in label),
            begun > 0,
            (exact or begun) / len(peaks) if peaks else 0.0,
        )

    def _of_card(self, card: Card) -> Iterator[tuple[str, str]]:
        for example in card.examples:
            yield _at_peak(self.cards.token_strings(example.tokens), example)


def features_on_text(
    dictionary: Dictionary, model: Model, text: str, cards: Cards | None = None, most: int | None = None
) -> list[Found]:
    """Return the features that a text activates, ranked as RANKED tells; by activation alone where there are no cards.

    The text is read as the harvest's contexts were, and tokens that the harvest left out at the start do not count. Raises
    InputError for an empty text, DictionaryError for another model than the dictionary's.
    """
    check_belongs(dictionary, model.identity)
    if model.tokenizer is None:
        raise InputError(f"{model.identity.label} has no tokenizer and reads no text; search by words")
    policy = policy_of(dictionary)
    first = start_id(model.tokenizer, Harvest(policy=policy)) if policy is not None else None
    batch = model.read(text, first is not None)
    site = dictionary.facts["site"]
    rows = capture(model, batch, [site])[site].flatten(2)[0]
    if policy is None or policy.drop_start:
        rows = rows[1:]
    if not len(rows):
        raise InputError("the text is too short; give at least two tokens")
    with torch.no_grad():
        values, places = dictionary.encode(rows.float()).max(0)
    strings = model.to_str_tokens(batch)[-len(rows) :]
    largest = torch.from_numpy(cards.largest).clamp(min=1e-9) if cards is not None else torch.ones_like(values)
    shares = values / largest
    order = [feature for feature in shares.argsort(descending=True).tolist() if values[feature] > 0]
    return [
        Found(one, f"{float(values[one]):.3g} at {strings[int(places[one])]!r}", float(shares[one]))
        for one in order[:most]
    ]


def _at_peak(strings: Sequence[str], example: Example) -> tuple[str, str]:
    """Return the token at an example's peak and the word that it is part of: back to a blank and on to the next."""
    first = last = example.peak
    while first > 0 and not _begins(strings[first]):
        first -= 1
    while last + 1 < len(strings) and not _begins(strings[last + 1]):
        last += 1
    return strings[example.peak], "".join(strings[first : last + 1]).strip(_EDGES) or strings[example.peak].strip()


def _begins(token: str) -> bool:
    """Return whether a token begins a word or stands for itself."""
    return not token[:1].isalnum()


def _label_words(label: Label | None) -> Iterator[str]:
    """Return the words that a label is about; a label of no rule is about none."""
    if label is None or label.rule is None:
        return iter(())
    return _split(label.text)


def _split(text: str) -> Iterator[str]:
    return (word for part in text.split() if (word := fold(part.strip(_EDGES))) and word.strip(_EDGES))
