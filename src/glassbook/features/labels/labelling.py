"""From cards and ordinary text to labels: a rule is chosen on half of a feature's examples and held against the other half."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np

from glassbook.core.errors import InputError
from glassbook.features.cards import Card, Cards
from glassbook.features.labels.ability import ability_of
from glassbook.features.labels.background import Background
from glassbook.features.labels.files import Journal
from glassbook.features.labels.judging import Judge, RuleJudge
from glassbook.features.labels.label import Label, Labels, Scorer
from glassbook.features.labels.lexicon import fold
from glassbook.features.labels.passages import Passages
from glassbook.features.labels.proposing import Seen, propose
from glassbook.features.labels.rules import Rule, listed
from glassbook.features.labels.scoring import Held, detection, fuzzing
from glassbook.files.hashes import Progress

PROPOSING, SCORING = "choosing rules", "scoring labels"
_LEAST_EXAMPLES, _LEAST_SILENT = 4, 8
_ALIKE_WORDS = 3
_STRONGEST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """How labels are made.

    A rule is kept that tells active from silent passages with a balanced accuracy of `bar`, on examples that it was not chosen
    by, and whose interval lies above chance. It is chosen on up to `chosen_on` silent passages and half as many that look
    alike, and scored on up to `scored_on` others. A judge scores `judged` features (None: all that have a rule).
    """

    bar: float = 0.7
    chosen_on: int = 128
    scored_on: int = 48
    judged: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.5 < self.bar <= 1:
            raise InputError(f"bar = {self.bar} is no balanced accuracy to ask for; give one above 0.5 and up to 1")
        for name in ("chosen_on", "scored_on"):
            if getattr(self, name) < _LEAST_SILENT:
                raise InputError(f"{name} = {getattr(self, name)} passages are too few; give at least {_LEAST_SILENT}")
        if self.judged is not None and self.judged < 1:
            raise InputError(f"judged = {self.judged} features are none; give at least 1")

    def asked(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class _Halves:
    """A feature's passages: what its rule is chosen by, and what that is scored on."""

    seen: Seen
    active: Passages
    silent: Passages


