"""Steering means in a wrapped module what it means in a network of ours."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glassbook as gb
from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.activations.prefix import Prefix
from glassbook.core.errors import VectorError
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.steering.vector_set import PerRow
from glassbook.steering.vectors import SteeringVector
from glassbook.tasks.contrast import ChoiceItem
from models.strangers import wrapped
from steering.laws import (
    POSITIONS,
    Broken,
    Drawn,
    batch_is_one_by_one,
    by_batch_row,
    cached_is_uncached,
    delta_is_the_one_asked_for,
    drawn,
    first_pass_only,
    ids,
    one_token_late,
    prompts,
    too_strong,
    touched_is_what_changed,
)

# One whose cache bears padding, one whose cache does not, and one whose parts are norms' prey.
KINDS = ["phi", "bloom", "olmo2"]
SITES = ["L0.resid_pre", "L2.resid_post", "L1.attn_out", "L0.mlp_out"]
EXAMPLES = settings(max_examples=8)
PROMPT = [5, 9, 2, 77, 31, 8]
LOVE, HATE = "the love in the onion", "the hate in the onion"

steerings = st.builds(
    Drawn,
    st.sampled_from(SITES),
    st.sampled_from(POSITIONS),
    st.integers(1, 4),
    st.integers(0, 10**6),
    st.sampled_from(["add", "ablate"]),
    st.sampled_from([-2.0, 0.5, 3.0]),
)
everybody = pytest.mark.parametrize("kind", KINDS)


def vector_on(model: Model, site: str = "L1.resid_pre") -> SteeringVector:
    """Return an everyday vector, added to every token."""
    return SteeringVector(site=Site.parse(site), values=drawn(model, site, 0), identity=model.identity)


@everybody
@EXAMPLES
@given(spec=steerings, rows=prompts)
def test_strength_zero_changes_no_bit(kind: str, spec: Drawn, rows: list) -> None:
    model = wrapped(kind)
    plain = model(rows)
    assert torch.equal(model(rows, steer=0 * spec.on(model)), plain)
    assert not torch.equal(model(rows, steer=vector_on(model)), plain), "the control"


@everybody
@EXAMPLES
@given(spec=steerings, rows=prompts)
def test_a_padded_batch_with_a_vector_for_each_row_is_its_rows_one_by_one(kind: str, spec: Drawn, rows: list) -> None:
    model = wrapped(kind)
    steers = [spec.on(model) if i % 2 else None for i in range(len(rows))]
    batch_is_one_by_one(model, steers, PerRow(steers), rows)


@everybody
@EXAMPLES
@given(spec=steerings, prompt=ids)
def test_what_is_touched_is_reported_and_moved_as_far_as_asked(kind: str, spec: Drawn, prompt: list) -> None:
    model = wrapped(kind)
    vector = spec.on(model).with_(operator="add")
    touched_is_what_changed(model, vector, vector, prompt)
    delta_is_the_one_asked_for(model, vector, vector, [*prompt, 3])


@EXAMPLES
@given(spec=steerings, rows=prompts)
def test_with_the_cache_of_the_module_is_without_it(spec: Drawn, rows: list) -> None:
    cached_is_uncached(wrapped("phi"), spec.on(wrapped("phi")), rows)


def test_the_laws_catch_steering_that_is_wrong() -> None:
    model = wrapped("phi")
    vector = vector_on(model)
    rows = [PROMPT, PROMPT[:2]]
    with pytest.raises(AssertionError):
        cached_is_uncached(model, Broken(vector, first_pass_only), [PROMPT])
    with pytest.raises(AssertionError):
        delta_is_the_one_asked_for(model, Broken(vector, too_strong), vector, PROMPT)
    with pytest.raises(AssertionError):
        late = vector.with_(positions=(1, 3))
        touched_is_what_changed(model, Broken(late, one_token_late), late, PROMPT)
    with pytest.raises(AssertionError):
        steers = [vector, -vector]
        batch_is_one_by_one(model, steers, Broken(PerRow(steers), by_batch_row), rows)


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
def test_vectors_and_effects_are_those_of_our_own_network_of_the_same_weights(architecture: str) -> None:
    items = [ChoiceItem("the onion is", " in", " on"), ChoiceItem("in the inn", " thin and", " on it")]
    found = []
    for model in (wrapped(architecture), tiny_model(architecture)):
        made = gb.steering.mean_difference(model, [LOVE, "then in"], [HATE, "then on"], site="L1.resid_post")
        pair = gb.steering.actadd(model, LOVE, HATE, site="L1.resid_pre")
        steers = [None, 3 * made, 2 * pair.with_(positions="prompt")]
        odds = gb.steering.choice_log_odds(model, items, steers, prepend_bos=False)
        ratio = gb.steering.perplexity_ratio(model, [PROMPT * 2], made)
        found.append((made.values, pair.values, odds, ratio))
    (made, pair, odds, ratio), ours = found[0], found[1]
    assert torch.allclose(made, ours[0], atol=1e-5) and torch.allclose(pair, ours[1], atol=1e-5)
    assert torch.allclose(odds, ours[2], atol=1e-4) and abs(ratio - ours[3]) < 1e-4
    assert float((odds[1] - odds[0]).abs().min()) > 1e-3, "the control: steering does something"


def test_a_prefix_of_a_wrapped_module_makes_whole_passes_of_the_same_logits() -> None:
    results, called = [], []
    for model in (wrapped(LLAMA), tiny_model(LLAMA)):
        edits = model.edits_of(vector_on(model, "L2.resid_pre"))
        prefix = Prefix.below(model, model.read([PROMPT, PROMPT[:3]]), [edits])
        called.append(prefix.resid is not None)
        results.append(prefix.logits(edits, read_at=[5, 2]))
    assert torch.allclose(results[0], results[1], atol=1e-4)
    assert called == [False, True]


def test_a_vector_of_another_wrapped_module_is_refused() -> None:
    with pytest.raises(VectorError, match="not the same model"):
        wrapped("phi")([PROMPT], steer=vector_on(wrapped("olmo2")))
