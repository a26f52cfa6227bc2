"""Cards of one streaming pass are those of their definition, however the store and the pass were cut into parts."""

from dataclasses import astuple, is_dataclass
from itertools import starmap
from math import isclose
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import tiny_model
from features.cards.reference import Dense, cosines
from features.cards.small_stores import SITE, counting, drawn, stored
from glassbook.activations.store.store import ActivationStore
from glassbook.core.errors import InputError, MemoryLimitError, SiteError
from glassbook.features import DictionaryError
from glassbook.features.cards import Card, Cards, CardSettings, make_cards, reading
from glassbook.features.cards.activity import INTERVALS
from glassbook.features.dictionary import Dictionary

KINDS = ("batchtopk", "jumprelu", "standard")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the stores of this module."""
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def a_store(folder: Path) -> ActivationStore:
    """Return a store of sixty contexts in three shards."""
    return stored(folder / "one", drawn(1, 60, 16), [20, 1, 39])


def made(dictionary: Dictionary, store: ActivationStore, how: CardSettings, rows: int = 1 << 16) -> Cards:
    """Return cards, made from so many rows at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "FIRST_ROWS", min(rows, 3))
        patch.setattr(reading, "MOST_ROWS", rows)
        return make_cards(tiny_model(), dictionary, store, how)


def assert_same(card: Card, dense: Dense) -> None:
    feature = card.feature
    values = dense.features[:, feature]
    assert card.density == (values > 0).mean() and card.max_activation == values.max()
    assert card.histogram == dense.histogram(feature)
    expected = [dense.example(feature, *one) for one in dense.chosen(feature)]
    assert len(card.examples) == len(expected)
    for found, wanted in zip(card.examples, expected, strict=True):
        assert found.activations == pytest.approx(wanted.activations, rel=1e-3)
        for name in ("tokens", "document", "peak", "interval", "context", "start"):
            assert getattr(found, name) == getattr(wanted, name)
    shares = {other: dense.together(feature, other) for other in range(dense.features.shape[1]) if other != feature}
    ranked = sorted((other for other, share in shares.items() if share), key=lambda other: (-shares[other], other))
    assert [other for other, _ in card.together] == ranked[: dense.settings.listed]
    assert [share for _, share in card.together] == pytest.approx([shares[other] for other, _ in card.together])


asked = st.builds(
    dict,
    top=st.integers(1, 4),
    samples=st.integers(0, 3),
    before=st.integers(0, 5),
    after=st.integers(0, 4),
    listed=st.integers(1, 5),
    sampled=st.integers(1, 40),
    seed=st.integers(0, 5),
)


@settings(max_examples=12)
@given(
    seed=st.integers(0, 1000),
    kind=st.sampled_from(KINDS),
    how=asked,
    shards=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    rows=st.integers(1, 50),
)
def test_cards_of_a_stream_are_those_of_the_definition_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: str, how: dict[str, int], shards: list[int], rows: int
) -> None:
    material = drawn(seed, sum(shards) + 1)
    store = stored(tmp_path_factory.mktemp("cut") / "store", material, [*shards, 1])
    if not store.n_tokens:
        return
    wanted, dictionary = CardSettings(**how), counting(kind, 6, seed)
    cards, dense = made(dictionary, store, wanted, rows), Dense.of(dictionary, store, wanted)
    for feature in range(6):
        assert_same(cards.card(feature), dense)
    assert cards.densities().tolist() == (dense.features > 0).mean(0).tolist()
    assert cards.facts["tokens"] == len(dense.features)


def test_a_fault_planted_in_the_definition_is_seen(a_store: ActivationStore) -> None:
    wanted, dictionary = CardSettings(top=3, before=2, after=2), counting("batchtopk")
    cards = made(dictionary, a_store, wanted)
    dense = Dense.of(dictionary, a_store, wanted)
    assert_same(cards.card(5), dense)
    # The last context with the feature alone: neither the top nor all of the samples can do without it.
    row = max(dense.peaks(5), key=lambda row: dense.features[row, 5])
    for change in (-1.0, 3.0):
        dense.features[row, 5] += change
        with pytest.raises(AssertionError):
            assert_same(cards.card(5), dense)
        dense.features[row, 5] -= change
    assert_same(cards.card(5), dense)


