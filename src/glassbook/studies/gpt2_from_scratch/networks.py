"""Networks of a given shape: made, trained by the one loop, found again by later arms, asked what they lose on a text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from glassbook.core.errors import RunError
from glassbook.models.gpt2 import GPT2, GPT2Config
from glassbook.studies.contract import Cell
from glassbook.studies.gpt2_from_scratch.settings import Recipe, Shape
from glassbook.training.checkpoint import read_checkpoint
from glassbook.training.language import LanguageLearner, LanguageSettings
from glassbook.training.learner import Stream
from glassbook.training.loop import History, Progress, Settings, train

_WEIGHTS = "learner/net/"
_TOKENS_AT_ONCE = 1 << 13


@dataclass(frozen=True)
class Part:
    """Which part of a cell's work a training is, from 0 to 1, and the name of its folder."""

    name: str
    begin: float = 0.0
    end: float = 1.0


def new_network(shape: Shape, d_vocab: int, seed: int) -> GPT2:
    """Return a GPT-2 of this shape with weights as its authors drew them."""
    net = GPT2(
        GPT2Config(
            n_layers=shape.n_layers, d_model=shape.d_model, n_heads=shape.n_heads, d_head=shape.d_model // shape.n_heads,
            d_mlp=4 * shape.d_model, d_vocab=d_vocab, n_ctx=shape.n_ctx, norm_eps=1e-5, tied_embeddings=True,
        )
    )  # fmt: skip
    net.init_weights(seed)
    return net


def learn(
    cell: Cell,
    net: GPT2,
    stream: Stream,
    recipe: Recipe,
    part: Part,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
) -> History:
    """Train `net` in place as `recipe` says, going on from the cell's own checkpoint; return what was measured on the way."""
    settings = LanguageSettings(
        lr=recipe.lr, min_lr=recipe.min_lr, warmup=recipe.warmup, steps=recipe.steps, weight_decay=recipe.weight_decay,
        betas=(0.9, recipe.beta2), clip=recipe.clip, dtype=recipe.dtype,
    )  # fmt: skip

    def tell(at: Progress) -> None:
        share = part.begin + (part.end - part.begin) * at.step / at.steps
        cell.progress(share, 1.0, f"{part.name}: {at.says}")

    history = train(
        LanguageLearner(net.to(cell.device), settings),
        stream,
        Settings(
            recipe.steps,
            checkpoint_every=recipe.checkpoint_every,
            log_every=recipe.evaluate_every,
            evaluate_every=recipe.evaluate_every if evaluate else 0,
        ),
        folder=cell.folder / part.name,
        evaluate=evaluate,
        progress=tell,
    )
    tokens, n_parameters = int(history.last("tokens")), sum(weight.numel() for weight in net.parameters())
    cell.cost(flop=history.last("flop"), tokens=tokens, parameters=n_parameters)
    return history


def learned(folder: Path, net: GPT2) -> GPT2:
    """Return `net` with the weights at the end of a training; raise RunError where its folder holds none."""
    tensors = read_checkpoint(folder)
    if tensors is None:
        raise RunError(f"'{folder}' holds no training; run the study again")
    net.load_state_dict(
        {name.removeprefix(_WEIGHTS): value for name, value in tensors.items() if name.startswith(_WEIGHTS)}
    )
    return net.eval()


@torch.inference_mode()
def token_nats(net: GPT2, tokens: Int[Tensor, "row pos"]) -> Float[Tensor, "row pos_minus_1"]:
    """Return the loss of each token but the first of its row, in nats, float64 on the CPU."""
    at_once = max(1, _TOKENS_AT_ONCE // tokens.shape[1])
    return torch.cat([_nats(net, part.to(net.device)) for part in tokens.split(at_once)])


def _nats(net: GPT2, tokens: Tensor) -> Tensor:
    logits = net(tokens[:, :-1]).float()
    return (
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        .view(len(tokens), -1)
        .double()
        .cpu()
    )


def window_nats(net: GPT2, ids: Int[Tensor, " n"], context: int) -> Float[Tensor, " window"]:
    """Return the mean loss of each full window of a text, side by side, in nats a token."""
    return token_nats(net, windows(ids, context)).mean(1)


def windows(ids: Int[Tensor, " n"], context: int) -> Int[Tensor, "window pos"]:
    """Return the full windows of a text, each with the token that follows it."""
    return ids.long().unfold(0, context + 1, context)
