"""How probable a text is: against transformers' own loss."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.shapes import CASES
from conformance.tiny import GPT2, LLAMA, as_model, our_net, their_net, tiny_model
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.models.prompts import Prompts
from glassbook.models.scoring import perplexity, token_log_probs
from glassbook.steering.vectors import SteeringVector

ids = st.lists(st.integers(0, 255), min_size=2, max_size=12)


@pytest.mark.parametrize(("architecture", "label"), CASES)
def test_perplexity_is_the_exponential_of_the_loss_of_transformers(architecture: str, label: str) -> None:
    theirs, model, window = their_net(architecture, label), as_model(our_net(architecture, label)), 8
    tokens = torch.randint(0, model.config.d_vocab, (35,), generator=torch.Generator().manual_seed(2))
    losses = [theirs(row[None], labels=row[None]).loss for row in tokens[:32].split(window)]
    expected = math.exp(float(torch.stack(losses).mean()))
    assert perplexity(model, tokens.tolist(), window) == pytest.approx(expected, rel=1e-5)
    assert perplexity(model, tokens.tolist(), window, n_tokens=16) != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
@settings(max_examples=15)
@given(rows=st.lists(ids, min_size=1, max_size=4))
def test_log_probs_are_those_of_the_softmax_and_padding_scores_nothing(
    architecture: str, rows: list[list[int]]
) -> None:
    model = tiny_model(architecture)
    scores = token_log_probs(model, Prompts.of(rows))
    for row, tokens in enumerate(rows):
        logs = model([tokens])[0].log_softmax(-1)
        expected = torch.stack([logs[i, token] for i, token in enumerate(tokens[1:])])
        assert torch.allclose(scores[row, : len(tokens) - 1], expected, atol=1e-4)
        assert bool((scores[row, len(tokens) - 1 :] == 0).all())
        assert bool((expected < 0).all())


def test_a_text_scored_as_generated_is_steered_where_generation_would_be() -> None:
    model, tokens = tiny_model(), [5, 6, 7, 8, 9, 10]
    values = torch.randn(32, generator=torch.Generator().manual_seed(0))
    vector = SteeringVector(site=Site("resid_pre", 1), values=values, identity=model.identity, positions="generated")
    plain = token_log_probs(model, Prompts.of([tokens]))[0]
    steered = token_log_probs(model, Prompts.of([tokens]), vector, prompt_lengths=[3])[0]
    # Score i is that of token i + 1, said at token i; the first generated token is number 3.
    assert torch.equal(steered[:3], plain[:3])
    assert bool((steered[3:] != plain[3:]).all())
    untouched = token_log_probs(model, Prompts.of([tokens]), vector)[0]
    assert torch.equal(untouched, plain), "without prompt lengths every token belongs to the prompt"


def test_windows_do_not_overlap_and_see_nothing_before_them() -> None:
    model = tiny_model()
    tokens = torch.randint(0, 256, (12,), generator=torch.Generator().manual_seed(1)).tolist()
    halves = [math.log(perplexity(model, tokens[i : i + 6], 6)) for i in (0, 6)]
    assert perplexity(model, tokens, 6) == pytest.approx(math.exp(sum(halves) / 2), rel=1e-5)
    assert perplexity(model, tokens, 12) != pytest.approx(math.exp(sum(halves) / 2), rel=1e-3)


@pytest.mark.parametrize(("n", "window"), [(5, 6), (6, 1), (0, 4)])
def test_a_text_without_one_whole_window_is_refused(n: int, window: int) -> None:
    with pytest.raises(InputError, match="do not fill one window"):
        perplexity(tiny_model(), list(range(n)), window)
    assert perplexity(tiny_model(), list(range(6)), 6) > 1


@pytest.mark.model
def test_a_sentence_is_likelier_than_its_words_in_another_order(default_model: object) -> None:
    sentence = "The cat sat on the mat and looked out of the window at the rain."
    shuffled = " ".join(sorted(sentence.split()))
    good, bad = (
        perplexity(default_model, ids, len(ids)) for ids in map(default_model.tokenizer.encode, (sentence, shuffled))
    )
    assert 3 * good < bad
