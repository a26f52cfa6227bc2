"""Instruction tuning with a loss on responses alone: of the pre-trained writer, of random weights, of scrambled ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from glassbook.core.seeds import generator
from glassbook.models.generation import Completion, Request, complete
from glassbook.models.gpt2 import GPT2
from glassbook.models.prompts import Prompts
from glassbook.models.sampling import Sampling
from glassbook.studies.contract import Cell
from glassbook.studies.gpt2_from_scratch.conversations import Conversation, conversations, split
from glassbook.studies.gpt2_from_scratch.networks import Part, learn, new_network, token_nats
from glassbook.studies.gpt2_from_scratch.settings import Settings
from glassbook.studies.gpt2_from_scratch.texts import end_id, kept, read_instructions
from glassbook.studies.gpt2_from_scratch.writer import pretrained, some_windows
from glassbook.text.tokenizer import Tokenizer
from glassbook.training.language import NextTokenLoss
from glassbook.training.streams import Examples, pad_examples
from glassbook.views.table import Table

Columns = dict[str, NDArray[np.float64]]
TUNED = "tuning"
_OTHER_SEEDS = 2_000
_AT_ONCE = 16
_SHOWN = 5


@dataclass(frozen=True)
class Task:
    """Conversations to learn from, to hold out and to watch the training on, with the tokenizer that made them tokens."""

    tokenizer: Tokenizer
    train: list[Conversation]
    held_out: list[Conversation]
    choosing: list[Conversation]


def read_task(cell: Cell) -> Task:
    """Return the instruction rows, cut as published, as tokens of the writer's own vocabulary."""
    settings: Settings = cell.settings
    tokenizer, _ = kept(cell.other("pretrained"))
    rows = read_instructions(cell)[: settings.rows]
    parts = (conversations(part, tokenizer.encode, end_id(tokenizer), settings.writer.n_ctx) for part in split(rows))
    return Task(tokenizer, *parts)


def measure_tuned(cell: Cell) -> Columns:
    """Return what tuning does to the pre-trained writer: on held-out responses, on books, with prompts exchanged, at the end."""
    task = read_task(cell)
    net = pretrained(cell, task.tokenizer)
    books = some_windows(kept(cell.other("pretrained"))[1], net.config.n_ctx)
    before, books_before = _by_prompt(net, task), token_nats(net, books).mean(1).numpy()
    untuned = answers(cell, net, task)
    columns = _masked_loss(net, task)
    columns |= _tune(cell, net, task)
    after, books_after = _by_prompt(net, task), token_nats(net, books).mean(1).numpy()
    tuned = answers(cell, net, task)
    cell.view("answers", _answers_table(task, untuned, tuned))
    return columns | {
        "before": before["own"],
        "after": after["own"],
        "fall": (before["own"] - after["own"]) / before["own"].mean(),
        "fall_on_books": (books_before - books_after) / books_before.mean(),
        "gain_from_prompt": after["other"] - after["own"],
        "untuned_gain_from_prompt": before["other"] - before["own"],
        "gain_between_wrong_prompts": after["another"] - after["other"],
        "stopped": _stopped(tuned),
        "untuned_stopped": _stopped(untuned),
    }


def measure_from_random(cell: Cell) -> Columns:
    """Return what the same tuning reaches from random weights, held against the pre-trained writer before its tuning."""
    task = read_task(cell)
    start = response_nats(pretrained(cell, task.tokenizer), task.held_out)
    net = new_network(cell.settings.writer, task.tokenizer.d_vocab, _OTHER_SEEDS + cell.seed).to(cell.device)
    untuned = response_nats(net.eval(), task.held_out)
    columns = _tune(cell, net, task)
    after = response_nats(net, task.held_out)
    return columns | {
        "after": after,
        "fall": (start - after) / start.mean(),
        "untuned": untuned,
        "stopped": _stopped(answers(cell, net, task)),
    }


def measure_from_scrambled(cell: Cell) -> Columns:
    """Return what the same tuning reaches from the pre-trained numbers in random order: their sizes without their sense."""
    task = read_task(cell)
    net = scrambled(pretrained(cell, task.tokenizer), cell.seed)
    untuned = response_nats(net, task.held_out)
    columns = _tune(cell, net, task)
    return columns | {"untuned": untuned, "after": response_nats(net, task.held_out)}


