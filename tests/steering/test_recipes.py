"""How vectors are made: against longhand with transformers, and ActAdd exactly as published."""

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from conformance.tiny import GPT2, LLAMA, tiny_model, tiny_theirs
from glassbook.activations.capture import capture
from glassbook.core.errors import InputError, SiteError, VectorError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, Span
from glassbook.models.model import Model
from glassbook.steering.recipes import actadd, mean_difference, padded_pair
from glassbook.steering.vectors import SteeringVector

architectures = pytest.mark.parametrize("architecture", [GPT2, LLAMA])
POSITIVE, NEGATIVE, PROMPT, STRENGTH, LAYER = "Love", "Hate it", "I think the sun is", 3.0, 1
END = 261


def published_vector(model: Model, net: PreTrainedModel, positive: str, negative: str, layer: int) -> Tensor:
    """Return h(positive) - h(negative) before a block, by transformers: start token in front, spaces behind the shorter."""
    space = model.tokenizer.encode(" ")
    assert len(space) == 1
    rows = [[END, *model.tokenizer.encode(text)] for text in (positive, negative)]
    longest = max(map(len, rows))
    padded = torch.tensor([row + space * (longest - len(row)) for row in rows])
    states = net(padded, output_hidden_states=True).hidden_states[layer]
    return states[0] - states[1]


def published_continuation(
    net: PreTrainedModel, ids: list[int], layer: int, added: Tensor, n: int
) -> tuple[list[int], list[Tensor]]:
    """Return greedy tokens and their logits by transformers, `added` at the front of the first pass only."""
    blocks = net.transformer.h if hasattr(net, "transformer") else net.model.layers

    def add(_: object, given: tuple, named: dict) -> tuple[tuple, dict]:
        hidden = (given[0] if given else named["hidden_states"]).clone()
        front = min(len(added), hidden.shape[1])
        hidden[:, :front] += added[:front]
        return ((hidden, *given[1:]), named) if given else (given, named | {"hidden_states": hidden})

    handle = blocks[layer].register_forward_pre_hook(add, with_kwargs=True)
    out = net(torch.tensor([ids]), use_cache=True)
    handle.remove()
    tokens, logits = [], [out.logits[0, -1]]
    for _ in range(n):
        tokens.append(int(logits[-1].argmax()))
        out = net(torch.tensor([[tokens[-1]]]), past_key_values=out.past_key_values, use_cache=True)
        logits.append(out.logits[0, -1])
    return tokens, logits[:-1]


@architectures
@pytest.mark.parametrize(
    ("positive", "negative"), [(POSITIVE, NEGATIVE), (NEGATIVE, POSITIVE), ("a", "b"), ("", "Hate")]
)
def test_an_actadd_vector_is_the_published_difference(architecture: str, positive: str, negative: str) -> None:
    model = tiny_model(architecture)
    for layer in range(3):
        expected = published_vector(model, tiny_theirs(architecture), positive, negative, layer)
        vector = actadd(model, positive, negative, f"L{layer}.resid_pre")
        assert torch.allclose(vector.values, expected, atol=1e-5)
        assert bool((vector.values[0] == 0).all()), "the document-start token stays untouched"
        assert (vector.positions, vector.operator, vector.needs_bos) == ("front", "add", True)
        swapped = actadd(model, negative, positive, f"L{layer}.resid_pre")
        assert torch.allclose(swapped.values, -expected, atol=1e-5)
        assert not torch.allclose(swapped.values, expected, atol=1e-2), "the control: the order of the pair matters"


@architectures
@pytest.mark.parametrize("prompt", [PROMPT, "A", "on"])
def test_a_text_steered_by_actadd_continues_as_published(architecture: str, prompt: str) -> None:
    model, net = tiny_model(architecture), tiny_theirs(architecture)
    added = STRENGTH * published_vector(model, net, POSITIVE, NEGATIVE, LAYER)
    ids = [END, *model.tokenizer.encode(prompt)]
    tokens, logits = published_continuation(net, ids, LAYER, added, 6)
    vector = STRENGTH * actadd(model, POSITIVE, NEGATIVE, f"L{LAYER}.resid_pre")
    for use_cache in (True, False):
        one = model.complete(prompt, steer=vector, max_new_tokens=6, stop_at_eos=False, use_cache=use_cache)[0]
        assert one.prompt_tokens == ids
        gaps = torch.stack([row.topk(2).values for row in logits])
        certain = int((gaps[:, 0] - gaps[:, 1] > 1e-3).int().cumprod(0).sum())
        assert certain > 0
        assert one.tokens[:certain] == tokens[:certain]
        front = min(len(added), len(ids))
        assert one.touched == [False] + [True] * (front - 1) + [False] * (len(ids) - front + len(one.tokens))
    steered = model(prompt, steer=vector)[0, -1]
    assert float((steered - logits[0]).abs().max()) <= 1e-4
    assert float((model(prompt, prepend_bos=True)[0, -1] - logits[0]).abs().max()) > 1e-2, (
        "the control: unsteered differs"
    )


