"""GPT-2 said a second time, in numpy and float64, one short function for each part in the order in which one builds it.

LayerNorm, Embed, PosEmbed, Attention, MLP, Block, Unembed: nothing here is shared with `models.gpt2`, nothing is fast, and
each function is as near to the formula as it can be. `Faults` leaves out one detail at a time, so that the comparison is
seen to notice.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Tokens = NDArray[np.int64]
Weights = Mapping[str, Values]


@dataclass(frozen=True)
class Faults:
    """What is built wrongly on purpose; by default nothing."""

    sees_the_future: bool = False
    scores_unscaled: bool = False
    gelu_exact: bool = False
    norm_after_sublayer: bool = False


SOUND = Faults()
FAULTS = {
    "no causal mask": Faults(sees_the_future=True),
    "scores not divided by the root of d_head": Faults(scores_unscaled=True),
    "norms after the sublayers, as in the first transformer": Faults(norm_after_sublayer=True),
    "the exact GELU in place of the tanh form": Faults(gelu_exact=True),
}


def layer_norm(x: Values, weight: Values, bias: Values, eps: float) -> Values:
    """Return `x` with mean 0 and variance 1 along its last axis, then scaled and shifted."""
    centered = x - x.mean(-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(-1, keepdims=True) + eps) * weight + bias


def embed(tokens: Tokens, table: Values) -> Values:
    """Return the row of each token."""
    return np.array([[table[token] for token in row] for row in tokens])


def pos_embed(tokens: Tokens, table: Values) -> Values:
    """Return the row of each position; what the token is plays no part."""
    return np.array([[table[position] for position in range(len(row))] for row in tokens])


def attention(x: Values, weights: Weights, n_heads: int, faults: Faults = SOUND) -> Values:
    """Return what all heads write for `x` [batch, pos, d_model], one head after the other."""
    d_model = x.shape[-1]
    d_head = d_model // n_heads
    w_q, w_k, w_v = np.split(weights["qkv.weight"], 3)
    b_q, b_k, b_v = np.split(weights["qkv.bias"], 3)
    written = np.zeros_like(x) + weights["out.bias"]
    for head in range(n_heads):
        own = slice(head * d_head, (head + 1) * d_head)
        q, k, v = (x @ w[own].T + b[own] for w, b in ((w_q, b_q), (w_k, b_k), (w_v, b_v)))
        scores = q @ k.transpose(0, 2, 1)
        if not faults.scores_unscaled:
            scores = scores / np.sqrt(d_head)
        if not faults.sees_the_future:
            scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
        written += softmax(scores) @ v @ weights["out.weight"][:, own].T
    return written


def softmax(scores: Values) -> Values:
    """Return probabilities along the last axis."""
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def mlp(x: Values, weights: Weights, faults: Faults = SOUND) -> Values:
    """Return what the neurons write."""
    return (
        gelu(x @ weights["up.weight"].T + weights["up.bias"], faults) @ weights["down.weight"].T + weights["down.bias"]
    )


def gelu(x: Values, faults: Faults = SOUND) -> Values:
    """Return the tanh form of the Gaussian error linear unit, which GPT-2 uses (Hendrycks and Gimpel 2016, section 2)."""
    if faults.gelu_exact:
        return 0.5 * x * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def block(x: Values, weights: Weights, n_heads: int, eps: float, faults: Faults = SOUND) -> Values:
    """Return the residual stream after a block: each sublayer reads a normed copy of it and adds to it."""

    def norm(name: str, value: Values) -> Values:
        return layer_norm(value, weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    attn, neurons = within(weights, "attn"), within(weights, "mlp")
    if faults.norm_after_sublayer:
        x = norm("ln1", x + attention(x, attn, n_heads, faults))
        return norm("ln2", x + mlp(x, neurons, faults))
    x = x + attention(norm("ln1", x), attn, n_heads, faults)
    return x + mlp(norm("ln2", x), neurons, faults)


def unembed(x: Values, table: Values) -> Values:
    """Return a score for each token: the product with its own row of the embedding."""
    return x @ table.T


def logits(tokens: Tokens, weights: Weights, n_layers: int, n_heads: int, eps: float, faults: Faults = SOUND) -> Values:
    """Return the whole network's answer to `tokens` [batch, pos]."""
    x = embed(tokens, weights["embed.weight"]) + pos_embed(tokens, weights["pos_embed.weight"])
    for layer in range(n_layers):
        x = block(x, within(weights, f"blocks.{layer}"), n_heads, eps, faults)
    final = layer_norm(x, weights["ln_final.weight"], weights["ln_final.bias"], eps)
    return unembed(final, weights["embed.weight"])


def within(weights: Weights, part: str) -> dict[str, Values]:
    """Return the weights of one part, under their names inside it."""
    return {name.removeprefix(f"{part}."): value for name, value in weights.items() if name.startswith(f"{part}.")}