def scrambled(net: GPT2, seed: int) -> GPT2:
    """Return `net` with the numbers of each tensor in random order."""
    with torch.no_grad():
        for name, weight in net.named_parameters():
            order = torch.randperm(weight.numel(), generator=generator(seed, "scrambled", name)).to(weight.device)
            weight.copy_(weight.flatten()[order].view_as(weight))
    return net


def _tune(cell: Cell, net: GPT2, task: Task) -> Columns:
    recipe = cell.settings.tuning_recipe

    def evaluate() -> Mapping[str, float]:
        return {"val": float(response_nats(net.eval(), task.choosing).mean())}

    stream = Examples([one.example for one in task.train], recipe.batch, cell.seed)
    history = learn(cell, net, stream, recipe, Part(TUNED), evaluate)
    net.eval()
    return {"curve_step": np.array(history.steps("val"), float), "curve_val": np.array(history.values("val"))}


def response_nats(net: GPT2, items: Sequence[Conversation]) -> NDArray[np.float64]:
    """Return the mean loss over the tokens of each response, its end included, in nats."""
    found = []
    for first in range(0, len(items), _AT_ONCE):
        tokens, is_response = pad_examples([one.example for one in items[first : first + _AT_ONCE]])
        assert is_response is not None
        nats, counted = token_nats(net, tokens), is_response[:, 1:]
        found.append((nats * counted).sum(1) / counted.sum(1))
    return torch.cat(found).numpy()


def _by_prompt(net: GPT2, task: Task) -> Columns:
    """Return the loss of each held-out response behind its own prompt and behind those of two other rows."""
    items, n_ctx = task.held_out, net.config.n_ctx
    shifts = {"own": 0, "other": len(items) // 3 or 1, "another": len(items) // 2 + 1}
    behind = {
        name: [one.behind(items[(row + shift) % len(items)].prompt, n_ctx) for row, one in enumerate(items)]
        for name, shift in shifts.items()
    }
    return {name: response_nats(net, moved) for name, moved in behind.items()}


def _masked_loss(net: GPT2, task: Task) -> Columns:
    """Return how far the loss that is trained on is from the mean over response tokens, with its mask and without."""
    loss, rows = NextTokenLoss(net, torch.float32), task.held_out
    wanted = response_nats(net, rows)
    errors: dict[str, list[float]] = {"mask_error": [], "maskless_error": []}
    with torch.no_grad():
        for one, by_hand in zip(rows, wanted, strict=True):
            tokens, counts = pad_examples([one.example])
            assert counts is not None
            tokens, counts = tokens.to(net.device), counts.to(net.device)
            for name, mask in (("mask_error", counts), ("maskless_error", None)):
                n_counted = int(tokens[:, 1:].numel() if mask is None else mask.sum())
                scale = torch.tensor(1 / n_counted, device=net.device)
                errors[name].append(abs(float(loss(tokens, mask, scale)) - by_hand))
    return {name: np.array(values) for name, values in errors.items()}


def answers(cell: Cell, net: GPT2, task: Task) -> list[Completion]:
    """Return the most probable answer to each held-out prompt."""
    how = Sampling(max_new_tokens=cell.settings.max_new_tokens, temperature=0.0)
    batch = Prompts.of([one.prompt for one in task.held_out])
    request = Request(batch=Prompts(batch.ids.to(net.device), batch.lengths), how=how)
    return complete(net, task.tokenizer, request)


def _stopped(completions: Sequence[Completion]) -> NDArray[np.float64]:
    return np.array([float(one.stopped_by == "eos") for one in completions])


def _answers_table(task: Task, untuned: Sequence[Completion], tuned: Sequence[Completion]) -> Table:
    rows = [
        (task.tokenizer.decode(one.prompt), after.text, before.text, task.tokenizer.decode(one.response[:-1]))
        for one, before, after in zip(task.held_out, untuned, tuned, strict=True)
    ]
    return Table(
        title="What the writer answers",
        caption="The first held-out instructions; the most probable answer, before and after tuning, beside the one asked for.",
        columns=("prompt", "after tuning", "before", "in the data"),
        rows=rows[:_SHOWN],
    )
