"""A set of vectors is its vectors at once: in what it does, in its arithmetic, in its controls."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.activations.capture import capture
from glassbook.core.errors import VectorError
from glassbook.core.sites import Site
from glassbook.core.taps import Steering
from glassbook.steering.controls import random_directions, random_like
from glassbook.steering.vector_set import PerRow, VectorSet, each_vector, everywhere
from glassbook.steering.vectors import SteeringVector
from steering.laws import (
    NEAR,
    Broken,
    batch_is_one_by_one,
    cached_is_uncached,
    drawn,
    first_pass_only,
    plain_vector,
)

PROMPT = [5, 9, 2, 77, 31, 8]
PLACES = ["L0.resid_post", "L1.H2.z", "L2.mlp_out"]


def a_set(architecture: str = LLAMA, seed: int = 0, places: list[str] = PLACES, **changes: object) -> VectorSet:
    """Return a vector at each of several Sites."""
    model, one = tiny_model(architecture), plain_vector(architecture, **changes)
    made = (one.with_(site=Site.parse(site), values=drawn(model, site, seed + i)) for i, site in enumerate(places))
    return VectorSet(tuple(made))


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
def test_a_set_does_what_its_vectors_do_together(architecture: str) -> None:
    model, whole = tiny_model(architecture), a_set(architecture)
    together = model([PROMPT], steer=whole)
    assert torch.equal(together, model([PROMPT], steer=list(whole)))
    for site in whole.sites:
        rest = [vector for vector in whole if vector.site != site]
        assert float((model([PROMPT], steer=rest) - together).abs().max()) > 1e-4, (
            "the control: every one of them counts"
        )
    assert isinstance(whole, Steering)


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
def test_the_laws_of_steering_hold_for_sets_row_by_row_too(architecture: str) -> None:
    model = tiny_model(architecture)
    cached_is_uncached(model, a_set(architecture), [PROMPT])
    with pytest.raises(AssertionError):
        cached_is_uncached(model, Broken(a_set(architecture), first_pass_only), [PROMPT])
    steers = [a_set(architecture), None, 0.5 * a_set(architecture, 9, PLACES[1:]), plain_vector(architecture)]
    batch_is_one_by_one(model, steers, PerRow(steers), [PROMPT, PROMPT[:2], PROMPT[::-1], PROMPT[:4]])
    plain = model([PROMPT])
    assert torch.equal(model([PROMPT], steer=0 * a_set(architecture)), plain)


@settings(max_examples=20)
@given(a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_sums_go_site_by_site_and_a_site_of_one_alone_keeps_its_vector(a: float, b: float) -> None:
    model, one, other = tiny_model(), a * a_set(), b * a_set(seed=7, places=[PLACES[1], "L1.resid_pre"])
    total = one + other
    assert [str(site) for site in total.sites] == [*PLACES, "L1.resid_pre"]
    steered = model([PROMPT], steer=total)
    assert torch.allclose(steered, model([PROMPT], steer=[*one, *other]), atol=NEAR)
    assert torch.allclose(model([PROMPT], steer=total - other), model([PROMPT], steer=one), atol=NEAR)
    assert torch.allclose(model([PROMPT], steer=one - one), model([PROMPT]), atol=NEAR)


def test_strength_sign_norm_and_fields_go_to_every_vector() -> None:
    whole = a_set()
    assert [vector.strength for vector in -2 * whole] == [-2.0] * 3
    assert [vector.strength for vector in -whole] == [-1.0] * 3
    assert [vector.positions for vector in whole.with_(positions="generated")] == ["generated"] * 3
    assert [vector.norm for vector in whole.unit] == pytest.approx([1.0] * 3)
    assert [vector.norm for vector in whole.scaled_to(2.5)] == pytest.approx([2.5] * 3)
    assert whole.norm == pytest.approx(6.0)
    assert not whole.needs_bos and VectorSet((*whole.vectors[:2], whole.vectors[2].with_(needs_bos=True))).needs_bos
    assert repr(whole) == "<3 vectors at L0.resid_post, L1.H2.z, L2.mlp_out: norm 6>"


def test_vectors_are_found_by_site_and_chosen_by_layer() -> None:
    whole = a_set()
    assert whole["blocks.2.hook_mlp_out"] is whole.vectors[2] and len(whole) == 3
    assert whole.at(range(1, 3)).sites == whole.sites[1:]
    with pytest.raises(VectorError, match=r"holds no vector at L1.resid_post; choose one of its Sites"):
        whole["L1.resid_post"]
    with pytest.raises(
        VectorError, match=r"no vector of the set is at layers \[5\]; it has them at layers \[0, 1, 2\]"
    ):
        whole.at([5])
    with pytest.raises(VectorError, match=r"no vector of the set is at layers \[\]"):
        whole.at([])
    assert each_vector(whole) == whole.vectors and each_vector(whole.vectors[0]) == whole.vectors[:1]


def test_an_empty_set_and_two_vectors_at_one_site_are_refused() -> None:
    whole = a_set()
    with pytest.raises(VectorError, match="a set of vectors is empty; give at least one vector, or a range of layers"):
        VectorSet(())
    with pytest.raises(VectorError, match=r"holds two at L0.resid_post; add them to one vector first"):
        VectorSet((*whole, whole.vectors[0]))
    assert len(VectorSet(whole.vectors)) == 3


def test_a_set_that_does_not_fit_is_refused_for_the_vector_that_does_not() -> None:
    model, whole = tiny_model(), a_set()
    wide = VectorSet((whole.vectors[0], whole.vectors[1].with_(values=torch.ones(9))))
    with pytest.raises(VectorError, match=r"the vector has width 9 and L1.H2.z of tiny-llama has width 8"):
        model([PROMPT], steer=wide)
    with pytest.raises(VectorError, match="is not the same model"):
        tiny_model(seed=2)([PROMPT], steer=whole)
    assert tiny_model(seed=2)([PROMPT], steer=whole.with_(force=True)).isfinite().all()


def test_random_controls_of_a_set_differ_from_site_to_site_and_keep_each_norm() -> None:
    same = a_set(places=["L0.resid_post", "L1.resid_post"])
    control = random_like(same, 0, 3)
    assert control.sites == same.sites
    assert [one.norm for one in control] == pytest.approx([one.norm for one in same])
    assert abs(control.vectors[0].cosine(control.vectors[1])) < 0.9
    again = random_like(same, 0, 3)
    assert all(torch.equal(one.values, other.values) for one, other in zip(control, again, strict=True))
    assert abs(control.vectors[0].cosine(random_directions(same, 5, 0)[4].vectors[0])) < 0.9


@pytest.mark.parametrize("architecture", [GPT2, LLAMA, "gpt_neox"])
def test_one_direction_ablated_everywhere_is_nowhere_in_the_stream(architecture: str) -> None:
    model, vector = tiny_model(architecture), plain_vector(architecture, operator="ablate")
    unit = vector.values / vector.norm
    names = [f"L*.{name}" for name in ("resid_pre", "resid_mid", "resid_post") if name in model.site_names]
    after = capture(model, [PROMPT], names, steer=everywhere(model, vector))
    before = capture(model, [PROMPT], names)
    assert max(float((value @ unit).abs().max()) for value in after.values()) < 1e-4
    assert all(float((value @ unit).abs().max()) > 1e-2 for value in before.values()), "the control: it was there"
    alone = capture(model, [PROMPT], names, steer=vector)
    assert float((alone["L2.resid_post"] @ unit).abs().max()) > 1e-2, "the control: at one Site it comes back"


def test_everywhere_touches_each_place_of_the_stream_once_or_the_sites_that_are_given() -> None:
    model, vector = tiny_model(), plain_vector(LLAMA)
    places = [str(site) for site in everywhere(model, vector).sites]
    expected = ["L0.resid_pre"] + [f"L{i}.{name}" for name in ("resid_mid", "resid_post") for i in range(3)]
    assert places == expected, "L0.resid_post and L1.resid_pre are one place"
    given = everywhere(model, 2 * vector, ["L1-2.attn_out", "embed"])
    assert [str(site) for site in given.sites] == ["L1.attn_out", "L2.attn_out", "embed"]
    assert all(torch.equal(one.values, vector.values) and one.strength == 2 for one in given)
    assert given.vectors[0].made["from"] == "L1.resid_pre"
    with pytest.raises(VectorError, match=r"the vector has width 32 and L1.mlp_post of tiny-llama has width"):
        everywhere(model, vector, ["L1.resid_post", "L1.mlp_post"])
    assert isinstance(given.vectors[0], SteeringVector)
