"""Shakespeare by characters: the published setting, three sizes of network, and the guessers beside them."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from glassbook.core.seeds import generator
from glassbook.models.gpt2 import GPT2
from glassbook.studies.contract import Cell
from glassbook.studies.gpt2_from_scratch.baselines import compressed_bits, window_losses
from glassbook.studies.gpt2_from_scratch.inference import (
    measure_cache,
    measure_sampling,
    open_prompts,
    windows_of,
    write_on,
)
from glassbook.studies.gpt2_from_scratch.networks import Part, learn, learned, new_network, token_nats, window_nats
from glassbook.studies.gpt2_from_scratch.settings import Settings
from glassbook.studies.gpt2_from_scratch.texts import Characters, read_characters
from glassbook.training.streams import TokenWindows
from glassbook.views.table import Table

Columns = dict[str, NDArray[np.float64]]
_BITS = 1 / math.log(2)
# The published figure is the mean over 20 random batches of the split.
_PUBLISHED_BATCHES = 20
_CURVE_WINDOWS = 240
# Seeds that no other cell has: of the twin.
_OTHER_SEEDS = 1_000
_TOP_K = 5
TRAINED = "training"


def measure_guessing(cell: Cell) -> Columns:
    """Return what guessing loses on each validation window, in nats a character, and compressed sizes in bits a byte."""
    text = read_characters(cell)
    losses = window_losses(text.split, cell.settings.character.n_ctx)
    bits = {f"{name}_bits_per_byte": np.array([value]) for name, value in compressed_bits(*text.raw).items()}
    return losses | bits


def measure_character(cell: Cell) -> Columns:
    """Return the loss of the published setting on each validation window, beside controls that lack training or order."""
    settings: Settings = cell.settings
    text = read_characters(cell)
    n_ctx, d_vocab = settings.character.n_ctx, text.tokenizer.d_vocab
    net = new_network(settings.character, d_vocab, cell.seed)
    untrained = window_nats(net.eval(), text.val, n_ctx).numpy()
    columns = _learn_text(cell, net, text, Part(TRAINED))
    loss = window_nats(net.eval(), text.val, n_ctx).numpy()
    whole = _whole_split(net, text.val, n_ctx)
    compressed = compressed_bits(*text.raw)
    cell.view("sample", _sample(net, text, cell.seed))
    return columns | {
        "loss": loss,
        "untrained": untrained,
        "shuffled": window_nats(net, _shuffled(text.val, n_ctx, cell.seed), n_ctx).numpy(),
        "published_estimate": _published_estimate(net, text.val, settings, cell.seed),
        "whole_split": np.array([whole]),
        "bits_per_byte": np.array([whole * _BITS]),
        "bits_below_xz": np.array([compressed["xz"] - whole * _BITS]),
        "untrained_bits_below_xz": np.array([compressed["xz"] - untrained.mean() * _BITS]),
        "xz_after_train_bits_below_xz": np.array([compressed["xz"] - compressed["xz_after_train"]]),
    }


def _learn_text(cell: Cell, net: GPT2, text: Characters, part: Part, seed: int | None = None) -> Columns:
    """Train on the first nine tenths; return the validation loss on the way."""
    recipe, n_ctx = cell.settings.character_recipe, net.config.n_ctx
    some = text.val[: _CURVE_WINDOWS * n_ctx + 1]

    def evaluate() -> Mapping[str, float]:
        return {"val": float(window_nats(net, some, n_ctx).mean())}

    stream = TokenWindows(text.train, recipe.batch, n_ctx, cell.seed if seed is None else seed)
    history = learn(cell, net, stream, recipe, part, evaluate)
    return {"curve_step": np.array(history.steps("val"), float), "curve_val": np.array(history.values("val"))}


def _whole_split(net: GPT2, ids: Int[Tensor, " n"], context: int) -> float:
    """Return the loss over every character but the first, in nats; the last window may be short."""
    full = (len(ids) - 1) // context * context
    nats = [token_nats(net, ids.long()[: full + 1].unfold(0, context + 1, context)).flatten()]
    if full < len(ids) - 1:
        nats.append(token_nats(net, ids.long()[None, full:]).flatten())
    return float(torch.cat(nats).mean())


def _published_estimate(net: GPT2, ids: Int[Tensor, " n"], settings: Settings, seed: int) -> NDArray[np.float64]:
    """Return the loss of random batches of windows, as the published figure was taken."""
    stream = TokenWindows(ids, settings.character_recipe.batch, net.config.n_ctx, seed)
    return np.array([float(token_nats(net, stream.next()[0]).mean()) for _ in range(_PUBLISHED_BATCHES)])


def _shuffled(ids: Int[Tensor, " n"], context: int, seed: int) -> Int[Tensor, " n"]:
    """Return the text with the characters of each window in random order: the same letters, no language."""
    source = generator(seed, "shuffled windows")
    parts = [part[torch.randperm(len(part), generator=source)] for part in ids.split(context)]
    return torch.cat(parts)


def _sample(net: GPT2, text: Characters, seed: int) -> Table:
    written = write_on(net, text.tokenizer, "\n", 4 * net.config.n_ctx, seed)
    return Table(
        title="What the network writes",
        caption=f"{len(written)} characters after a line break, temperature 0.8; nothing was chosen.",
        columns=("seed", "text"),
        rows=[(str(seed), written)],
    )


def measure_sizes(cell: Cell) -> Columns:
    """Return the losses of three sizes after the same characters, window by window, and what each gains over the one below.

    `twins` is the gain of a second small network, of other initial weights and other batches, over the first.
    """
    settings: Settings = cell.settings
    text = read_characters(cell)
    plan = [
        ("small", settings.small, cell.seed, Part("small", 0.0, 0.2)),
        ("twin", settings.small, _OTHER_SEEDS + cell.seed, Part("twin", 0.2, 0.4)),
        ("medium", settings.medium, cell.seed, Part("medium", 0.4, 1.0)),
    ]
    nets = {name: new_network(shape, text.tokenizer.d_vocab, seed) for name, shape, seed, _ in plan}
    large = new_network(settings.character, text.tokenizer.d_vocab, cell.seed)
    before = _losses({**nets, "large": large}, text)
    curves: Columns = {}
    for name, _, seed, part in plan:
        curve = _learn_text(cell, nets[name], text, part, seed)
        curves |= {f"{name}_{column}": values for column, values in curve.items()}
    after = _losses({**nets, "large": learned(cell.other("character") / TRAINED, large)}, text)
    return (
        curves
        | after
        | {
            "medium_over_small": after["small"] - after["medium"],
            "large_over_medium": after["medium"] - after["large"],
            "twins": after["small"] - after["twin"],
            "untrained_medium_over_small": before["small"] - before["medium"],
            "untrained_large_over_medium": before["medium"] - before["large"],
        }
    )


def _losses(nets: Mapping[str, GPT2], text: Characters) -> Columns:
    return {name: window_nats(net.eval(), text.val, net.config.n_ctx).numpy() for name, net in nets.items()}


def measure_memory(cell: Cell) -> Columns:
    """Return how far reading with a cache is from reading all at once, on windows of the validation text."""
    net, text = _trained(cell)
    width = net.config.n_ctx
    with torch.inference_mode():
        return measure_cache(net, windows_of(text.val, cell.settings.cache_prompts, width), width // 2)


def measure_dice(cell: Cell) -> Columns:
    """Return how well sampled characters fit the softmax, after prompts of the validation text that leave a choice."""
    settings: Settings = cell.settings
    net, text = _trained(cell)
    with torch.inference_mode():
        prompts = windows_of(text.val, 4 * settings.dice_prompts, net.config.n_ctx // 2)
        logits = open_prompts(net(prompts)[:, -1], settings.dice_prompts)
        return measure_sampling(logits, settings.dice_draws, _TOP_K, cell.seed)


def _trained(cell: Cell) -> tuple[GPT2, Characters]:
    text = read_characters(cell)
    net = new_network(cell.settings.character, text.tokenizer.d_vocab, cell.seed)
    return learned(cell.other("character") / TRAINED, net), text
