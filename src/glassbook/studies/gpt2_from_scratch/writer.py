"""A writer of our own: byte pairs learned from books, and a network that learns to foretell them."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from glassbook.models.gpt2 import GPT2
from glassbook.studies.contract import Cell
from glassbook.studies.gpt2_from_scratch.baselines import compressed_bits
from glassbook.studies.gpt2_from_scratch.inference import write_on
from glassbook.studies.gpt2_from_scratch.networks import Part, learn, learned, new_network, token_nats, windows
from glassbook.studies.gpt2_from_scratch.settings import Settings
from glassbook.studies.gpt2_from_scratch.texts import Books, keep, read_books
from glassbook.text.tokenizer import Tokenizer
from glassbook.training.streams import TokenWindows
from glassbook.views.table import Table

Columns = dict[str, NDArray[np.float64]]
TRAINED = "training"
_HELD_OUT_WINDOWS = 200


def measure_pretraining(cell: Cell) -> Columns:
    """Return the loss on windows of the held-out books, in nats a token and bits a byte, before and after training."""
    settings: Settings = cell.settings
    books, raw = read_books(cell)
    keep(books, cell.folder)
    net = new_network(settings.writer, books.tokenizer.d_vocab, cell.seed).to(cell.device)
    held_out = some_windows(books.held_out, settings.writer.n_ctx)
    nats = {"untrained": token_nats(net.eval(), held_out)}
    curve = _learn_books(cell, net, books, held_out)
    nats |= {"trained": token_nats(net.eval(), held_out), "unigram": _unigram_nats(books, held_out)}
    bits = {name: _bits_per_byte(one, held_out, books.tokenizer) for name, one in nats.items()}
    compressed = compressed_bits(b"", raw)
    cell.view("sample", _sample(net, books.tokenizer, cell.seed))
    return curve | {
        "loss": nats["trained"].mean(1).numpy(),
        "bits_per_byte": bits["trained"],
        "bits_below_xz": compressed["xz"] - bits["trained"],
        "unigram_bits_below_xz": compressed["xz"] - bits["unigram"],
        "untrained_bits_below_xz": compressed["xz"] - bits["untrained"],
        "gzip_bits_per_byte": np.array([compressed["gzip"]]),
        "xz_bits_per_byte": np.array([compressed["xz"]]),
    }


def _learn_books(cell: Cell, net: GPT2, books: Books, held_out: Int[Tensor, "window pos"]) -> Columns:
    recipe = cell.settings.writer_recipe

    def evaluate() -> Mapping[str, float]:
        return {"val": float(token_nats(net.eval(), held_out).mean())}

    stream = TokenWindows(books.train, recipe.batch, net.config.n_ctx, cell.seed)
    history = learn(cell, net, stream, recipe, Part(TRAINED, 0.1), evaluate)
    return {"curve_step": np.array(history.steps("val"), float), "curve_val": np.array(history.values("val"))}


def pretrained(cell: Cell, tokenizer: Tokenizer) -> GPT2:
    """Return the writer as it came out of the arm `pretrained`, at the same seed."""
    net = new_network(cell.settings.writer, tokenizer.d_vocab, cell.seed)
    return learned(cell.other("pretrained") / TRAINED, net).to(cell.device)


def some_windows(ids: Int[Tensor, " n"], context: int) -> Int[Tensor, "window pos"]:
    """Return full windows of a text, evenly spread over it, `_HELD_OUT_WINDOWS` at most."""
    found = windows(ids, context)
    chosen = torch.linspace(0, len(found) - 1, min(_HELD_OUT_WINDOWS, len(found))).long()
    return found[chosen]


def _bits_per_byte(
    nats: Float[Tensor, "window pos"], held_out: Int[Tensor, "window pos_plus_1"], tokenizer: Tokenizer
) -> NDArray[np.float64]:
    n_bytes = [sum(len(tokenizer.token_bytes(token)) for token in row[1:].tolist()) for row in held_out]
    return nats.sum(1).numpy() / math.log(2) / np.array(n_bytes)


def _unigram_nats(books: Books, held_out: Int[Tensor, "window pos_plus_1"]) -> Float[Tensor, "window pos"]:
    counts = torch.bincount(books.train.long(), minlength=books.tokenizer.d_vocab).double() + 1
    return -(counts / counts.sum()).log()[held_out[:, 1:]]


def _sample(net: GPT2, tokenizer: Tokenizer, seed: int) -> Table:
    beginning = "Once upon a time"
    return Table(
        title="What the writer writes before it is tuned",
        caption=f"Sampled at temperature 0.8 after the words '{beginning}'; nothing was chosen.",
        columns=("seed", "text"),
        rows=[(str(seed), write_on(net, tokenizer, beginning, min(120, net.config.n_ctx), seed))],
    )
