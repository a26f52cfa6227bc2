"""Planted features get the labels that they were planted with, scores stand beside controls, and unable judges are said to be."""

from dataclasses import replace

import numpy as np
import pytest

from features.labels.planted_features import KINDS, NAMES, Planted, plant
from glassbook.features.labels import NOT_ABLE, Asked, Labels, RuleJudge, make_labels
from glassbook.features.labels.rules import After, Token, Words


@pytest.fixture(scope="module")
def planted() -> Planted:
    return plant()


@pytest.fixture(scope="module")
def labels(planted: Planted) -> Labels:
    return make_labels(planted.labelling())


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_feature_gets_a_label_of_its_kind_and_one_of_chance_none(labels: Labels, name: str) -> None:
    assert labels.label(NAMES.index(name)).kind == KINDS[name], labels.label(NAMES.index(name))


def test_the_label_says_what_was_planted(labels: Labels) -> None:
    word, _, after, digits, document, chance, nothing = (labels.label(number) for number in range(len(NAMES)))
    assert word.rule in (Token(" sail"), Words(("sail",))) and "sail" in word.text
    assert isinstance(after.rule, After) and "after “old”" in after.text
    assert digits.text == "numbers in digits" and document.text == "text of document 3 of the corpus"
    assert "no rule fits" in chance.text and nothing.text == "never active"


def test_labels_score_high_and_their_controls_come_to_chance(labels: Labels) -> None:
    for way in ("detection", "fuzzing"):
        found = labels.overall(way)
        assert found["told"].estimate > 0.85
        assert abs(found["shuffled"].estimate - 0.5) < 0.1 and abs(found["other"].estimate - 0.5) < 0.15
    scored = labels.label(0).detection
    assert scored is not None and scored.told.accuracy.low > scored.shuffled.accuracy.high


def test_a_feature_whose_activations_are_dealt_anew_loses_its_label(planted: Planted) -> None:
    draw = np.random.default_rng(3)
    card, passages = planted.cards.card(0), planted.background.passages
    dealt = []
    for example in card.examples:
        tokens = tuple(passages.tokens[int(draw.integers(len(passages)))].tolist())
        peak = int(draw.integers(len(tokens)))
        values = tuple(float(place == peak) for place in range(len(tokens)))
        dealt.append(replace(example, tokens=tokens, activations=values, peak=peak))
    kept, planted.cards._at_hand[0] = card, replace(card, examples=tuple(dealt))
    try:
        assert make_labels(planted.labelling(), [0]).label(0).kind == "none"
    finally:
        planted.cards._at_hand[0] = kept


class Stubborn:
    """A judge that says yes whatever it is asked."""

    name = "yes"

    def learn(self, asked: Asked, truth: np.ndarray) -> None:
        """Learn nothing."""

    def answers(self, asked: Asked) -> np.ndarray:
        """Return yes."""
        return np.ones(len(asked.passages), bool)


class HalfBlind(RuleJudge):
    """A judge that runs the rule in detection, and in fuzzing says yes."""

    name = "detects alone"

    def answers(self, asked: Asked) -> np.ndarray:
        """Return the rule's answer, or yes where tokens are marked."""
        return super().answers(asked) if asked.marks is None else np.ones(len(asked.passages), bool)


def test_the_figures_of_a_judge_that_is_not_able_are_never_shown(planted: Planted) -> None:
    unable = make_labels(planted.labelling(), judge=Stubborn())
    half = make_labels(planted.labelling(), judge=HalfBlind())
    assert unable.scorer.ability.detection.accuracy.estimate == 0.5
    for way in ("detection", "fuzzing"):
        assert unable.score_text(0, way) == NOT_ABLE and unable.score(0, way) is None and unable.overall(way) == {}
    assert half.score(0, "detection") is not None and half.overall("detection")["told"].estimate > 0.85
    assert half.score_text(0, "fuzzing") == NOT_ABLE


def test_the_same_seed_labels_alike_and_only_what_is_asked_is_judged(planted: Planted, labels: Labels) -> None:
    again = make_labels(planted.labelling())
    assert list(again) == list(labels)
    few = make_labels(planted.labelling(judged=2))
    assert sum(label.detection is not None for label in few) == 2 < sum(label.rule is not None for label in few)