@pytest.mark.parametrize("kind", ["topk", "gated", "pca"])
def test_kinds_that_choose_otherwise_have_the_same_cards_in_parts_of_any_size(
    a_store: ActivationStore, kind: str
) -> None:
    wanted = CardSettings(top=3, samples=1)
    dictionary = counting(kind) if kind != "pca" else _fitted(a_store)
    dense = Dense.of(dictionary, a_store, wanted)
    cards = made(dictionary, a_store, wanted)
    assert cards.densities() == pytest.approx((dense.features > 0).mean(0), abs=2 / a_store.n_tokens)
    assert cards.largest == pytest.approx(dense.features.max(0), rel=1e-5)
    small = made(dictionary, a_store, wanted, 7)
    n_top = 0
    for feature in range(cards.n_features):
        expected = [dense.contexts[row] for row, interval in dense.chosen(feature) if interval == 0]
        for card in (cards.card(feature), small.card(feature)):
            assert [example.context for example in card.top] == expected
        n_top += len(expected)
    assert n_top > 10


def _fitted(store: ActivationStore) -> Dictionary:
    from glassbook.features.dictionary import make_dictionary

    found = make_dictionary("pca", 32, 5, 32, {"k": 2})
    found.fit(store.rows(SITE).float())
    found.facts |= {"site": str(SITE)}
    return found.requires_grad_(False)


def test_top_examples_are_truly_the_top_and_samples_lie_in_even_intervals(a_store: ActivationStore) -> None:
    wanted = CardSettings(top=4, samples=2)
    dictionary = counting("standard", 8)
    cards, dense = made(dictionary, a_store, wanted), Dense.of(dictionary, a_store, wanted)
    n_sampled = 0
    for feature in range(2, 8):
        card = cards.card(feature)
        peaks = [example.activations[example.peak] for example in card.top]
        per_context = [dense.features[[c == n for c in dense.contexts], feature].max() for n in set(dense.contexts)]
        assert peaks == pytest.approx(sorted(per_context, reverse=True)[:4], rel=1e-3)
        assert all(example.activations[example.peak] == max(example.activations) for example in card.examples)
        width = dense.range(feature) / INTERVALS
        highest = card.max_activation // width
        for example in card.examples[4:]:
            low = (highest - example.interval + 1) * width
            assert low * (1 - 1e-3) <= example.activations[example.peak] < (low + width) * (1 + 1e-3)
            n_sampled += 1
        intervals = [example.interval for example in card.examples]
        assert intervals == sorted(intervals)
    assert n_sampled > 20


def test_another_seed_draws_other_samples_and_the_same_top(a_store: ActivationStore) -> None:
    dictionary = counting("standard", 8)
    first, same, other = (
        made(dictionary, a_store, CardSettings(top=3, samples=2, seed=seed)).card(4) for seed in (0, 0, 1)
    )
    assert first == same and first.top == other.top
    assert first.examples != other.examples


def alike(one: object, other: object) -> bool:
    """Return whether two cards say the same; products of other shapes may round a cosine otherwise."""
    if is_dataclass(one):
        return type(one) is type(other) and alike(astuple(one), astuple(other))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(starmap(alike, zip(one, other, strict=True)))
    return isclose(one, other, rel_tol=1e-5, abs_tol=1e-6) if isinstance(one, float) else one == other


def test_cards_of_only_some_features_are_theirs_and_others_have_what_was_counted(a_store: ActivationStore) -> None:
    dictionary = counting("batchtopk")
    whole = made(dictionary, a_store, CardSettings())
    some = made(dictionary, a_store, CardSettings(only=(7, 3)))
    assert all(alike(some.card(feature), whole.card(feature)) for feature in (3, 7))
    assert not alike(some.card(3), whole.card(7)), "the control: another feature's card is another"
    other, known = some.card(4), whole.card(4)
    assert (other.examples, other.nearest, other.logits_up) == ((), (), ()) and known.examples
    assert (other.density, other.histogram) == (known.density, known.histogram)


