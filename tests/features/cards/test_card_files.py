"""Cards in their folder: what is opened is what was saved, one card is one read, and damage is named."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.cards.cards_samples import a_card, a_dictionary_folder, some_cards
from glassbook.core.errors import FileFormatError, InputError
from glassbook.features.cards import Card, Example, Histogram, cards_faults, has_cards, open_cards, save_cards
from glassbook.features.cards.card import pack, unpack
from glassbook.features.cards.files import FOLDER, PACKED, RECORD, TABLE, VOCABULARY
from glassbook.features.files import save_dictionary

singles = st.floats(-100, 100, width=32)
ids = st.integers(0, 2**32 - 1)


def drawn_card(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the fields of a card whose activations are the largest or nothing, so that half precision loses none."""
    largest = draw(st.floats(0.5, 2.0**20, width=32))
    tokens = draw(st.lists(ids, min_size=1, max_size=40))
    values = tuple(draw(st.sampled_from((0.0, largest))) for _ in tokens)
    example = (tuple(tokens), values, draw(ids), draw(st.integers(0, len(tokens) - 1)), draw(st.integers(0, 8)))
    names = st.lists(st.tuples(st.text(), singles), max_size=4).map(tuple)
    return {
        "feature": draw(ids),
        "density": draw(st.floats(0, 1)),
        "max_activation": largest,
        "histogram": tuple(draw(st.lists(st.integers(0, 2**40), min_size=1, max_size=9))),
        "examples": (example,) * draw(st.integers(0, 2)),
        "logits_up": draw(names),
        "nearest": draw(st.lists(st.tuples(ids, singles), max_size=4).map(tuple)),
        "ablation": draw(st.lists(st.lists(singles, max_size=5).map(tuple), max_size=2).map(tuple)),
    }


@given(st.composite(drawn_card)())
def test_a_card_unpacked_is_the_card_that_was_packed(fields: dict[str, Any]) -> None:
    counts = fields.pop("histogram")
    edges = tuple(number * 0.25 for number in range(len(counts) + 1))
    examples = tuple(Example(*one) for one in fields.pop("examples"))
    card = Card(histogram=Histogram(edges, counts), examples=examples, **fields)
    assert unpack(card.feature, pack(card)) == card


@given(st.floats(2.0**-10, 2.0**20, width=32), st.floats(0.01, 1))
def test_an_activation_keeps_three_digits(largest: float, share: float) -> None:
    value = float(np.float32(largest * share))
    packed = pack(_with_activation(a_card(0), largest, value))
    found = unpack(0, packed).examples[0].activations[0]
    assert found == pytest.approx(value, rel=1e-3)


def _with_activation(card: Card, largest: float, value: float) -> Card:
    example = Example((1,), (value,), 0, 0, 0)
    return Card(feature=0, density=card.density, max_activation=largest, histogram=card.histogram, examples=(example,))


def test_opened_cards_are_those_that_were_saved(tmp_path: Path) -> None:
    a_dictionary_folder(tmp_path / "d")
    saved = some_cards()
    assert not has_cards(tmp_path / "d")
    save_cards(tmp_path / "d", saved)
    found = open_cards(tmp_path / "d")
    assert has_cards(tmp_path / "d") and cards_faults(tmp_path / "d") == []
    assert [found.card(feature) for feature in range(6)] == [a_card(feature) for feature in range(6)]
    assert found.facts == saved.facts and found.vocabulary == saved.vocabulary
    assert found.densities().tolist() == [0.25] * 6 and found.largest.tolist() == [8.0] * 6
    assert found.token_strings([99_999_999]) == ["#99999999"]


def test_one_card_of_thousands_comes_in_milliseconds(tmp_path: Path) -> None:
    a_dictionary_folder(tmp_path, 3000)
    save_cards(tmp_path, some_cards(3000))
    began = time.perf_counter()
    card = open_cards(tmp_path).card(2345)
    took = time.perf_counter() - began
    assert card == a_card(2345)
    assert took < 0.2, f"{took:.3f} s; it takes about 2 ms on a machine that has nothing else to do"


@pytest.mark.parametrize("name", [RECORD, TABLE, PACKED, VOCABULARY])
def test_a_missing_or_short_file_is_named_when_cards_are_opened(tmp_path: Path, name: str) -> None:
    a_dictionary_folder(tmp_path)
    save_cards(tmp_path, some_cards())
    path = tmp_path / FOLDER / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(FileFormatError, match=name):
        open_cards(tmp_path)
    path.unlink()
    with pytest.raises(FileFormatError, match="no cards" if name == RECORD else f"{name}' is missing"):
        open_cards(tmp_path)
    path.write_bytes(whole)
    assert open_cards(tmp_path).card(0) == a_card(0)


@pytest.mark.parametrize("name", [TABLE, PACKED, VOCABULARY])
@settings(max_examples=25)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_altered_byte_goes_unseen(
    tmp_path_factory: pytest.TempPathFactory, name: str, where: float, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("altered")
    a_dictionary_folder(folder)
    save_cards(folder, some_cards())
    path = folder / FOLDER / name
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    path.write_bytes(bytes(data))
    assert cards_faults(folder) == [f"{name} has the right size but another content"]
    with pytest.raises(FileFormatError):
        cards = open_cards(folder)
        for feature in range(cards.n_features):
            cards.card(feature)
        cards.token_strings([1])


def test_cards_of_other_weights_are_refused(tmp_path: Path) -> None:
    made = a_dictionary_folder(tmp_path / "d")
    folder = save_cards(tmp_path / "d", some_cards())
    made.b_dec.data += 1
    save_dictionary(tmp_path / "other", made)
    folder.rename(tmp_path / "other" / FOLDER)
    with pytest.raises(FileFormatError, match="of other weights"):
        open_cards(tmp_path / "other")
    with pytest.raises(InputError, match="6 features and the cards are of 5"):
        save_cards(tmp_path / "other", some_cards(5))
    with pytest.raises(InputError, match="holds no dictionary"):
        save_cards(tmp_path, some_cards())
    assert not (tmp_path / FOLDER).exists()


def test_there_are_only_so_many_features() -> None:
    cards = some_cards()
    assert cards.card(5).feature == 5
    for feature in (-1, 6):
        with pytest.raises(InputError, match=f"no feature {feature}"):
            cards.card(feature)
