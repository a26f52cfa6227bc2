"""Steering means what it says: each law as a property, and beside it a fault that the law must catch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.activations.capture import capture
from glassbook.core.errors import VectorError
from glassbook.core.sites import Site
from glassbook.core.taps import Taps
from glassbook.models.prompts import Prompts
from glassbook.steering.operators import OPERATORS
from glassbook.steering.vector_set import PerRow, VectorSet
from steering.laws import (
    NEAR,
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
    plain_vector,
    prompts,
    silent,
    steerings,
    too_strong,
    touched_is_what_changed,
)

pytestmark = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
every_operator = pytest.mark.parametrize("operator", OPERATORS)
# Each example is several passes of a model, so there are fewer than elsewhere.
EXAMPLES = settings(max_examples=settings.default.max_examples // 4)
PROMPT = [5, 9, 2, 77, 31, 8]


@EXAMPLES
@given(spec=steerings(), rows=prompts)
def test_strength_zero_changes_no_bit_and_strength_one_does(architecture: str, spec: Drawn, rows: list) -> None:
    model = tiny_model(architecture)
    vector = spec.on(model)
    plain = model(rows)
    assert torch.equal(model(rows, steer=0 * vector), plain)
    others = [0 * vector] * (len(rows) - 1)
    beside = model(rows, steer=PerRow([vector, *others]))
    assert torch.equal(beside[1:], plain[1:]), "nor beside a row that is steered"
    off = model.complete(rows, steer=0 * vector, max_new_tokens=3)
    assert [one.tokens for one in off] == [one.tokens for one in model.complete(rows, max_new_tokens=3)]
    assert not any(mark for one in off for mark in one.touched)
    assert not torch.equal(model(rows, steer=plain_vector(architecture)), plain), "the control"


@EXAMPLES
@given(spec=steerings(), rows=prompts)
def test_with_the_cache_is_without_the_cache(architecture: str, spec: Drawn, rows: list) -> None:
    model = tiny_model(architecture)
    cached_is_uncached(model, spec.on(model), rows)


@every_operator
def test_the_cache_law_catches_steering_that_forgets_generated_tokens(architecture: str, operator: str) -> None:
    vector = plain_vector(architecture, operator=operator, strength=0.5)
    cached_is_uncached(tiny_model(architecture), vector, [PROMPT])
    with pytest.raises(AssertionError):
        cached_is_uncached(tiny_model(architecture), Broken(vector, first_pass_only), [PROMPT])


@EXAMPLES
@given(spec=steerings(), rows=prompts)
def test_a_padded_batch_is_its_rows_one_by_one(architecture: str, spec: Drawn, rows: list) -> None:
    model = tiny_model(architecture)
    vector = spec.on(model)
    batch_is_one_by_one(model, [vector] * len(rows), vector, rows)


@EXAMPLES
@given(parts=st.lists(st.tuples(ids, st.none() | steerings()), min_size=1, max_size=4))
def test_one_batch_holds_another_vector_strength_and_site_in_each_row(architecture: str, parts: list) -> None:
    model, rows = tiny_model(architecture), [row for row, _ in parts]
    steers = [spec and spec.on(model) for _, spec in parts]
    batch_is_one_by_one(model, steers, PerRow(steers), rows)


@every_operator
def test_the_batch_law_catches_a_row_that_gets_the_vector_of_another(architecture: str, operator: str) -> None:
    model, vector = tiny_model(architecture), plain_vector(architecture, operator=operator, strength=0.5)
    steers = [vector, vector.with_(values=drawn(model, "L1.resid_pre", 1))]
    batch_is_one_by_one(model, steers, PerRow(steers), [PROMPT, PROMPT[:3]])
    with pytest.raises(AssertionError):
        batch_is_one_by_one(model, steers, Broken(PerRow(steers), by_batch_row), [PROMPT, PROMPT[:3]])


def test_vectors_of_unequal_front_in_one_batch_do_not_disturb_each_other(architecture: str) -> None:
    model = tiny_model(architecture)
    for positions in ("front", "all"):
        steers = [
            plain_vector(architecture, positions=positions, values=drawn(model, "L1.resid_pre", n, n)) for n in (1, 4)
        ]
        batch_is_one_by_one(model, steers, PerRow(steers), [PROMPT, PROMPT[::-1]])


@EXAMPLES
@given(spec=steerings("add"), prompt=st.lists(st.integers(0, 255), min_size=2, max_size=12))
def test_the_change_at_the_site_is_the_one_asked_for(architecture: str, spec: Drawn, prompt: list) -> None:
    model = tiny_model(architecture)
    vector = spec.on(model)
    delta_is_the_one_asked_for(model, vector, vector, prompt)


@pytest.mark.parametrize("fault", [too_strong, one_token_late])
def test_the_norm_law_catches_a_thousandth_too_much_and_the_wrong_token(architecture: str, fault: object) -> None:
    model, vector = tiny_model(architecture), plain_vector(architecture, positions=(1, 3))
    with pytest.raises(AssertionError):
        delta_is_the_one_asked_for(model, Broken(vector, fault), vector, PROMPT)


@EXAMPLES
@given(spec=steerings(), prompt=ids)
def test_touched_reports_exactly_the_tokens_whose_value_changed(architecture: str, spec: Drawn, prompt: list) -> None:
    model = tiny_model(architecture)
    vector = spec.on(model)
    touched_is_what_changed(model, vector, vector, prompt)


@every_operator
@pytest.mark.parametrize("fault", [silent, one_token_late])
def test_the_touched_law_catches_silence_and_the_wrong_token(architecture: str, fault: object, operator: str) -> None:
    model, vector = tiny_model(architecture), plain_vector(architecture, positions=(1, 3), operator=operator)
    with pytest.raises(AssertionError):
        touched_is_what_changed(model, Broken(vector, fault), vector, PROMPT)


@every_operator
def test_strength_zero_is_the_unsteered_bits_under_every_operator_at_one_site_and_at_many(
    architecture: str, operator: str
) -> None:
    model, vector = tiny_model(architecture), plain_vector(architecture, operator=operator)
    many = VectorSet((vector, vector.with_(site=Site("resid_post", 2))))
    plain = model([PROMPT])
    for steer in (vector, many):
        assert torch.equal(model([PROMPT], steer=0 * steer), plain)
        assert float((model([PROMPT], steer=steer) - plain).abs().max()) > 1e-3, "the control"


def test_one_batch_holds_every_operator_at_every_row_s_own_sites_and_strength(architecture: str) -> None:
    model = tiny_model(architecture)
    places = [("L1.resid_pre", "L2.resid_post"), ("L0.mlp_out", "L1.H2.z")]
    steers = []
    for number, operator in enumerate(OPERATORS):
        vectors = [
            plain_vector(architecture, operator=operator, strength=0.25 * (number + 1)).with_(
                site=Site.parse(site), values=drawn(model, site, number)
            )
            for site in places[number % 2]
        ]
        steers.append(VectorSet(tuple(vectors)))
    together = PerRow([*steers, None])
    rows = [PROMPT[: 2 + number % 4] for number in range(len(steers) + 1)]
    batch_is_one_by_one(model, together.vectors, together, rows)
    with pytest.raises(AssertionError):
        batch_is_one_by_one(model, together.vectors, Broken(together, by_batch_row), rows)


@EXAMPLES
@given(spec=steerings("add"))
def test_adding_and_then_subtracting_returns_to_the_start_within_rounding(architecture: str, spec: Drawn) -> None:
    model, control = tiny_model(architecture), plain_vector(architecture)
    vector, plain = spec.on(model), model([PROMPT])
    assert float((model([PROMPT], steer=[vector, -vector]) - plain).abs().max()) <= NEAR
    assert float((model([PROMPT], steer=[control, control]) - plain).abs().max()) > NEAR, "the control"
    assert torch.allclose(model([PROMPT], steer=[vector, vector]), model([PROMPT], steer=2 * vector), atol=NEAR)


@EXAMPLES
@given(factor=st.floats(-3, 3), other=st.floats(-3, 3))
def test_strengths_multiply_and_the_flipped_sign_is_the_negative(
    architecture: str, factor: float, other: float
) -> None:
    vector = plain_vector(architecture)
    assert (factor * (other * vector)).strength == pytest.approx(factor * other)
    assert (-vector).strength == -vector.strength
    model = tiny_model(architecture)
    site, base = vector.site, capture(model, [PROMPT], vector.site)[vector.site]
    up, down = (capture(model, [PROMPT], site, steer=one)[site] - base for one in (vector, -vector))
    assert torch.allclose(up, -down, atol=1e-5)


def test_steering_a_head_moves_that_head_alone(architecture: str) -> None:
    model, site = tiny_model(architecture), Site("z", 1, head=2)
    vector = plain_vector(architecture, site=site, values=drawn(model, "L1.H2.z", 3))
    before, after = (capture(model, [PROMPT], site.whole, steer=steer)[site.whole] for steer in (None, vector))
    assert torch.allclose(after[:, :, 2] - before[:, :, 2], vector.values.expand(1, len(PROMPT), -1), atol=1e-5)
    assert torch.equal(after[:, :, [0, 1, 3]], before[:, :, [0, 1, 3]])
    assert float((model([PROMPT], steer=vector) - model([PROMPT])).abs().max()) > 1e-3


def test_a_batch_with_another_number_of_rows_than_vectors_is_refused_and_the_full_one_accepted(
    architecture: str,
) -> None:
    model, vector = tiny_model(architecture), plain_vector(architecture)
    for vectors in ([vector], [vector, None], [vector, None, vector, vector]):
        with pytest.raises(VectorError, match=f"there are {len(vectors)} vectors for 3 prompts; give one vector"):
            model(Prompts.of([PROMPT] * 3), steer=PerRow(vectors))
        with pytest.raises(VectorError, match=f"there are {len(vectors)} vectors for 3 prompts"):
            model.complete([PROMPT] * 3, steer=[vector, PerRow(vectors)], max_new_tokens=1)
    with pytest.raises(VectorError, match="row 2 of the batch has no vector; give one vector"):
        model.run(Prompts.of([PROMPT] * 3), Taps(edits=model.edits_of(PerRow([vector, None]))))
    assert torch.equal(model([PROMPT] * 3, steer=PerRow([None, None, vector]))[0], model([PROMPT])[0])


def test_capture_in_small_batches_steers_each_row_by_its_own_vector(architecture: str) -> None:
    model, vector = tiny_model(architecture), plain_vector(architecture)
    steer = PerRow([None, vector, 2 * vector])
    rows, site = [PROMPT, PROMPT[::-1], PROMPT], "L2.resid_post"
    whole, pieces = (capture(model, rows, site, steer=steer, batch_size=size)[site] for size in (None, 1))
    assert torch.allclose(whole, pieces, atol=1e-5)
    assert not torch.allclose(whole[0], whole[2], atol=1e-2), "the control: rows differ by their vectors alone"
