"""What steering does, as a number per item: the log-odds of a choice."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.activations.prefix import Prefix
from glassbook.core.errors import InputError
from glassbook.core.taps import Edit, Span
from glassbook.models.model import Model, needs_bos
from glassbook.models.prompts import Prompts
from glassbook.steering.vector_set import Vectors
from glassbook.tasks.contrast import ChoiceItem

Progress = Callable[[str, int, int], None]
_ITEMS_AT_ONCE = 64


def choice_log_odds(
    model: Model,
    items: Sequence[ChoiceItem],
    steers: Sequence[Vectors | None] = (None,),
    instruction: str = "",
    prepend_bos: bool | None = None,
    progress: Progress | None = None,
) -> Float[Tensor, "steers items"]:
    """Return, in nats, log p(positive option) - log p(negative option) after each item's prompt, under each steering.

    Options may have several tokens: their log-probabilities are summed, and they count as generated tokens. `instruction`
    stands before every prompt. Every row begins with the document-start token if any of `steers` needs it, so that they
    compare like with like. What lies below the lowest steered layer is computed once.
    """
    if not items:
        raise InputError("there are no items to choose on; give at least one prompt with its two options")
    bos = prepend_bos if prepend_bos is not None else (True if any(needs_bos(steer) for steer in steers) else None)
    edits = [model.edits_of(steer) for steer in steers]
    found = [
        _chunk_log_odds(model, items[first : first + _ITEMS_AT_ONCE], edits, instruction, bos, progress)
        for first in range(0, len(items), _ITEMS_AT_ONCE)
    ]
    return torch.cat(found, dim=1)


def _chunk_log_odds(
    model: Model,
    items: Sequence[ChoiceItem],
    edits: list[list[Edit]],
    instruction: str,
    bos: bool | None,
    progress: Progress | None,
) -> Float[Tensor, "steers items"]:
    prompts = [model.read(instruction + item.prompt, bos).row(0) for item in items]
    options = [[_ids(model, item.positive), _ids(model, item.negative)] for item in items]
    if all(len(option) == 1 for pair in options for option in pair):
        _check_reaches_prompts(edits, model.span(model.read(Prompts.of(prompts))))
        return _one_token(model, prompts, options, edits, progress)
    rows = [prompt + option for prompt, pair in zip(prompts, options, strict=True) for option in pair]
    batch = model.read(Prompts.of(rows))
    starts = [len(prompt) for prompt in prompts for _ in range(2)]
    prefix = Prefix.below(model, batch, edits, starts)
    odds = []
    for number, edit in enumerate(edits):
        scores = _continuations(prefix.logits(edit), batch, starts)
        odds.append(scores[0::2] - scores[1::2])
        _tell(progress, number + 1, len(edits))
    return torch.stack(odds)


def _check_reaches_prompts(edits: list[list[Edit]], span: Span) -> None:
    """Raise InputError for a steering that touches no token that a one-token choice depends on."""
    for one in edits:
        if one and not any(bool(edit.touches(span).any()) for edit in one):
            raise InputError(
                f"the vector at {one[0].site} touches no token of the prompts, and a choice between single tokens is made "
                f"before anything is generated; give options of several tokens, or let it act on the prompt"
            )


def _one_token(
    model: Model,
    prompts: list[list[int]],
    options: list[list[list[int]]],
    edits: list[list[Edit]],
    progress: Progress | None,
) -> Float[Tensor, "steers items"]:
    """Return the log-odds of one-token options, which share their prompt: one row says both."""
    batch = model.read(Prompts.of(prompts))
    positive, negative = (torch.tensor([pair[side][0] for pair in options], device=model.device) for side in (0, 1))
    prefix = Prefix.below(model, batch, edits)
    rows = torch.arange(len(prompts), device=model.device)
    odds = []
    for number, edit in enumerate(edits):
        last = prefix.logits(edit, read_at=[length - 1 for length in batch.lengths])[:, 0].float()
        odds.append(last[rows, positive] - last[rows, negative])
        _tell(progress, number + 1, len(edits))
    return torch.stack(odds)


def _continuations(logits: Tensor, batch: Prompts, starts: list[int]) -> Float[Tensor, " rows"]:
    """Return the summed log-probability of what follows each row's prompt."""
    sums = []
    for row, (start, end) in enumerate(zip(starts, batch.lengths, strict=True)):
        scores = logits[row, start - 1 : end - 1].float().log_softmax(-1)
        sums.append(scores.gather(-1, batch.ids[row, start:end, None]).sum())
    return torch.stack(sums)


def _ids(model: Model, option: str) -> list[int]:
    return model.read(option, prepend_bos=False).row(0)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress:
        progress("directions", done, total)
