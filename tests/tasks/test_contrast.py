"""Contrast sets and choices: what is shipped keeps its promises, files are checked by line, halves are fair."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.core.errors import FileFormatError, InputError
from glassbook.sources.obtain import is_cached, obtain_default_gguf
from glassbook.tasks.contrast import ContrastSet, list_evals, load_choices, load_contrast, split_half
from glassbook.text import gpt2_bpe, open_tokenizer

needs_data = pytest.mark.skipif(not os.environ.get("GLASSBOOK_DATA"), reason="GLASSBOOK_DATA names no data folder")
needs_model = pytest.mark.skipif(not is_cached("smollm2-135m"), reason="the default model is not in the cache")


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z']+", text.lower()))


def test_the_shipped_pairs_are_48_short_sentences_that_differ_in_a_few_words() -> None:
    found = load_contrast("sentiment")
    assert (len(found.pairs), found.licence) == (48, "Apache-2.0")
    assert len({*found.positives, *found.negatives}) == 96
    for positive, negative in found.pairs:
        assert positive[0].isupper() and positive.endswith(".") and negative.endswith(".")
        assert max(len(positive), len(negative)) <= 80
        assert len(_words(positive) & _words(negative)) >= 0.4 * len(_words(positive)), positive
        assert len(_words(positive) ^ _words(negative)) >= 2
    # Control: sentences of different pairs share far fewer words.
    strangers = zip(found.positives, found.negatives[1:], strict=False)
    assert sum(len(_words(a) & _words(b)) >= 0.4 * len(_words(a)) for a, b in strangers) < 5


def test_the_shipped_choices_are_48_prompts_with_varied_words() -> None:
    found = load_choices("sentiment")
    assert (len(found.items), len({item.prompt for item in found.items})) == (48, 48)
    assert len({(item.positive, item.negative) for item in found.items}) >= 10
    for item in found.items:
        assert item.prompt == item.prompt.strip() and not item.prompt.endswith(".")
        assert re.fullmatch(r" [a-z]+", item.positive) and re.fullmatch(r" [a-z]+", item.negative)
        assert item.positive != item.negative


def test_the_choices_are_held_out_from_the_pairs() -> None:
    contrast = load_contrast("sentiment")
    sentences = [*contrast.positives, *contrast.negatives]
    options = {word for item in load_choices("sentiment").items for word in (item.positive, item.negative)}
    for item in load_choices("sentiment").items:
        assert not any(item.prompt in sentence or sentence in item.prompt for sentence in sentences)
        # A prompt shares no run of four words with any sentence, and says nothing good or bad itself.
        assert not _runs(item.prompt) & set().union(*map(_runs, sentences)), item.prompt
        assert not {f" {word}" for word in _words(item.prompt)} & options, item.prompt


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z']+", text.lower())
    return {tuple(words[at : at + 4]) for at in range(len(words) - 3)}


@needs_model
@pytest.mark.model
def test_every_option_is_one_token_of_the_default_model() -> None:
    tokenizer = open_tokenizer(obtain_default_gguf())
    for item in load_choices("sentiment").items:
        assert tokenizer.token_id(item.positive) != tokenizer.token_id(item.negative)
    with pytest.raises(InputError, match="2 tokens"):
        tokenizer.token_id(" disgusting")


def test_nearly_every_option_is_one_token_of_gpt2_too() -> None:
    words = {word for item in load_choices("sentiment").items for word in (item.positive, item.negative)}
    assert sum(len(gpt2_bpe().encode(word)) == 1 for word in words) >= 0.9 * len(words)


def _write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_sets_are_read_from_files_of_the_users_own(tmp_path: Path) -> None:
    rows = [{"positive": "yes", "negative": "no"}, "", {"positive": "on", "negative": "off", "x": 1}]
    found = load_contrast(_write(tmp_path / "a.jsonl", *rows))
    assert (found.positives, found.negatives, found.licence) == (("yes", "on"), ("no", "off"), "unknown")
    choices = load_choices(_write(tmp_path / "b.jsonl", {"prompt": "It is", "positive": " so", "negative": " not"}))
    assert (choices.items[0].prompt, choices.items[0].negative) == ("It is", " not")


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"positive": "a"}, "line 3 .*negative"),
        ("{", "line 3"),
        ('["a"]', "line 3"),
        ({"positive": 1, "negative": "b"}, "line 3"),
    ],
)
def test_a_damaged_line_is_refused_by_its_number(tmp_path: Path, second: object, said: str) -> None:
    path = _write(tmp_path / "a.jsonl", {"positive": "a", "negative": "b"}, "", second)
    with pytest.raises(FileFormatError, match=said):
        load_contrast(path)
    with pytest.raises(FileFormatError, match="line 1"):
        load_choices(path)


def test_an_empty_file_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no rows"):
        load_contrast(_write(tmp_path / "a.jsonl"))
    for load in (load_contrast, load_choices):
        with pytest.raises(InputError, match="sentiment"):
            load("sentimental")


def test_groups_of_different_size_make_no_pairs() -> None:
    with pytest.raises(InputError, match="2 positives"):
        _ = ContrastSet("x", ("a", "b"), ("c",), "", "").pairs
    assert ContrastSet("x", ("a",), ("c",), "", "").pairs == [("a", "c")]


@needs_data
def test_counterfactual_reviews_are_read_by_split() -> None:
    for split, size in (("train", 1707), ("dev", 245), ("test", 488)):
        assert len(load_contrast("sentiment_counterfactual_pairs", split).pairs) == size
    assert len(load_contrast("sentiment_counterfactual_pairs").pairs) == 2440
    with pytest.raises(InputError, match="validation"):
        load_contrast("sentiment_counterfactual_pairs", "validation")


@needs_data
def test_model_written_evaluations_are_choices_and_contrast_sets() -> None:
    assert len(list_evals()) == 48
    choices, contrast = load_choices("persona/agreeableness"), load_contrast("persona/agreeableness")
    assert {item.positive for item in choices.items} == {" Yes", " No"}
    assert contrast.positives[0] == choices.items[0].prompt + choices.items[0].positive
    assert choices.licence == "CC-BY-4.0"
    assert {item.positive for item in load_choices("risk/myopic-reward").items} == {" (A)", " (B)"}
    with pytest.raises(InputError, match="persona/agreeableness"):
        load_choices("persona/agreeable")


@given(st.lists(st.integers(), max_size=40), st.integers(0, 1000))
def test_halves_share_nothing_lose_nothing_and_keep_the_order(items: list[int], seed: int) -> None:
    numbered = list(enumerate(items))
    first, second = split_half(numbered, seed)
    assert sorted(first + second) == numbered
    assert len(first) - len(second) in (0, 1)
    assert first == sorted(first) and second == sorted(second)
    assert (first, second) == split_half(numbered, seed)


def test_halves_are_the_same_on_every_machine_and_others_for_another_seed() -> None:
    assert split_half(range(10), 0) == ([0, 3, 4, 5, 6], [1, 2, 7, 8, 9])
    assert len({tuple(split_half(range(20), seed)[0]) for seed in range(20)}) > 15
