"""Each part of our network beside its restatement: the largest difference, for freshly drawn weights and inputs."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glassbook.core.seeds import generator
from glassbook.core.taps import IDLE
from glassbook.models.gpt2 import GPT2, Block, GPT2Config
from glassbook.studies.gpt2_from_scratch import restatement
from glassbook.studies.gpt2_from_scratch.restatement import FAULTS, Tokens, Values, within

SHAPE = GPT2Config(
    n_layers=2, d_model=48, n_heads=4, d_head=12, d_mlp=192, d_vocab=96, n_ctx=24, norm_eps=1e-5, tied_embeddings=True
)  # fmt: skip
_BATCH = 2


def measure_parity(seed: int, draws: int) -> dict[str, NDArray[np.float64]]:
    """Return for each draw of weights and inputs the largest difference at each part, and what each fault would cost."""
    rows = [_one_draw(seed, draw) for draw in range(draws)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _one_draw(seed: int, draw: int) -> dict[str, float]:
    net, other = drawn_network(seed, draw, "weights"), drawn_network(seed, draw, "other weights")
    source = generator(seed, "parity", draw, "inputs")
    tokens = torch.randint(SHAPE.d_vocab, (_BATCH, SHAPE.n_ctx), generator=source)
    stream = torch.randn(_BATCH, SHAPE.n_ctx, SHAPE.d_model, generator=source)
    with torch.inference_mode():
        found = part_differences(net, tokens, stream)
        # The same comparison in float64 tells rounding from a wrong formula.
        said = said_again(net, tokens.numpy())
        faulty = [_largest(said_again(net, tokens.numpy(), faults), said) for faults in FAULTS.values()]
        found["logits_float64"] = _largest(net.double()(tokens).numpy(), said)
        found["smallest_fault"] = min(faulty)
        found["other_weights"] = _largest(other.double()(tokens).numpy(), said)
    return found | {"largest": max(found[name] for name in PARTS)}


def drawn_network(seed: int, draw: int, purpose: str) -> GPT2:
    """Return a network whose every weight matters: matrices of N(0, 1 / d_model), biases and gains drawn as well.

    Initialized as for training, biases would be 0 and gains 1, and a forgotten one would pass unseen.
    """
    net = GPT2(SHAPE)
    for name, weight in net.named_parameters():
        source = generator(seed, "parity", draw, purpose, name)
        spread = SHAPE.d_model**-0.5 if weight.ndim > 1 else 0.2
        centre = 1.0 if weight.ndim == 1 and name.endswith("weight") else 0.0
        torch.nn.init.normal_(weight, centre, spread, generator=source)
    return net


def part_differences(net: GPT2, tokens: Tensor, stream: Tensor) -> dict[str, float]:
    """Return the largest difference of each part from its restatement, in the order in which one builds them."""
    weights, x, ids = weights_of(net), stream.double().numpy(), tokens.numpy()
    return {
        name: _largest(ours(net, tokens, stream), theirs(weights, ids, x)) for name, (ours, theirs) in PARTS.items()
    }


def weights_of(net: GPT2) -> dict[str, Values]:
    """Return the weights in float64, under our own names."""
    return {name: weight.detach().double().numpy() for name, weight in net.named_parameters()}


def said_again(net: GPT2, tokens: Tokens, faults: restatement.Faults = restatement.SOUND) -> Values:
    """Return the logits that the restatement gives for this network's weights."""
    c = net.config
    return restatement.logits(tokens, weights_of(net), c.n_layers, c.n_heads, c.norm_eps, faults)


def _first_block(net: GPT2) -> Block:
    found = net.blocks[0]
    assert isinstance(found, Block)
    return found


_AT = IDLE.at(0)
_EPS, _HEADS, _FIRST = SHAPE.norm_eps, SHAPE.n_heads, "blocks.0"
Ours = Callable[[GPT2, Tensor, Tensor], Tensor]
Theirs = Callable[[dict[str, Values], Tokens, Values], Values]
# Part by part: what our network computes, and what its restatement computes from the same weights and inputs.
PARTS: dict[str, tuple[Ours, Theirs]] = {
    "layer_norm": (
        lambda net, tokens, x: _first_block(net).ln1(x, _AT, "ln1_scale"),
        lambda w, ids, x: restatement.layer_norm(x, w[f"{_FIRST}.ln1.weight"], w[f"{_FIRST}.ln1.bias"], _EPS),
    ),
    "embed": (
        lambda net, tokens, x: net.embed(tokens),
        lambda w, ids, x: restatement.embed(ids, w["embed.weight"]),
    ),
    "pos_embed": (
        lambda net, tokens, x: net.pos_embed(torch.arange(tokens.shape[1]).expand(tokens.shape)),
        lambda w, ids, x: restatement.pos_embed(ids, w["pos_embed.weight"]),
    ),
    "attention": (
        lambda net, tokens, x: _first_block(net).attn(x, _AT, None, None),
        lambda w, ids, x: restatement.attention(x, within(w, f"{_FIRST}.attn"), _HEADS),
    ),
    "mlp": (
        lambda net, tokens, x: _first_block(net).mlp(x, _AT),
        lambda w, ids, x: restatement.mlp(x, within(w, f"{_FIRST}.mlp")),
    ),
    "block": (
        lambda net, tokens, x: _first_block(net)(x, _AT, None, None),
        lambda w, ids, x: restatement.block(x, within(w, _FIRST), _HEADS, _EPS),
    ),
    "unembed": (
        lambda net, tokens, x: net.score(x),
        lambda w, ids, x: restatement.unembed(x, w["embed.weight"]),
    ),
    "logits": (
        lambda net, tokens, x: net(tokens),
        lambda w, ids, x: restatement.logits(ids, w, SHAPE.n_layers, _HEADS, _EPS),
    ),
}  # fmt: skip


def _largest(ours: Tensor | Values, theirs: Values) -> float:
    return float(np.abs(np.asarray(ours, dtype=np.float64) - theirs).max())
