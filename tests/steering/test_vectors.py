"""What a vector may be used on, how vectors are combined, and the controls that are made of them."""

import inspect
import warnings
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conformance.tiny import GPT2, LLAMA, as_model, tiny_model, tiny_tokenizer
from glassbook.core.errors import InputError, SiteError, VectorError
from glassbook.core.sites import Site
from glassbook.core.taps import Steering
from glassbook.models.model import Model
from glassbook.steering.controls import random_directions, random_like
from glassbook.steering.operators import check_choice
from glassbook.steering.vector_set import PerRow
from glassbook.steering.vectors import LineageWarning, SteeringVector

SITE = Site("resid_pre", 1)


def vector_of(model: Model, values: torch.Tensor | None = None, **changes: object) -> SteeringVector:
    """Return a vector made on a model."""
    values = torch.arange(1.0, 33.0) / 10 if values is None else values
    return SteeringVector(site=SITE, values=values, identity=model.identity, **changes)


def in_bfloat16(model: Model) -> Model:
    """Return the same model in another precision, as opening it so would give it."""
    net = type(model.net)(model.config)
    net.load_state_dict(model.net.state_dict())
    other = as_model(
        net.to(torch.bfloat16).eval().requires_grad_(False), tiny_tokenizer(), "tiny-llama", origin="tiny-llama"
    )
    assert other.identity.lineage == model.identity.lineage
    return other


def test_a_vector_of_another_model_is_refused_and_force_is_recorded() -> None:
    mine, other = tiny_model(), tiny_model(seed=2)
    vector = vector_of(other)
    for use in (
        lambda v: mine([[1]], steer=v),
        lambda v: mine.generate("a", steer=v),
        lambda v: mine([[1]], steer=PerRow([v])),
    ):
        with pytest.raises(
            VectorError, match="was made on tiny-llama-2 and this model is tiny-llama, which is not the same"
        ) as no:
            use(vector)
        assert "\n" not in str(no.value)
    forced = mine([[1, 2]], steer=vector.with_(force=True))
    assert torch.equal(forced, mine([[1, 2]], steer=vector_of(mine))), "forced, it acts as its values say"


@pytest.mark.parametrize(
    ("width", "site"), [(31, SITE), (32, Site("z", 1, head=0)), (2, Site("mlp_post", 0, neuron=1))]
)
def test_a_vector_of_another_width_is_refused_and_of_the_right_one_accepted(width: int, site: Site) -> None:
    model = tiny_model()
    with pytest.raises(
        VectorError, match=rf"the vector has width {width} and {site} of tiny-llama has width"
    ) as refusal:
        model([[1, 2]], steer=vector_of(model, torch.ones(width)).with_(site=site))
    assert "\n" not in str(refusal.value)
    right = {SITE: 32, Site("z", 1, head=0): 8, Site("mlp_post", 0, neuron=1): 1}[site]
    assert model([[1, 2]], steer=vector_of(model, torch.ones(right)).with_(site=site)).isfinite().all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_no_numbers_are_refused_in_values_and_strength(bad: float) -> None:
    model = tiny_model()
    values = torch.ones(32)
    values[3] = bad
    with pytest.raises(VectorError, match="holds NaN or infinite numbers; make it again from finite activations"):
        vector_of(model, values)
    with pytest.raises(VectorError, match=r"strength .* cannot be used for L1.resid_pre; give a finite number"):
        bad * vector_of(model)
    assert (1e6 * vector_of(model)).strength == 1e6


@pytest.mark.parametrize("shape", [(0,), (2, 0), (2, 3, 32)])
def test_a_vector_is_one_direction_or_one_for_each_front_token(shape: tuple[int, ...]) -> None:
    model = tiny_model()
    with pytest.raises(VectorError, match="has shape"):
        replace(vector_of(model), values=torch.ones(shape))
    assert vector_of(model, torch.ones(32)).table.shape == (1, 32)
    assert vector_of(model, torch.ones(3, 32)).table.shape == (3, 32)


