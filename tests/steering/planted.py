"""A language model made by hand, in which it is known what every direction does.

It reads the alphabet: after each letter comes the next. Letter i stands on axis i of the stream; axis `EFFECT` is written
into the unembedding of "P" and, with the other sign, of "N"; nothing reads axis `NOTHING`. One head spreads what it finds on
axis `TOLD`, where "!" stands, onto axis `EFFECT`: an instruction of exclamation marks does what steering does.
"""

import functools

import torch

from conformance.tiny import LLAMA, as_model, tiny_config, tiny_tokenizer
from glassbook.core.sites import Site
from glassbook.models.llama import Llama
from glassbook.models.model import Model
from glassbook.steering.vectors import SteeringVector
from glassbook.tasks.contrast import ChoiceItem

LETTERS = "abcdefgh"
EFFECT, TOLD, NOTHING = 24, 25, 26
TEXT = [LETTERS * 80]
ITEMS = [ChoiceItem(LETTERS[i % 5 : i % 5 + 2 + i % 3] + LETTERS[i % 7], "P", "N") for i in range(16)]
INSTRUCTION = "!!!!!!"


@functools.cache
def planted_model() -> Model:
    """Return the model; each option also has a little of the letters, so that items differ."""
    net, tokenizer = Llama(tiny_config(LLAMA)), tiny_tokenizer()
    ids = {char: tokenizer.token_id(char) for char in [*LETTERS, "P", "N", "!"]}
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.fill_(1.0 if weight.ndim == 1 else 0.0) if "ln" in name else weight.zero_()
        for i, letter in enumerate(LETTERS):
            net.embed.weight[ids[letter], i] = 4.0
            net.unembed.weight[ids[LETTERS[(i + 1) % len(LETTERS)]], i] = 2.0
            net.unembed.weight[ids["P"], i] = 0.02 * i
        net.embed.weight[ids["!"], TOLD] = 4.0
        net.unembed.weight[ids["P"], EFFECT] += 1.0
        net.unembed.weight[ids["N"], EFFECT] -= 1.0
        values = net.blocks[0].attn.qkv.weight[(4 + 2) * 8 :]
        values[0, TOLD] = 1.0
        net.blocks[0].attn.out.weight[EFFECT, 0] = 0.3
    return as_model(net.eval().requires_grad_(False), tokenizer, "planted", origin="planted")


def along(**axes: float) -> SteeringVector:
    """Return a vector along the named axes; `letters` takes the same amount off every letter."""
    values = torch.zeros(32)
    values[EFFECT], values[NOTHING] = axes.get("effect", 0.0), axes.get("nothing", 0.0)
    values[: len(LETTERS)] = -axes.get("letters", 0.0)
    return SteeringVector(site=Site("resid_post", 1), values=values, identity=planted_model().identity)


def quick(**changes: object) -> dict[str, object]:
    """Return settings of a small sweep on the planted model."""
    settings: dict[str, object] = {"layers": (1, 2), "strengths": (0.5, 1, 2), "items": ITEMS, "text": TEXT}
    settings |= {"window": 24, "n_windows": 4, "n_tokens": 6, "instruction": "", "prompts": ("ab",)}
    return settings | changes
