"""What steering costs: perplexity and divergence on text it is not about, and how a continuation repeats itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from glassbook.activations.prefix import Prefix
from glassbook.core.errors import InputError
from glassbook.models.model import Model, needs_bos
from glassbook.models.scoring import token_log_probs
from glassbook.steering.vector_set import Vectors, each_vector


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCost:
    """The price of steering on a text: perplexity over the unsteered one, and KL(unsteered || steered) in nats per token."""

    perplexity_ratio: float
    kl: float


def text_costs(model: Model, windows: Sequence[Sequence[int]], steers: Sequence[Vectors]) -> list[TextCost]:
    """Return what each steering costs on windows of a text it is not about, by teacher forcing.

    As in the ActAdd protocol (2308.10248), predictions made at tokens that a front vector touches are left out of both
    sides. A vector for generated tokens meets the text as if it were being written, from its first token on. What lies
    below the lowest steered layer is computed once. Raises InputError for windows that leave nothing to score.
    """
    start = model.tokenizer.document_start_id if model.tokenizer and any(needs_bos(steer) for steer in steers) else None
    batch = model.read([list(window) if start is None else [start, *window] for window in windows])
    vectors = [vector for steer in steers for vector in each_vector(steer)]
    first = max((len(vector.table) for vector in vectors if vector.positions == "front"), default=0)
    if max(batch.lengths) - 1 - first < 1:
        raise InputError(
            f"windows of {max(batch.lengths)} tokens leave nothing to score after {first} steered ones; use longer windows"
        )
    edits = [model.edits_of(steer) for steer in steers]
    prefix = Prefix.below(model, batch, edits)
    as_written = model.span(batch, [1] * len(batch.lengths))
    plain = _log_probs(prefix.logits([]), first)
    scored = prefix.span.is_real[:, first + 1 :]
    targets = batch.ids[:, first + 1 :, None]
    costs = []
    for steer, edit in zip(steers, edits, strict=True):
        generates = any(vector.positions == "generated" for vector in each_vector(steer))
        steered = _log_probs(prefix.logits(edit, span=as_written if generates else None), first)
        costs.append(_cost(plain, steered, targets, scored))
    return costs


def _log_probs(logits: Float[Tensor, "batch pos d_vocab"], first: int) -> Float[Tensor, "batch scored d_vocab"]:
    return logits[:, first:-1].float().log_softmax(-1)


def _cost(plain: Tensor, steered: Tensor, targets: Tensor, scored: Tensor) -> TextCost:
    gained = (plain.gather(-1, targets) - steered.gather(-1, targets))[..., 0][scored]
    # In place where it can be: a vocabulary's worth of numbers stands at every token.
    divergence = (plain.exp().mul_(plain - steered)).sum(-1)[scored]
    return TextCost(
        perplexity_ratio=float(gained.double().mean().exp()), kl=max(0.0, float(divergence.double().mean()))
    )


def perplexity_ratio(model: Model, windows: Sequence[Sequence[int]], vectors: Vectors) -> float:
    """Return perplexity under steering over perplexity without it, on text that the vectors are not about."""
    return text_costs(model, windows, [vectors])[0].perplexity_ratio


def completion_perplexity(model: Model, prompt: Sequence[int], tokens: Sequence[int]) -> float:
    """Return the perplexity of a continuation under the unsteered model, given its prompt; NaN for an empty one."""
    if not tokens:
        return float("nan")
    batch = model.read([[*prompt, *tokens]])
    scores = token_log_probs(model, batch)[0, len(prompt) - 1 :]
    return float((-scores.double().mean()).exp())


def distinct_n(rows: Sequence[Sequence[int]], n: int) -> float:
    """Return how many different runs of `n` tokens there are, as a share of all of them; NaN where no row is long enough.

    Distinct-n of Li et al. 2016 (1510.03055), section 5.2, with all runs of n tokens as the denominator.
    """
    runs = [tuple(row[i : i + n]) for row in rows for i in range(len(row) - n + 1)]
    return len(set(runs)) / len(runs) if runs else float("nan")


def repetition(row: Sequence[int], n: int = 4) -> float:
    """Return the share of runs of `n` tokens that stood in the same continuation before; NaN for one too short.

    Seq-rep-n of Welleck et al. 2019 (1908.04319), section 6.1.
    """
    return 1.0 - distinct_n([row], n)