def test_a_feature_that_is_never_active_has_a_card_that_says_so(a_store: ActivationStore) -> None:
    cards = made(counting("batchtopk"), a_store, CardSettings())
    dead, alive = cards.card(0), cards.card(2)
    assert (dead.density, dead.max_activation, dead.examples, dead.together) == (0.0, 0.0, (), ())
    assert dead.histogram.counts == () and len(dead.logits_up) == 10
    assert alive.density > 0.9 and alive.examples


def test_nearest_features_are_those_of_the_largest_cosine(a_store: ActivationStore) -> None:
    dictionary = counting("batchtopk")
    cards = made(dictionary, a_store, CardSettings(listed=3))
    expected = cosines(dictionary.decoder).fill_diagonal_(-2)
    for feature in range(12):
        values, others = expected[feature].topk(3)
        assert [other for other, _ in cards.card(feature).nearest] == others.tolist()
        assert [value for _, value in cards.card(feature).nearest] == pytest.approx(values.tolist(), abs=1e-6)


def test_a_progress_is_told_of_every_part(a_store: ActivationStore) -> None:
    said: list[tuple[str, int, int]] = []
    make_cards(tiny_model(), counting("batchtopk"), a_store, None, lambda *one: said.append(one))
    assert said[-1][1:] == (a_store.n_tokens, a_store.n_tokens)
    assert [done for _, done, _ in said] == sorted(done for _, done, _ in said)


def test_what_does_not_belong_together_is_refused(a_store: ActivationStore, tmp_path: Path) -> None:
    ask = CardSettings()
    of_another = counting("batchtopk")
    of_another.facts["weights"] = of_another.facts["weights"] | {"lineage": "another", "fingerprint": "another"}
    with pytest.raises(InputError, match="not the same model"):
        make_cards(tiny_model(), of_another, a_store, ask)
    with pytest.raises(InputError, match="harvest from this one"):
        make_cards(tiny_model("gpt2"), counting("batchtopk"), a_store, ask)
    elsewhere = counting("batchtopk")
    elsewhere.facts["site"] = "L1.resid_post"
    with pytest.raises(SiteError, match=r"L1\.resid_post' was not harvested"):
        make_cards(tiny_model(), elsewhere, a_store, ask)
    nowhere = counting("batchtopk")
    del nowhere.facts["site"]
    with pytest.raises(InputError, match="does not say at which Site"):
        make_cards(tiny_model(), nowhere, a_store, ask)
    narrow = Dictionary.__new__(type(counting("batchtopk")))
    narrow.__init__(16, 12, 16, k=2)
    narrow.facts |= {"site": str(SITE)}
    with pytest.raises(DictionaryError, match=r"of 16 numbers and those at .* have 32"):
        make_cards(tiny_model(), narrow, a_store, ask)
    empty = stored(tmp_path / "empty", drawn(0, 1), [])
    with pytest.raises(InputError, match="no tokens yet"):
        make_cards(tiny_model(), counting("batchtopk"), empty, ask)


def test_cards_that_do_not_fit_into_the_memory_asked_for_are_refused_before_anything_is_read(
    a_store: ActivationStore,
) -> None:
    with pytest.raises(MemoryLimitError, match="allow more"):
        make_cards(tiny_model(), counting("batchtopk"), a_store, CardSettings(memory_bytes=1000))


@pytest.mark.parametrize("wrong", [{"top": 0}, {"samples": -1}, {"before": 200, "after": 60}, {"sampled": 0}])
def test_settings_that_make_no_cards_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"makes no cards|too long"):
        CardSettings(**wrong)


def test_samples_are_as_good_as_random() -> None:
    from glassbook.features.cards.best import keys_by_chance

    ranks = keys_by_chance(np.arange(20_000), 3).argsort().argsort()
    halves = ranks[:10_000].mean(), ranks[10_000:].mean()
    assert halves == pytest.approx((9999.5, 9999.5), rel=0.03)
    assert abs(np.corrcoef(ranks[:-1], ranks[1:])[0, 1]) < 0.03
    assert len(np.unique(keys_by_chance(np.arange(20_000), 3))) == 20_000