def test_another_precision_of_the_same_model_warns_and_works() -> None:
    model, vector = tiny_model(LLAMA), vector_of(tiny_model(LLAMA))
    rounded = in_bfloat16(model)
    with pytest.warns(LineageWarning, match=r"made on tiny-llama \(float32\) and is used on tiny-llama \(bfloat16\)"):
        steered = rounded([[1, 2, 3]], steer=vector)
    assert not torch.equal(steered, rounded([[1, 2, 3]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model([[1, 2, 3]], steer=vector)


@pytest.mark.parametrize(
    ("operator", "positions", "why"),
    [
        ("subtract", "all", "there is no operator 'subtract'; choose one of add, ablate, clamp"),
        ("add", "middle", "there are no positions 'middle'; choose one of all, prompt, generated, front"),
        ("add", (0, -1), "give indices as a tuple of whole numbers from 0"),
        ("add", (), "give indices as a tuple of whole numbers from 0"),
        ("add", [0, 1], "give indices as a tuple of whole numbers from 0"),
    ],
)
def test_an_operator_or_positions_that_do_not_exist_are_refused(operator: str, positions: object, why: str) -> None:
    # Below the check of types, which a person's own program does not have.
    check = inspect.unwrap(check_choice)
    with pytest.raises(VectorError, match=why):
        check(operator, positions)
    check("ablate", (0, 2))
    assert vector_of(tiny_model(), operator="ablate", positions=(0, 2)).positions == (0, 2)


def test_a_site_that_the_model_lacks_is_refused() -> None:
    model = tiny_model()
    with pytest.raises(SiteError, match=r"'L3.resid_pre' is beyond the last layer; layers run from 0 to 2"):
        model([[1]], steer=vector_of(model).with_(site=Site("resid_pre", 3)))
    with pytest.raises(SiteError, match="this model has no Site 'pos_embed'"):
        model([[1]], steer=vector_of(model).with_(site=Site("pos_embed")))
    gpt2 = tiny_model(GPT2)
    assert gpt2([[1]], steer=vector_of(gpt2).with_(site=Site("pos_embed"))).isfinite().all()


def test_a_vector_is_a_steering_and_says_what_it_is() -> None:
    vector = 4 * vector_of(tiny_model(), torch.ones(2, 32), positions="front")
    assert isinstance(vector, Steering)
    assert isinstance(PerRow([vector]), Steering)
    assert repr(vector) == "<vector at L1.resid_pre: 4 x [2 x 32], add at front, norm 5.66>"
    assert vector.norm == pytest.approx(32**0.5)


@given(a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_a_sum_of_vectors_steers_as_both_together(a: float, b: float) -> None:
    model = tiny_model()
    one, other = a * vector_of(model), b * vector_of(model, torch.linspace(-1, 2, 32))
    both = model([[1, 2, 3]], steer=[one, other])
    assert torch.allclose(model([[1, 2, 3]], steer=one + other), both, atol=1e-4)
    assert torch.allclose((one - other).values, (one + -other).values)
    assert (one + other).values.shape == (32,)


def test_a_sum_of_front_vectors_of_unequal_length_steers_as_both_together() -> None:
    model = tiny_model()
    one, other = (vector_of(model, torch.ones(n, 32) * n, positions="front") for n in (1, 3))
    assert (one + other).table[:, 0].tolist() == [4.0, 3.0, 3.0]
    ids = [[1, 2, 3, 4]]
    assert torch.allclose(model(ids, steer=one + other), model(ids, steer=[one, other]), atol=1e-4)


@pytest.mark.parametrize("changes", [{"site": Site("resid_pre", 2)}, {"positions": "prompt"}, {"operator": "ablate"}])
def test_vectors_that_act_differently_are_not_summed(changes: dict) -> None:
    vector = vector_of(tiny_model())
    with pytest.raises(VectorError, match=r"cannot be summed; give both to steer=\[...\] instead"):
        vector + vector.with_(**changes)
    assert (vector + vector).values.tolist() == (2 * vector.values).tolist()


def test_a_vector_that_needs_the_document_start_puts_it_there_unless_told_not_to() -> None:
    model = tiny_model()
    vector = vector_of(model, needs_bos=True)
    with_start = model.to_tokens("the", prepend_bos=True)
    assert torch.equal(model("the", steer=vector), model(with_start, steer=vector))
    assert torch.equal(model("the", steer=PerRow([None, vector][1:])), model(with_start, steer=vector))
    bare = model.to_tokens("the", prepend_bos=False)
    without = model(bare, steer=vector, prepend_bos=False)
    assert torch.equal(model("the", steer=vector, prepend_bos=False), without)
    for refused in (lambda: model(bare, steer=vector), lambda: model.complete(bare, steer=vector)):
        with pytest.raises(InputError, match="begin with the document-start token"):
            refused()
    assert model.complete("the", steer=vector, max_new_tokens=1)[0].prompt_tokens == with_start[0].tolist()


def test_a_single_neuron_has_no_random_directions_beside_it() -> None:
    model = tiny_model()
    neuron = vector_of(model, torch.ones(1)).with_(site=Site("mlp_post", 1, neuron=3))
    with pytest.raises(VectorError, match=r"has no random directions beside it; steer L1.mlp_post with one number"):
        random_like(neuron, 0, 0)
    layer = neuron.with_(site=Site("mlp_post", 1), values=torch.ones(model.config.d_mlp))
    assert random_like(layer, 0, 0).values.shape == layer.values.shape


@given(seed=st.integers(0, 10**6), number=st.integers(0, 10**3), front=st.integers(1, 5))
def test_random_controls_have_the_norm_of_the_vector_at_every_token(seed: int, number: int, front: int) -> None:
    model = tiny_model()
    values = torch.randn(front, 32, generator=torch.Generator().manual_seed(seed))
    values[0] = 0
    vector = 3 * vector_of(model, values, positions="front", needs_bos=True)
    control = random_like(vector, seed, number)
    assert torch.allclose(control.values.norm(dim=-1), values.norm(dim=-1), rtol=1e-5)
    assert bool((control.values[0] == 0).all()), "the untouched token stays untouched"
    same = {
        name: getattr(vector, name) for name in ("site", "positions", "operator", "strength", "needs_bos", "identity")
    }
    assert {name: getattr(control, name) for name in same} == same
    assert torch.equal(random_like(vector, seed, number).values, control.values)
    for other in (random_like(vector, seed, number + 1), random_like(vector, seed + 1, number)):
        assert front == 1 or not torch.allclose(other.values, control.values)


def test_random_controls_are_many_and_spread_over_the_sphere() -> None:
    vector = vector_of(tiny_model())
    drawn = random_directions(vector, 400, seed=3)
    assert [one.made["number"] for one in drawn] == list(range(400))
    units = torch.stack([one.values / one.values.norm() for one in drawn])
    # A mean of 400 unit vectors in 32 dimensions has norm 1/20 on average; coordinates squared have mean 1/32.
    assert float(units.mean(0).norm()) < 0.1
    assert torch.allclose(units.square().mean(0), torch.full((32,), 1 / 32), atol=0.015)
    assert float((units[:20] @ units[20:40].T).abs().max()) < 0.8, "no two are nearly the same"
    again = random_directions(vector, 3, seed=3)
    assert all(torch.equal(one.values, other.values) for one, other in zip(again, drawn, strict=False))
