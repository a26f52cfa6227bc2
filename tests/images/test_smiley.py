"""Smileys are what their factors say: each attribute touches its own place, each factor moves its own attribute."""

import numpy as np
import pytest

from glassbook.images import ATTRIBUTES, draw_smileys
from glassbook.images.smiley import N_FACTORS, _bow_tie, _eyes, _hat, _mouth, attribute_of_factor

DRAW = dict(zip(ATTRIBUTES, (_bow_tie, _hat, _eyes, _mouth), strict=True))


def drawn(attribute: str, **factors: float) -> np.ndarray:
    """Return one attribute with the factors named and all others 0."""
    values = [np.full((1, 1, 1), factors.get(name.replace(" ", "_"), 0.0)) for name in ATTRIBUTES[attribute]]
    return DRAW[attribute](values)[0]


def test_the_same_seed_draws_the_same_faces_and_another_seed_others():
    assert draw_smileys(50, 3).images.sha256 == draw_smileys(50, 3).images.sha256 != draw_smileys(50, 4).images.sha256


def test_attributes_come_and_go_independently_half_the_time_and_18_factors_have_the_published_spread():
    smileys = draw_smileys(4000, 0)
    assert N_FACTORS == 18 and [len(names) for names in ATTRIBUTES.values()] == [4, 6, 3, 5]
    assert np.abs(smileys.present.mean(0) - 0.5).max() < 0.04
    assert np.abs(np.corrcoef(smileys.present.T.astype(float)) - np.eye(4)).max() < 0.06
    assert np.abs(smileys.factors.std(0) - 0.5).max() < 0.02 and np.abs(smileys.factors.mean(0)).max() < 0.03


def test_pictures_are_black_or_white_and_labels_are_the_sets_of_attributes():
    smileys = draw_smileys(300, 1)
    assert set(np.unique(smileys.images.pixels)) == {0, 255}
    assert (smileys.images.labels == smileys.present @ [1, 2, 4, 8]).all()
    assert smileys.images.n_classes == 16


def test_sources_are_zero_exactly_where_the_attribute_is_absent():
    smileys = draw_smileys(300, 1)
    absent = ~smileys.present[:, attribute_of_factor()]
    assert (smileys.sources[absent] == 0).all() and (smileys.sources[~absent] != 0).all()


def test_a_face_with_nothing_on_it_is_the_disc_of_radius_ten():
    smileys = draw_smileys(400, 2)
    bare = smileys.images.pixels[~smileys.present.any(1)] > 0
    rows, columns = np.mgrid[1:33, 1:33]
    assert len(bare) > 5
    assert (bare == ((rows - 16.5) ** 2 + (columns - 16.5) ** 2 <= 100)).all()


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_each_attribute_changes_the_picture_and_where_it_is_absent_its_factors_do_not(attribute):
    place = list(ATTRIBUTES).index(attribute)
    smileys = draw_smileys(600, 5)
    pictures = smileys.images.pixels > 0
    alone = smileys.present[:, place] & (smileys.present.sum(1) == 1)
    bare = pictures[~smileys.present.any(1)]
    assert alone.sum() > 10
    assert np.median([(picture != bare[0]).sum() for picture in pictures[alone]]) >= 5
    assert (bare == bare[0]).all()


@pytest.mark.parametrize(
    ("attribute", "factor"), [(name, factor) for name, factors in ATTRIBUTES.items() for factor in factors]
)
def test_each_factor_moves_its_attribute(attribute, factor):
    name = factor.replace(" ", "_")
    low, high = (drawn(attribute, **{name: value}) for value in (-1.5, 1.5))
    assert (low != high).any()
    assert low.any() and high.any()


def test_control_a_factor_of_another_attribute_moves_nothing():
    assert (drawn("eyes", width=1.5) == drawn("eyes")).all()


@pytest.mark.parametrize(("attribute", "factor"), [("bow-tie", "width"), ("hat", "brim_height"), ("eyes", "radius")])
def test_a_factor_of_size_makes_its_attribute_larger(attribute, factor):
    sizes = [drawn(attribute, **{factor: value}).sum() for value in (-1.0, 0.0, 1.0)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]