class Labelling:
    """The making of labels from cards and ordinary text; what was `known` before is not made again."""

    def __init__(self, cards: Cards, background: Background, settings: LabelSettings | None = None) -> None:
        self.cards, self.background = cards, background
        self.settings = settings or LabelSettings()
        self.lexicon = background.passages.lexicon
        self._halves = np.arange(len(background)) % 2

    def propose(self, features: Sequence[int], progress: Progress | None = None) -> list[Label]:
        """Return a label without scores for each feature."""
        found = []
        for number, feature in enumerate(features, start=1):
            found.append(self._proposed(self.cards.card(feature)))
            if progress:
                progress(PROPOSING, number, len(features))
        return found

    def score(self, label: Label, judge: Judge, others: Sequence[Rule]) -> Label:
        """Return a label with the judge's scores, beside those of another feature's rule, drawn from `others`."""
        if label.rule is None:
            return label
        halves, draw = self._halved(self.cards.card(label.feature)), self._draw("scoring", label.feature)
        unlike = [rule for rule in others if rule != label.rule]
        other = unlike[int(draw.integers(len(unlike)))] if unlike else None
        ways: Mapping[str, Held | None] = {
            "detection": detection(halves.active, halves.silent),
            "fuzzing": fuzzing(halves.active, halves.silent, draw),
        }
        scored = {way: held.scored(judge, label.rule, other, draw) for way, held in ways.items() if held is not None}
        return msgspec.structs.replace(label, **scored)

    def judged(self, labels: Sequence[Label]) -> list[int]:
        """Return the features whose labels a judge scores, evenly from among those that have a rule."""
        ruled = [label.feature for label in labels if label.rule is not None]
        wanted = self.settings.judged
        if wanted is None or wanted >= len(ruled):
            return ruled
        return [ruled[number * len(ruled) // wanted] for number in range(wanted)]

    def _proposed(self, card: Card) -> Label:
        if not card.max_activation:
            return Label(card.feature, "none", "never active")
        if len(card.examples) < _LEAST_EXAMPLES:
            return Label(card.feature, "none", f"too few examples ({len(card.examples)})")
        halves = self._halved(card)
        if min(len(halves.silent), len(halves.seen.silent)) < _LEAST_SILENT:
            return Label(card.feature, "none", "active in nearly every passage")
        found = propose(halves.seen)
        assert found is not None
        fits = detection(halves.active, halves.silent).told(RuleJudge(), found.rule)
        accuracy = fits.accuracy
        if accuracy.estimate < self.settings.bar or not accuracy.lies_above(0.5):
            return Label(card.feature, "none", f"no rule fits; strongest at {self._strongest(card)}", fits=fits)
        return Label(card.feature, found.rule.kind, found.rule.text, found.rule, fits)

    def _strongest(self, card: Card) -> str:
        """Return the words at the largest activations, each once."""
        words = [fold(self.lexicon.texts[example.tokens[example.peak]]) for example in card.examples]
        return listed(list(dict.fromkeys(words))[:_STRONGEST])

    def _halved(self, card: Card) -> _Halves:
        """Return the passages of a card in two halves that share no example and no silent passage."""
        draw = self._draw("halves", card.feature)
        first = int(draw.integers(2))
        chosen, held = card.examples[first::2], card.examples[1 - first :: 2]
        silent = self.background.silent(card.feature)
        active = Passages.of_examples(chosen, self.lexicon)
        peaks = np.array([example.peak for example in chosen], np.int64)
        ours, theirs = (draw.permutation(np.nonzero(silent & (self._halves == half))[0]) for half in (0, 1))
        alike = self._alike(active.words[np.arange(len(active)), peaks], ours)
        passages = self.background.passages
        seen = Seen(
            active,
            peaks,
            passages.rows(ours[: self.settings.chosen_on]),
            passages.rows(alike[: self.settings.chosen_on // 2]),
        )
        held_out = Passages.of_examples(held, self.lexicon)
        return _Halves(seen, held_out, passages.rows(theirs[: self.settings.scored_on]))

    def _alike(self, words: np.ndarray, silent: np.ndarray) -> np.ndarray:
        """Return the silent passages that hold one of the words most common at the peaks."""
        numbers, counts = np.unique(words[words >= 0], return_counts=True)
        common = numbers[np.argsort(-counts, kind="stable")[:_ALIKE_WORDS]]
        found = np.zeros(len(silent), bool)
        for word in common.tolist():
            found |= (self.background.passages.words[silent] == word).any(1)
        return silent[found]

    def _draw(self, purpose: str, feature: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, len(purpose), feature])


def make_labels(
    labelling: Labelling,
    features: Iterable[int] | None = None,
    judge: Judge | None = None,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Labels:
    """Return the labels of some features, or of all, scored by a judge or else by running their rules.

    With a journal what is scored is written there at once, and what it holds already is not scored again.
    """
    wanted = list(range(labelling.cards.n_features) if features is None else features)
    who: Judge = judge or RuleJudge()
    proposed = labelling.propose(wanted, progress)
    scorer = Scorer(who.name, ability_of(who, labelling.background.passages, labelling.settings.seed))
    rules = [label.rule for label in proposed if label.rule is not None]
    asked, done = set(labelling.judged(proposed)), dict(journal.known if journal else {})
    try:
        for number, label in enumerate(proposed, start=1):
            if label.feature in asked and label.feature not in done:
                done[label.feature] = labelling.score(label, who, rules)
                if journal:
                    journal.add(done[label.feature])
            if progress:
                progress(SCORING, number, len(proposed))
    finally:
        if journal:
            journal.write()
    facts = {"settings": labelling.settings.asked()}
    return Labels(facts, scorer, [done.get(label.feature, label) for label in proposed])
