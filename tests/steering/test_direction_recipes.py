"""Directions made from texts: read once for all Sites, at the token that is asked for, and refused in a sentence."""

import copy

import pytest
import torch
from torch import Tensor

from conformance.tiny import GPT2, LLAMA, as_model, tiny_model, tiny_tokenizer
from glassbook.activations.capture import capture
from glassbook.core.errors import GlassbookError, InputError, VectorError
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.steering import recipes
from glassbook.steering.directions import DIRECTIONS, scaled
from glassbook.steering.recipes import (
    GENERAL,
    actadd,
    actadd_set,
    direction,
    directions,
    general_texts,
    mean_difference,
)

KINDS = list(DIRECTIONS)
# Every pair begins with two tokens that differ: where a pair's activations are the same, rounding alone would choose its side.
POSITIVES, NEGATIVES = ["the sun is warm", "a joy", "so very glad"], ["in rain", "the cold and dark night", "bad"]
SITES = ["L*.resid_post", "L1.H2.z", "L0.mlp_post.N7", "resid_final"]


def read_longhand(model: Model, texts: list[str], site: str, position: int) -> Tensor:
    """Return one token's value of every text, each read by itself."""
    rows = [capture(model, text, site)[site][0, position] for text in texts]
    return torch.stack(rows).double().reshape(len(texts), -1)


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("position", [-1, -2, 0])
def test_a_direction_is_that_of_the_activations_at_its_token(architecture: str, kind: str, position: int) -> None:
    model, site = tiny_model(architecture), "L2.resid_post"
    sides = [read_longhand(model, texts, site, position) for texts in (POSITIVES, NEGATIVES)]
    for norm in ("difference", "unit"):
        expected = scaled(DIRECTIONS.find(kind)(*sides), *sides, norm)
        vector = direction(model, POSITIVES, NEGATIVES, site, kind, position, norm)
        assert torch.allclose(vector.values.double(), expected, atol=1e-4 * float(expected.norm()))
        assert (vector.positions, vector.operator, vector.strength) == ("all", "add", 1.0)
        said = {"recipe": kind, "n_positives": 3, "n_negatives": 3, "position": position, "norm": norm}
        assert dict(vector.made) == said
    elsewhere = direction(model, POSITIVES, NEGATIVES, site, kind, 1)
    assert abs(elsewhere.cosine(vector)) < 0.999, "the control: another token gives another direction"


