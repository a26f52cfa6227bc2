"""What a model may be given to read, and what is refused before anything is computed."""

import inspect
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import GPT2, tiny_model
from glassbook.core.errors import InputError
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts, read_prompts

END = 261
rows = st.lists(st.lists(st.integers(0, 261), min_size=1, max_size=9), min_size=1, max_size=5)


@given(rows)
def test_rows_of_ids_are_padded_on_the_right_and_come_back_unpadded(given_rows: list[list[int]]) -> None:
    batch = Prompts.of(given_rows, pad=7)
    assert batch.ids.shape == (len(given_rows), max(map(len, given_rows)))
    assert [batch.row(i) for i in range(len(given_rows))] == given_rows
    for row, length in zip(batch.ids, batch.lengths, strict=True):
        assert bool((row[length:] == 7).all())


@settings(max_examples=30)
@given(rows, st.integers(0, 261))
def test_what_stands_in_the_padding_changes_no_logit_of_a_token(given_rows: list[list[int]], pad: int) -> None:
    model = tiny_model()
    one, other = (model(Prompts.of(given_rows, pad=p)) for p in (0, pad))
    for row, ids in enumerate(given_rows):
        alone = model([ids])[0]
        assert torch.equal(one[row, : len(ids)], other[row, : len(ids)])
        assert float((one[row, : len(ids)] - alone).abs().max()) <= 1e-4


@pytest.mark.parametrize(
    "prompt",
    [[3, 4, 5], [[3, 4, 5]], torch.tensor([3, 4, 5]), torch.tensor([[3, 4, 5]]), Prompts.of([[3, 4, 5]])],
    ids=["ids", "rows", "vector", "matrix", "batch"],
)
def test_ids_are_read_the_same_in_every_form(prompt: Any) -> None:
    assert tiny_model().to_tokens(prompt).tolist() == [[3, 4, 5]]


def test_the_document_start_is_put_in_front_once_where_it_is_asked_for() -> None:
    model = tiny_model()
    plain = model.to_tokens("in on")
    assert plain[0, 0] != END
    assert model.to_tokens("in on", prepend_bos=True).tolist() == [[END, *plain[0].tolist()]]
    assert model.to_tokens("in on", prepend_bos=False).tolist() == plain.tolist()
    assert model.to_tokens([[END, 5]], prepend_bos=True).tolist() == [[END, 5]]
    assert torch.equal(model("in on", prepend_bos=True), model([[END, *plain[0].tolist()]]))


def test_an_empty_text_can_be_read_behind_a_document_start_alone() -> None:
    model = tiny_model()
    assert model.to_tokens("", prepend_bos=True).tolist() == [[END]]
    with pytest.raises(InputError, match="prompt 0 is empty; give at least one token"):
        model.to_tokens("")


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ([], "there is no prompt; give at least one text"),
        (["in", ""], "prompt 1 is empty"),
        ([[1], []], "prompt 1 is empty"),
        (torch.zeros(0, dtype=torch.long), "at least one token"),
        (torch.zeros(1, 2, 3, dtype=torch.long), r"has shape \(1, 2, 3\); give token ids as \[batch pos\]"),
        ([[1, 262]], "token id 262 is outside the vocabulary of 262; use this model's own tokenizer"),
        ([[-1]], "token id -1 is outside the vocabulary"),
        ([[1], list(range(49))], "prompt 1 has 49 tokens and this model reads at most 48; shorten it"),
        ("x" * 49, "prompt 0 has 49 tokens"),
    ],
)
@pytest.mark.parametrize("ask", ["__call__", "complete", "to_tokens"])
def test_a_prompt_that_cannot_be_read_is_refused_in_one_sentence(prompt: Any, why: str, ask: str) -> None:
    model = tiny_model(GPT2)
    with pytest.raises(InputError, match=why) as refusal:
        getattr(model, ask)(prompt)
    assert "\n" not in str(refusal.value)
    assert getattr(model, ask)([[1, 261], list(range(48))]) is not None


def test_numbers_that_are_no_ids_are_refused() -> None:
    code = torch.tensor([[1.0, 2.5]])
    with pytest.raises(InputError, match=r"holds torch.float32 numbers; give token ids"):
        inspect.unwrap(read_prompts)(code, None, 10, 10)
    assert read_prompts(code.long(), None, 10, 10).ids.tolist() == [[1, 2]]


def test_text_needs_a_tokenizer_and_ids_do_not() -> None:
    model = tiny_model()
    bare = Model(model.net, None, model.identity)
    with pytest.raises(InputError, match="this model has no tokenizer; give token ids instead of text"):
        bare("The")
    assert torch.equal(bare([[1, 2]]), model([[1, 2]]))
    with pytest.raises(InputError, match="no tokenizer"):
        bare.to_string([1])


def test_a_model_says_what_it_is_and_reads_its_own_tokens_back() -> None:
    model = tiny_model()
    assert repr(model) == "<tiny-llama: 3 layers, d_model 32, 4 heads, float32>"
    assert model.dtype is torch.float32
    assert model.device == torch.device("cpu")
    assert model.to_string(model.to_tokens("in the sun")[0]) == "in the sun"
    assert model.to_str_tokens("in the") == ["in", " the"]
    assert model.to_single_token(" the") == model.to_tokens(" the")[0, 0]
    with pytest.raises(InputError, match="is 3 tokens, not one"):
        model.to_single_token("sun")