@architectures
def test_generated_tokens_get_nothing_added_to_their_own_residual(architecture: str) -> None:
    model = tiny_model(architecture)
    vector = STRENGTH * actadd(model, POSITIVE, NEGATIVE, "L1.resid_pre")
    before: list[Tensor] = []
    added: list[Tensor] = []

    def note_before(value: Tensor, _: Span) -> Tensor:
        before.append(value)
        return value

    def note_after(value: Tensor, _: Span) -> Tensor:
        added.append(value - before[-1])
        return value

    spies = [Edit(Site("resid_post", 0), note_before), Edit(Site("resid_pre", 1), note_after)]
    model.complete(PROMPT, steer=vector, edits=spies, max_new_tokens=4, stop_at_eos=False)
    assert len(added) == 4
    front = len(vector.table)
    assert bool((added[0][0, 1:front] != 0).any(-1).all())
    assert not added[0][0, 0].any()
    assert not added[0][0, front:].any()
    assert all(not one.any() for one in added[1:])
    before.clear(), added.clear()
    everywhere = vector.with_(positions="all", values=vector.values[1])
    model.complete(PROMPT, steer=everywhere, edits=spies, max_new_tokens=4, stop_at_eos=False)
    assert all(one.any() for one in added), "the control: another rule does touch them"


def test_the_shorter_prompt_of_a_pair_is_padded_with_single_spaces() -> None:
    model = tiny_model()
    space = model.to_single_token(" ")
    one, other = padded_pair(model, "abc", "d")
    assert one == [END, *model.tokenizer.encode("abc")]
    assert other == [END, *model.tokenizer.encode("d"), space, space]


def test_a_pair_that_does_not_differ_is_refused() -> None:
    with pytest.raises(VectorError, match="'sun' and 'sun' tokenize to the same tokens, so their vector is zero"):
        actadd(tiny_model(), "sun", "sun", "L1.resid_pre")
    assert actadd(tiny_model(), "sun", "sum", "L1.resid_pre").norm > 0


@architectures
def test_mean_difference_is_the_difference_of_means_of_the_last_tokens(architecture: str) -> None:
    model, net, layer = tiny_model(architecture), tiny_theirs(architecture), 2
    positives, negatives = ["the sun is warm", "a joy", "on"], ["in rain", "the cold and dark night"]

    def mean(texts: list[str]) -> Tensor:
        states = [
            net(torch.tensor([model.tokenizer.encode(t)]), output_hidden_states=True).hidden_states[layer]
            for t in texts
        ]
        return torch.stack([state[0, -1] for state in states]).mean(0)

    expected = mean(positives) - mean(negatives)
    vector = mean_difference(model, positives, negatives, f"L{layer}.resid_pre")
    assert torch.allclose(vector.values, expected, atol=1e-5)
    first = mean_difference(model, positives, negatives, "L2.resid_pre", position=0)
    assert not torch.allclose(first.values, expected, atol=1e-2), "the control: another token gives another vector"
    assert (vector.positions, vector.operator, vector.needs_bos) == ("all", "add", False)


@architectures
@pytest.mark.parametrize(
    ("site", "width"), [("L1.H2.z", 8), ("L0.mlp_post.N7", 1), ("L1.H1.v", 8), ("resid_final", 32)]
)
def test_vectors_are_made_at_heads_and_single_neurons_too(architecture: str, site: str, width: int) -> None:
    model, place = tiny_model(architecture), Site.parse(site)
    pair = actadd(model, POSITIVE, NEGATIVE, site)
    values = capture(model, padded_pair(model, POSITIVE, NEGATIVE), site)[place]
    assert pair.values.shape == (values.shape[1], width)
    assert torch.allclose(pair.values[1:].flatten(), (values[0] - values[1])[1:].flatten(), atol=1e-6)
    means = mean_difference(model, ["the sun", "joy"], ["cold"], site)
    assert means.values.shape == (width,)
    for vector in (pair, means):
        steered = model([[END, 5, 6, 7, 8]], steer=STRENGTH * vector)
        assert float((steered - model([[END, 5, 6, 7, 8]])).abs().max()) > 1e-3


@pytest.mark.parametrize(
    ("site", "error", "why"),
    [
        ("L*.resid_pre", InputError, "names 3 Sites and a vector lives at one; name one layer"),
        ("L1.pattern", InputError, "holds no single vector per token; name a head"),
        ("L1.z", InputError, r"name a head \(L<layer>.H<head>.z\)"),
        ("L1.H0.pattern", InputError, "holds no single vector per token"),
        ("L9.resid_pre", SiteError, "beyond the last layer"),
    ],
)
def test_a_site_without_one_vector_per_token_is_refused(site: str, error: type, why: str) -> None:
    model = tiny_model()
    with pytest.raises(error, match=why):
        actadd(model, POSITIVE, NEGATIVE, site)
    with pytest.raises(error, match=why):
        mean_difference(model, ["a"], ["b"], site)
    assert isinstance(mean_difference(model, ["a"], ["b"], "L1.H0.z"), SteeringVector)


@pytest.mark.parametrize(
    ("positives", "negatives", "name"), [([], ["b"], "positives"), (["a"], [], "negatives"), ("ab", ["b"], "positives")]
)
def test_a_contrast_needs_texts_on_both_sides(positives: object, negatives: object, name: str) -> None:
    with pytest.raises(InputError, match=f"there are no {name}; give a list of at least one text"):
        mean_difference(tiny_model(), positives, negatives, "L1.resid_pre")
