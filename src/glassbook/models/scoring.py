"""How probable a given text is: log-probabilities by teacher forcing, and perplexity."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.taps import Taps
from glassbook.models.model import Model, Steer, needs_bos
from glassbook.models.prompts import Prompts


def token_log_probs(
    model: Model, batch: Prompts, steer: Steer = None, prompt_lengths: Sequence[int] | None = None
) -> Float[Tensor, "batch pos_minus_1"]:
    """Return, in nats, log p(token | everything before it) for every token but the first; 0 where there is padding.

    `prompt_lengths` says which tokens steering should treat as generated.
    """
    with torch.inference_mode():
        logits = model.run(batch, Taps(edits=model.edits_of(steer)), prompt_lengths)[:, :-1]
        targets = batch.ids[:, 1:, None]
        # log_softmax of the whole vocabulary would double the memory; one gather and one logsumexp say the same.
        scores = logits.gather(-1, targets).squeeze(-1).float() - _logsumexp(logits)
        real = model.span(batch).is_real[:, 1:]
        return scores.masked_fill(~real, 0.0)


def perplexity(
    model: Model, tokens: Sequence[int], window: int, n_tokens: int | None = None, steer: Steer = None
) -> float:
    """Return exp of the mean loss per predicted token, over windows that do not overlap and see nothing before them.

    A window of `w` tokens makes `w - 1` predictions; no BOS is added unless `steer` needs it. `n_tokens` bounds how many
    tokens are read. Raises InputError when there is not one whole window.
    """
    ids = list(tokens if n_tokens is None else tokens[:n_tokens])
    rows = [ids[i : i + window] for i in range(0, len(ids) - window + 1, window)]
    if not rows or window < 2:
        raise InputError(
            f"{len(ids)} tokens do not fill one window of {window}; give more text or a smaller window (2 or more)"
        )
    start = model.tokenizer.document_start_id if model.tokenizer and needs_bos(steer) else None
    total, count = 0.0, 0
    for row in rows:
        batch = model.read([row if start is None else [start, *row]])
        scores = token_log_probs(model, batch, steer)
        total -= scores[:, -(window - 1) :].double().sum().item()
        count += window - 1
    return float(torch.tensor(total / count).exp())


def _logsumexp(logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, "batch pos"]:
    return torch.stack([row.float().logsumexp(-1) for row in logits])