@pytest.mark.parametrize("kind", KINDS)
def test_many_sites_are_read_in_as_many_passes_as_one_and_give_what_each_gives_alone(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, passes = tiny_model(), []
    monkeypatch.setattr(recipes, "capture", lambda *given, **how: passes.append(1) or capture(*given, **how))
    together = directions(model, POSITIVES, NEGATIVES, SITES, kind)
    at_once = len(passes)
    assert together.sites == model.sites(SITES)
    for site in together.sites:
        alone = direction(model, POSITIVES, NEGATIVES, site, kind)
        assert torch.allclose(alone.values, together[site].values, atol=1e-5 * max(1.0, alone.norm))
    assert at_once == 1
    assert len(passes) == 1 + len(together), "the control: one by one the texts are read again and again"


def test_the_size_of_a_pass_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    whole = directions(model, POSITIVES, NEGATIVES, "L*.resid_post")
    monkeypatch.setattr(recipes, "_PASS_TOKENS", 1)
    for one, other in zip(whole, directions(model, POSITIVES, NEGATIVES, "L*.resid_post"), strict=True):
        assert torch.allclose(one.values, other.values, atol=1e-5)
    # Rows stay with their texts: other pairs of the same texts give another component.
    paired, other = (
        direction(model, texts, NEGATIVES, "L2.resid_post", "pca") for texts in (POSITIVES, POSITIVES[::-1])
    )
    assert abs(paired.cosine(other)) < 0.999


def test_a_mean_centered_direction_without_negatives_is_held_against_language_at_large() -> None:
    model = tiny_model()
    vector = direction(model, POSITIVES, None, "L1.resid_post", "mean-centered")
    texts = general_texts(model.config.n_ctx // 2)
    given = mean_difference(model, POSITIVES, texts, "L1.resid_post")
    assert torch.allclose(vector.values, given.values, atol=1e-5)
    assert vector.made["negatives"] == list(GENERAL) and vector.made["n_negatives"] == len(texts) == 64
    assert len(set(texts)) == 64 and all(0 < len(text) <= 24 for text in texts)
    with pytest.raises(InputError, match="a pca direction needs negatives; give texts, or use kind='mean-centered'"):
        direction(model, POSITIVES, None, "L1.resid_post", "pca")


def test_ids_may_stand_for_texts() -> None:
    model = tiny_model()
    rows = [[model.tokenizer.encode(text) for text in texts] for texts in (POSITIVES, NEGATIVES)]
    found = mean_difference(model, *rows, "L1.resid_post")
    assert torch.equal(found.values, mean_difference(model, POSITIVES, NEGATIVES, "L1.resid_post").values)


@pytest.mark.parametrize(
    ("positives", "negatives", "position", "error", "why"),
    [
        (["good", ""], ["bad"], -1, InputError, "text 1 of the positives, '', cannot be read: prompt 0 is empty"),
        (["good"], ["bad", "sad", ""], -1, InputError, "text 2 of the negatives, '', cannot be read"),
        (["good"], ["x" * 99], -1, InputError, "text 0 of the negatives, .* has 99 tokens .* at most 48"),
        (["good", "a"], ["bad"], -2, InputError, "text 1 of the positives has 1 tokens and so no position -2"),
        (["good"], ["bad"], 9, InputError, "has 4 tokens and so no position 9; give longer texts"),
        (["good", "bad"], ["bad", "good"], -1, VectorError, "are the same texts, so their difference is zero"),
        (["xgood"], ["xbad"], 0, VectorError, "at L1.resid_post the two sets have the same mean"),
    ],
)
def test_texts_that_cannot_be_used_are_refused_by_name(
    positives: list, negatives: list, position: int, error: type, why: str
) -> None:
    with pytest.raises(error, match=why) as refusal:
        mean_difference(tiny_model(), positives, negatives, "L1.resid_post", position)
    assert "\n" not in str(refusal.value)
    assert mean_difference(tiny_model(), ["good", "kind"], ["bad", "mean"], "L1.resid_post", -2).norm > 0


def test_sites_that_name_nothing_and_kinds_that_do_not_exist_are_refused() -> None:
    model = tiny_model()
    with pytest.raises(GlassbookError, match="names no layers of this model; layers run from 0 to 2"):
        directions(model, POSITIVES, NEGATIVES, "L2-1.resid_post")
    with pytest.raises(InputError, match="no Site is named"):
        directions(model, POSITIVES, NEGATIVES, [])
    with pytest.raises(InputError, match=r"L1.z holds no single vector per token; name a head"):
        directions(model, POSITIVES, NEGATIVES, ["L0.resid_post", "L1.z"])
    with pytest.raises(GlassbookError, match="no direction is named 'logistics'; did you mean 'logistic'"):
        direction(model, POSITIVES, NEGATIVES, "L1.resid_post", "logistics")


@pytest.mark.parametrize("kind", KINDS)
def test_activations_that_are_no_numbers_are_refused_at_their_site(kind: str) -> None:
    sound = tiny_model()
    net = copy.deepcopy(sound.net)
    with torch.no_grad():
        net.blocks[1].mlp.down.weight[0, 0] = float("nan")
    broken = as_model(net, tiny_tokenizer(), "broken")
    with pytest.raises(VectorError, match=r"the activations at L1.resid_post hold NaN or infinite numbers"):
        directions(broken, POSITIVES, NEGATIVES, "L*.resid_post", kind)
    with pytest.raises(VectorError, match=r"the activations at L2.resid_pre hold NaN"):
        actadd(broken, "Love", "Hate", "L2.resid_pre")
    assert direction(broken, POSITIVES, NEGATIVES, "L0.resid_post", kind).norm > 0


def test_actadd_at_many_sites_is_actadd_at_each() -> None:
    model = tiny_model()
    found = actadd_set(model, "Love", "Hate it", ["L*.resid_pre", "L1.H2.z"])
    assert [str(site) for site in found.sites] == ["L0.resid_pre", "L1.resid_pre", "L2.resid_pre", "L1.H2.z"]
    for vector in found:
        alone = actadd(model, "Love", "Hate it", vector.site)
        assert torch.allclose(alone.values, vector.values, atol=1e-6)
        assert (vector.positions, vector.needs_bos) == (alone.positions, alone.needs_bos) == ("front", True)
    ids = [[261, 5, 6, 7]]
    assert torch.allclose(model(ids, steer=found), model(ids, steer=list(found)), atol=1e-5)
    assert not torch.allclose(model(ids, steer=found), model(ids, steer=found[Site("resid_pre", 1)]), atol=1e-3)
