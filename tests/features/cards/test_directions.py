"""What a card says of a direction is what the model's own unembedding, neurons and exact passes say."""

from pathlib import Path

import pytest
import torch

from conformance.tiny import tiny_model
from features.cards.small_stores import SITE, counting
from glassbook.activations.store import Harvest, harvest
from glassbook.core.taps import IDLE, Edit
from glassbook.features.cards import CardSettings, ablation_effect, make_cards, open_cards, save_cards, with_ablation
from glassbook.features.cards.directions import logit_weights, nearest_neurons, through_final_norm
from glassbook.features.files import save_dictionary
from glassbook.models.model import Model

ARCHITECTURES = ("gpt2", "llama", "gpt_neox", "mixtral")


def scores(model: Model, resid: torch.Tensor) -> torch.Tensor:
    """What the model itself makes of a stream: final norm, then unembedding."""
    return model.transformer.read(resid[None, None].float(), IDLE)[0, 0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logit_weights_are_what_the_model_reads_from_the_direction(architecture: str) -> None:
    model = tiny_model(architecture)
    direction = torch.randn(32, generator=torch.Generator().manual_seed(3))
    folded = through_final_norm(model, direction[None], SITE)
    # The norm divides by one number, so that a direction by itself comes out as its weights over that number.
    is_centered = isinstance(model.transformer.ln_final, torch.nn.LayerNorm)
    centered = direction - direction.mean() if is_centered else direction
    scale = (centered.pow(2).mean() + model.config.norm_eps).sqrt()
    bias = scores(model, torch.zeros(32))
    expected = (scores(model, direction) - bias) * scale
    found = folded[0] @ model.transformer.W_U.float()
    assert torch.allclose(found, expected, atol=1e-4)
    (up, down), *_ = logit_weights(model, direction[None], SITE, 3)
    names = model.tokenizer.token_strings(found.topk(3).indices.tolist())
    assert [name for name, _ in up] == names
    assert [value for _, value in up] == pytest.approx(found.topk(3).values.tolist(), abs=1e-5)
    assert down[0][1] == pytest.approx(float(found.min()), abs=1e-5)
    unfolded = direction @ model.transformer.W_U.float()
    assert not torch.allclose(unfolded, expected, atol=1e-2)


def test_nearest_neurons_are_those_of_the_largest_cosine_of_all_layers() -> None:
    model = tiny_model()
    rows = model.transformer.W_out.flatten(0, 1).float()
    direction = -2 * rows[48 + 7] + 0.01
    (found,) = nearest_neurons(model, direction[None], 4)
    cosines = torch.nn.functional.cosine_similarity(rows, direction[None])
    expected = cosines.abs().topk(4).indices.tolist()
    assert [name for name, _ in found] == [f"L{n // 48}.mlp_post.N{n % 48}" for n in expected]
    assert found[0][0] == "L1.mlp_post.N7" and found[0][1] < -0.99
    assert nearest_neurons(tiny_model("mixtral"), direction[None], 4) == [()]


def test_ablation_is_the_exact_pass_with_the_feature_less_that_without(tmp_path: Path) -> None:
    model = tiny_model()
    texts = ["the cat in the hat on the mat " * 3, "another one, in other words: on and on " * 2]
    how = Harvest(context=24, dtype="float32", mixed=0, batch_size=2)
    store = harvest(model, texts, "L0.resid_post", tmp_path / "store", how)
    dictionary = counting("standard", 6)
    save_dictionary(tmp_path / "d", dictionary)
    cards = make_cards(model, dictionary, store, CardSettings(top=3, before=4, after=6))
    feature = 2
    example = cards.card(feature).top[0]
    found = ablation_effect(model, dictionary, store, feature, example)

    def remove(value: torch.Tensor, span: object) -> torch.Tensor:
        active = dictionary.encode(value)[..., feature, None]
        return value - active * dictionary.decoder[feature]

    tokens = torch.from_numpy(store.context(example.context).tokens).long()[None]
    plain, without = (
        model(tokens, edits=edits, prepend_bos=False).log_softmax(-1) for edits in ([], [Edit(SITE, remove)])
    )
    for place, token in enumerate(example.tokens):
        at = example.start + place
        assert int(tokens[0, at]) == token
        expected = float(plain[0, at - 1, token] - without[0, at - 1, token]) if at else 0.0
        assert found[place] == pytest.approx(expected, abs=1e-4)
    assert max(map(abs, found)) > 1e-2
    never = ablation_effect(model, dictionary, store, 0, example)
    assert max(map(abs, never)) < 1e-6
    save_cards(tmp_path / "d", with_ablation(cards, model, dictionary, store, [feature], 2))
    kept = open_cards(tmp_path / "d")
    assert kept.card(feature).ablation[0] == pytest.approx(found, abs=1e-6) and len(kept.card(feature).ablation) == 2
    assert kept.card(3) == cards.card(3) and kept.card(3).ablation == ()
