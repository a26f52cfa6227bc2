"""What each operator does to a value: by its formula, to the tokens that are meant, and to no bit of the others."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.activations.capture import capture
from glassbook.core.sites import Site
from glassbook.models.prompts import Prompts
from glassbook.steering.operators import NEED_MANY_AXES, OPERATORS
from steering.laws import (
    Broken,
    Drawn,
    drawn,
    one_token_late,
    plain_vector,
    steerings,
    too_strong,
    value_is_the_one_asked_for,
)

pytestmark = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
every_operator = pytest.mark.parametrize("operator", OPERATORS)
# Each example is several passes of a model, so there are fewer than elsewhere.
EXAMPLES = settings(max_examples=settings.default.max_examples // 4)
PROMPT = [5, 9, 2, 77, 31, 8]


@EXAMPLES
@given(spec=steerings(), prompt=st.lists(st.integers(0, 255), min_size=2, max_size=8))
def test_the_value_at_the_site_is_what_the_operator_s_formula_says(
    architecture: str, spec: Drawn, prompt: list
) -> None:
    model = tiny_model(architecture)
    vector = spec.on(model)
    value_is_the_one_asked_for(model, vector, vector, prompt)


@every_operator
@pytest.mark.parametrize("fault", [too_strong, one_token_late])
def test_the_value_law_catches_a_thousandth_too_much_and_the_wrong_token(
    architecture: str, fault: object, operator: str
) -> None:
    model = tiny_model(architecture)
    vector = plain_vector(architecture, positions=(1, 3), operator=operator, strength=0.5)
    value_is_the_one_asked_for(model, vector, vector, PROMPT)
    with pytest.raises(AssertionError):
        value_is_the_one_asked_for(model, Broken(vector, fault), vector, PROMPT)


@every_operator
def test_the_value_law_tells_every_operator_from_every_other(architecture: str, operator: str) -> None:
    model, vector = tiny_model(architecture), plain_vector(architecture, operator=operator, strength=0.5)
    for other in set(OPERATORS) - {operator}:
        with pytest.raises(AssertionError):
            value_is_the_one_asked_for(model, vector.with_(operator=other), vector, PROMPT)


def test_row_i_of_a_vector_is_for_token_i_and_its_last_row_for_every_token_beyond(architecture: str) -> None:
    model = tiny_model(architecture)
    rows = drawn(model, "L1.resid_pre", 4, front=3)
    for positions, expected in (("all", [0, 1, 2, 2, 2, 2]), ((1, 4), [None, 1, None, None, 2, None])):
        vector = plain_vector(architecture, values=rows, positions=positions)
        before, after = (capture(model, [PROMPT], vector.site, steer=one)[vector.site][0] for one in (None, vector))
        for token, row in enumerate(expected):
            added = torch.zeros(32) if row is None else rows[row]
            assert torch.allclose(after[token] - before[token], added, atol=1e-5)


@every_operator
@pytest.mark.parametrize("site", ["L1.resid_mid", "L1.H2.z", "L1.mlp_post.N5"])
def test_in_bfloat16_untouched_tokens_keep_their_bits_and_touched_ones_move(
    architecture: str, operator: str, site: str
) -> None:
    model, place = tiny_model(architecture), Site.parse(site)
    if place.neuron is not None and operator in NEED_MANY_AXES:
        return
    before = capture(model, [PROMPT], site)[place].bfloat16()
    vector = plain_vector(architecture).with_(
        site=place, values=drawn(model, site, 0), operator=operator, positions=(1, 3), strength=0.5
    )
    after = vector.edits_for(model)[0].change(before, model.span(Prompts.of([PROMPT])))
    moved = (after != before).reshape(len(PROMPT), -1).any(-1)
    assert after.dtype == torch.bfloat16
    assert moved.tolist() == [False, True, False, True, False, False]


def test_clamping_sets_what_lies_along_the_direction_and_a_neuron_s_value_itself(architecture: str) -> None:
    model, site = tiny_model(architecture), Site("mlp_post", 1, neuron=5)
    for strength, value in ((3.0, 2.0), (1.0, -2.0)):
        neuron = plain_vector(architecture, site=site, values=torch.tensor([value]), operator="clamp")
        held = capture(model, [PROMPT], site, steer=strength * neuron)[site]
        assert torch.allclose(held, torch.full_like(held, strength * value), atol=1e-6)
    vector = 2 * plain_vector(architecture, operator="clamp")
    held = capture(model, [PROMPT], vector.site, steer=vector)[vector.site]
    assert torch.allclose(held @ (vector.values / vector.norm), torch.full((1, 6), 12.0), atol=1e-4)


def test_the_norm_is_preserved_and_the_projection_is_idempotent(architecture: str) -> None:
    model, site = tiny_model(architecture), Site("resid_pre", 1)
    before, kept, added, once, twice = (
        capture(model, [PROMPT], site, steer=steer)[site]
        for steer in (
            None,
            plain_vector(architecture, operator="norm-preserving"),
            plain_vector(architecture),
            plain_vector(architecture, operator="project"),
            [plain_vector(architecture, operator="project")] * 2,
        )
    )
    assert torch.allclose(kept.norm(dim=-1), before.norm(dim=-1), rtol=1e-5)
    assert not torch.allclose(added.norm(dim=-1), before.norm(dim=-1), rtol=1e-2), "the control"
    assert torch.allclose(torch.cosine_similarity(kept, added, dim=-1), torch.ones(1, 6), atol=1e-5)
    assert torch.allclose(once, twice, atol=1e-5)


@EXAMPLES
@given(seed=st.integers(0, 10**6), site=st.sampled_from(["L0.resid_pre", "L1.mlp_out", "L2.H1.z"]))
def test_ablation_leaves_nothing_along_the_direction_and_twice_is_once(architecture: str, seed: int, site: str) -> None:
    model = tiny_model(architecture)
    values = drawn(model, site, seed)
    vector = plain_vector(architecture, site=Site.parse(site), values=values, operator="ablate")
    before, once, twice, half = (
        capture(model, [PROMPT], site, steer=steer)[site] for steer in (None, vector, [vector, vector], 0.5 * vector)
    )
    unit = values / values.norm()
    assert float((once @ unit).abs().max()) <= 1e-5 * float(before.abs().max())
    assert torch.allclose(twice, once, atol=1e-5)
    assert torch.allclose(half @ unit, 0.5 * (before @ unit), atol=1e-5)
    rest = before - (before @ unit)[..., None] * unit
    assert torch.allclose(once, rest, atol=1e-5), "what is orthogonal stays"
    assert float((before @ unit).abs().max()) > 1e-2, "the control: there was something to ablate"
    rescaled = capture(model, [PROMPT], site, steer=vector.with_(values=7 * values))[site]
    assert torch.allclose(rescaled, once, atol=1e-5), "the length of the direction does not matter"


def test_ablating_a_single_neuron_silences_it_token_by_token(architecture: str) -> None:
    model = tiny_model(architecture)
    site = Site("mlp_post", 1, neuron=5)
    vector = plain_vector(architecture, site=site, values=torch.tensor([2.0]), operator="ablate")
    whole = capture(model, [PROMPT], site.whole)[site.whole]
    ablated = capture(model, [PROMPT], site.whole, steer=vector)[site.whole]
    assert bool((ablated[..., 5] == 0).all())
    assert bool((whole[..., 5] != 0).any())
    others = [i for i in range(whole.shape[-1]) if i != 5]
    assert torch.equal(ablated[..., others], whole[..., others])
    at_one = capture(model, [PROMPT], site, steer=vector.with_(positions=(2,)))[site]
    expected = whole[..., 5].clone()
    expected[:, 2] = 0
    assert torch.equal(at_one, expected)
