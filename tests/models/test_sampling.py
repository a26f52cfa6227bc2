"""From logits to a token: against transformers' processors where they have the rule, against longhand where not."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from glassbook.core.errors import InputError
from glassbook.models.sampling import Sampling, Seen, choose, penalize, probabilities, read_sampling

VOCAB, CPU = 40, torch.device("cpu")
seeds = st.integers(0, 10**6)


def some_logits(seed: int, rows: int = 3) -> Tensor:
    """Return logits of a lively model."""
    return 3 * torch.randn(rows, VOCAB, generator=torch.Generator().manual_seed(seed))


@given(seeds, st.floats(0.1, 3.0), st.integers(0, VOCAB + 5), st.floats(0.05, 1.0), st.floats(0.0, 0.9))
def test_the_truncations_are_those_of_transformers_in_its_order(
    seed: int, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    logits = some_logits(seed)
    ours = probabilities(logits, Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p))
    theirs = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k:
        theirs = TopKLogitsWarper(min(top_k, VOCAB))(None, theirs)
    # Both sum probabilities, one from the top and one from the bottom: leave out what only rounding decides.
    sums = theirs.softmax(-1).sort(-1, descending=True).values.cumsum(-1)
    assume(float((sums - top_p).abs().min()) > 1e-5)
    if top_p < 1:
        theirs = TopPLogitsWarper(top_p)(None, theirs)
    if min_p > 0:
        theirs = MinPLogitsWarper(min_p)(None, theirs)
    expected = theirs.softmax(-1)
    assert torch.equal(ours > 0, expected > 0)
    assert torch.allclose(ours, expected, atol=1e-6)


@given(seeds, st.floats(0.5, 2.0), st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=12))
def test_the_repetition_penalty_is_that_of_transformers(seed: int, penalty: float, ids: list[int]) -> None:
    logits, split = some_logits(seed, rows=1), len(ids) // 2
    seen = Seen([ids[:split]], VOCAB, CPU)
    for token in ids[split:]:
        seen.add(torch.tensor([token]))
    ours = penalize(logits, seen, Sampling(repetition_penalty=penalty))
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([ids]), logits)
    assert torch.allclose(ours, theirs)


@given(seeds, st.floats(-1, 2), st.floats(-1, 2), st.lists(st.integers(0, VOCAB - 1), max_size=12))
def test_frequency_and_presence_count_generated_tokens_alone(
    seed: int, frequency: float, presence: float, generated: list[int]
) -> None:
    logits, prompt = some_logits(seed, rows=1), [1, 2, 3]
    seen = Seen([prompt], VOCAB, CPU)
    for token in generated:
        seen.add(torch.tensor([token]))
    ours = penalize(logits, seen, Sampling(frequency_penalty=frequency, presence_penalty=presence))[0]
    for token in range(VOCAB):
        n = generated.count(token)
        expected = float(logits[0, token]) - frequency * n - presence * (n > 0)
        assert float(ours[token]) == pytest.approx(expected, abs=1e-5)


@given(seeds)
def test_temperature_zero_takes_the_most_probable_token_whatever_the_seed(seed: int) -> None:
    logits = some_logits(seed)
    sources = [torch.Generator().manual_seed(seed + i) for i in range(3)]
    greedy = choose(logits, Sampling(), sources)
    assert torch.equal(greedy, logits.argmax(-1))
    cold = choose(logits, Sampling(temperature=1e-6), sources)
    assert torch.equal(cold, greedy)
    hot = [choose(logits, Sampling(temperature=50.0), sources) for _ in range(6)]
    assert any(not torch.equal(one, greedy) for one in hot), "the control: warmth draws other tokens"


@settings(max_examples=5)
@given(seeds)
def test_draws_follow_the_truncated_distribution(seed: int) -> None:
    how, logits = Sampling(temperature=1.3, top_k=6, top_p=0.95, min_p=0.02), some_logits(seed, rows=1)
    source, n = torch.Generator().manual_seed(seed), 3000
    drawn = torch.cat([choose(logits, how, [source]) for _ in range(n)])
    counts = torch.bincount(drawn, minlength=VOCAB).float()
    expected = n * probabilities(logits, how)[0]
    assert bool((counts[expected == 0] == 0).all())
    kept = expected > 0
    chi_squared = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
    # Six kept tokens at most: 5 degrees of freedom, 99.99 % of samples lie below 26.
    assert float(chi_squared) < 26
    uniform = torch.full_like(counts, n / VOCAB)
    assert float(((counts - uniform) ** 2 / uniform).sum()) > 1000, "the control: another distribution is noticed"


@given(seeds)
def test_a_row_draws_the_same_whatever_its_neighbors(seed: int) -> None:
    logits, how = some_logits(seed), Sampling(temperature=1.0)

    def sources() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(i) for i in range(3)]

    together = choose(logits, how, sources())
    alone = [choose(logits[i : i + 1], how, [sources()[i]]) for i in range(3)]
    assert together.tolist() == torch.cat(alone).tolist()


def test_rows_that_leave_take_their_counts_with_them() -> None:
    seen = Seen([[1], [2], [3]], VOCAB, CPU)
    seen.add(torch.tensor([4, 5, 6]))
    seen.keep(torch.tensor([0, 2]))
    assert seen.in_prompt.nonzero().tolist() == [[0, 1], [1, 3]]
    assert seen.generated.nonzero().tolist() == [[0, 4], [1, 6]]


@pytest.mark.parametrize(
    ("option", "refused", "accepted"),
    [
        ("max_new_tokens", 0, 1),
        ("temperature", -0.1, 0.0),
        ("temperature", float("nan"), 2.0),
        ("temperature", float("inf"), 1e6),
        ("top_k", -1, 0),
        ("top_p", 0.0, 1.0),
        ("top_p", 1.1, 0.5),
        ("min_p", 1.0, 0.99),
        ("min_p", -0.1, 0.0),
        ("repetition_penalty", 0.0, 0.5),
        ("repetition_penalty", float("inf"), 2.0),
        ("frequency_penalty", float("nan"), -1.0),
        ("presence_penalty", float("inf"), 1.5),
        ("stop", ("a", ""), ("a", "b")),
    ],
)
def test_an_option_outside_its_range_is_refused_in_one_sentence_that_names_it(
    option: str, refused: object, accepted: object
) -> None:
    assert getattr(Sampling(**{option: accepted}), option) == accepted
    with pytest.raises(InputError) as refusal:
        Sampling(**{option: refused})
    assert option in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("option", "refused", "accepted", "read_as"),
    [
        ("max_new_tokens", 2.5, 2, 2),
        ("temperature", "warm", 1, 1.0),
        ("presence_penalty", None, 0, 0.0),
        ("seed", "zero", np.int64(3), 3),
        ("stop", (1,), ["a"], ("a",)),
        ("stop", None, "ab", ("ab",)),
        ("stop_at_eso", True, None, None),
    ],
)
def test_an_option_of_the_wrong_sort_is_refused_in_one_sentence_that_names_it(
    option: str, refused: object, accepted: object, read_as: object
) -> None:
    if accepted is not None:
        assert getattr(read_sampling({option: accepted}), option) == read_as
    with pytest.raises(InputError, match=option) as refusal:
        read_sampling({option: refused})
    assert "\n" not in str(refusal.value)
