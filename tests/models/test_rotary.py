"""Rotary angles: how they are scaled, against transformers' own frequencies, and what cannot be scaled."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from glassbook.core.errors import ModelError
from glassbook.models.rotary import Rotary, Scaling, rotate

CPU = torch.device("cpu")
RULES = {
    "linear": ({}, Scaling(kind="linear", factor=4.0)),
    "llama3": (
        {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 512},
        Scaling(kind="llama3", factor=4.0, n_ctx=512),
    ),
    "yarn": (
        {"original_max_position_embeddings": 512},
        Scaling(kind="yarn", factor=4.0, n_ctx=512, high_turns=32.0, magnitude=1 + 0.1 * math.log(4.0)),
    ),
}


def theirs(kind: str, d_head: int, base: float) -> LlamaRotaryEmbedding:
    rope = {"rope_type": kind, "rope_theta": base, "factor": 4.0} | RULES[kind][0]
    return LlamaRotaryEmbedding(
        LlamaConfig(hidden_size=2 * d_head, num_attention_heads=2, head_dim=d_head, max_position_embeddings=2048,
                    rope_parameters=rope)
    )  # fmt: skip


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("d_head, base", [(64, 10000.0), (128, 1e6), (8, 500000.0)])
def test_scaled_angles_are_those_of_transformers_and_unscaled_ones_are_not(kind: str, d_head: int, base: float) -> None:
    positions = torch.tensor([[0, 1, 511, 512, 2047]])
    cosine, sine = theirs(kind, d_head, base)(torch.zeros(1), positions)
    ours = Rotary(d_head, base, RULES[kind][1]).angles(positions, 2048, torch.float32)
    plain = Rotary(d_head, base).angles(positions, 2048, torch.float32)
    half = d_head // 2
    assert torch.allclose(ours[0][:, :, 0], cosine, atol=1e-4)
    assert torch.allclose(ours[1][:, :, 0], torch.cat((-sine[..., :half], sine[..., half:]), -1), atol=1e-4)
    assert float((plain[0][:, :, 0] - cosine).abs().max()) > 0.1, "the control: without the rule other angles"


@given(some.sampled_from(list(RULES)), some.integers(1, 64), some.floats(1.0, 64.0))
def test_no_rule_speeds_an_angle_up_or_slows_it_by_more_than_the_factor(kind: str, half: int, factor: float) -> None:
    plain = Rotary(2 * half, 10000.0).frequencies(CPU)
    scaled = Rotary(2 * half, 10000.0, Scaling(kind=kind, factor=factor, n_ctx=512)).frequencies(CPU)
    assert bool((scaled <= plain * (1 + 1e-5)).all()) and bool((scaled >= plain / factor * (1 - 1e-5)).all())


def test_divisors_say_of_each_frequency_what_a_rule_says_of_all() -> None:
    rule = RULES["llama3"][1]
    plain, scaled = Rotary(64, 10000.0).frequencies(CPU), Rotary(64, 10000.0, rule).frequencies(CPU)
    given_one_by_one = Scaling(kind="divisors", divisors=tuple((plain / scaled).tolist()))
    assert torch.allclose(Rotary(64, 10000.0, given_one_by_one).frequencies(CPU), scaled, rtol=1e-6)


def test_scores_of_turned_queries_and_keys_depend_on_distance_alone() -> None:
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0))
    rotary = Rotary(16, 10000.0, RULES["llama3"][1])

    def score(query: int, key: int) -> float:
        turned = [
            rotate(x, rotary.angles(torch.tensor([[at]]), 999, torch.float32)) for x, at in ((q, query), (k, key))
        ]
        return float((turned[0] * turned[1]).sum())

    assert score(30, 10) == pytest.approx(score(920, 900), abs=1e-3)
    assert abs(score(30, 10) - score(30, 14)) > 1e-2


@pytest.mark.parametrize(
    "scaling, named",
    [
        (Scaling(kind="longrope", factor=2.0), "'longrope'.*linear, llama3, yarn"),
        (Scaling(kind="linear", factor=0.0), "factor=0.0"),
        (Scaling(kind="linear", factor=math.nan), "nan"),
        (Scaling(kind="llama3", factor=2.0), "n_ctx=0"),
        (Scaling(kind="llama3", factor=2.0, n_ctx=9, low_turns=4.0), "low_turns=4.0"),
        (Scaling(kind="divisors", divisors=(1.0, 2.0)), "8 dimensions"),
    ],
)
def test_a_rule_that_is_not_here_or_cannot_be_applied_is_refused_by_name(scaling: Scaling, named: str) -> None:
    with pytest.raises(ModelError, match=named):
        Rotary(8, 10000.0, scaling)
    Rotary(8, 10000.0, Scaling(kind="divisors", divisors=(1.0, 2.0, 2.0, 4.0)))
