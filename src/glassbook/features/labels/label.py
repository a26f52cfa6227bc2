"""Labels: what each feature of a dictionary is said to stand for, by which rule, and how well that was told."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from glassbook.core.errors import InputError
from glassbook.features.labels.ability import Ability
from glassbook.features.labels.rules import KINDS, Rule
from glassbook.features.labels.scoring import Scored, Told
from glassbook.stats.bootstrap import bootstrap
from glassbook.stats.intervals import Interval

NOT_ABLE = "scorer not able"
_RESAMPLES = 2000


class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one feature stands for.

    `rule` is what the text says, to be run; `fits` what it gets right of the half of the examples that it was not chosen by.
    Where that is too little the kind is `none` and there is no rule. `detection` and `fuzzing` are the scorer's.
    """

    feature: int
    kind: str
    text: str
    rule: Rule | None = None
    fits: Told | None = None
    detection: Scored | None = None
    fuzzing: Scored | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"'{self.kind[:40]}' is no kind of label; known: {', '.join(KINDS)}")
        if (self.kind == "none") != (self.rule is None):
            raise ValueError(
                f"the label of feature {self.feature} is of kind {self.kind} with{'out' * (not self.rule)} a rule"
            )
        if self.rule is not None and self.rule.kind != self.kind:
            raise ValueError(f"the rule of feature {self.feature} is not of kind {self.kind}")


class Scorer(msgspec.Struct, frozen=True):
    """Who scored, and what the scorer got right of planted features."""

    name: str
    ability: Ability


class Labels:
    """The labels of a dictionary's features, and `facts` on how they were made."""

    def __init__(self, facts: dict[str, Any], scorer: Scorer, labels: Sequence[Label]) -> None:
        self.facts, self.scorer = facts, scorer
        self._by_feature = {label.feature: label for label in labels}

    def __repr__(self) -> str:
        return f"<labels of {len(self):,} features, {self.counts()['none']:,} of which no rule fits>"

    def __len__(self) -> int:
        return len(self._by_feature)

    def __iter__(self) -> Iterator[Label]:
        return iter(self._by_feature.values())

    def __contains__(self, feature: int) -> bool:
        return feature in self._by_feature

    def label(self, feature: int) -> Label:
        """Return the label of a feature; raise InputError where it has none."""
        if feature not in self._by_feature:
            raise InputError(f"feature {feature} has no label; make one with glassbook features label")
        return self._by_feature[feature]

    def counts(self) -> dict[str, int]:
        """Return how many features have a label of each kind."""
        found = Counter(label.kind for label in self)
        return {kind: found[kind] for kind in KINDS}

    def is_able(self, way: str) -> bool:
        """Return whether the scorer passes its own control in `detection` or `fuzzing`."""
        ability = self.scorer.ability
        return ability.detects if way == "detection" else ability.fuzzes

    def score(self, feature: int, way: str) -> Interval | None:
        """Return the balanced accuracy of a label; None where the scorer is not able or did not score it."""
        scored = _scored(self.label(feature), way)
        return scored.told.accuracy if scored is not None and self.is_able(way) else None

    def score_text(self, feature: int, way: str) -> str:
        """Return the score as people read it; where the scorer does not pass its own control, only that."""
        if not self.is_able(way):
            return NOT_ABLE
        found = self.score(feature, way)
        return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]" if found else ""

    def overall(self, way: str) -> dict[str, Interval]:
        """Return the mean balanced accuracy over features, of the labels (`told`) and of the controls `shuffled` and `other`.

        Empty where the scorer is not able, or nothing was scored.
        """
        if not self.is_able(way):
            return {}
        scored = [one for label in self if (one := _scored(label, way)) is not None]
        found = {}
        for name in ("told", "shuffled", "other"):
            parts = [part.accuracy.estimate for one in scored if (part := getattr(one, name)) is not None]
            if parts:
                found[name] = bootstrap(parts, n_resamples=_RESAMPLES, seed=0)
        return found

    def of_all_rules(self) -> Interval | None:
        """Return the mean balanced accuracy, by detection, of every feature's best rule, those that were not kept included."""
        tried = [label.fits.accuracy.estimate for label in self if label.fits is not None]
        return bootstrap(tried, n_resamples=_RESAMPLES, seed=0) if tried else None


def _scored(label: Label, way: str) -> Scored | None:
    if way not in ("detection", "fuzzing"):
        raise InputError(f"labels are not scored by '{way}'; ask for detection or fuzzing")
    return label.detection if way == "detection" else label.fuzzing
