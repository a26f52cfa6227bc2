"""What steering costs: perplexity and divergence on text it is not about, and how a continuation repeats itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from glassbook.activations.prefix import Prefix, lowest_layer
from glassbook.core.errors import InputError
from glassbook.models.model import Model, needs_bos
from glassbook.models.scoring import token_log_probs
from glassbook.steering.vector_set import Vectors, each_vector

_ROWS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCost:
    """The price of steering on a text: perplexity over the unsteered one, and KL(unsteered || steered) in nats per token."""

    perplexity_ratio: float
    kl: float


class TextGauge:
    """Windows of a text that steering is not about, read once without steering; `cost` prices one steering on them.

    As in the ActAdd protocol (2308.10248), predictions made at tokens that a front vector touches are left out of both
    sides. A vector for generated tokens meets the text as if it were being written, from its first token on. What lies
    below a steered layer is computed once. `steers` are all that will be priced, so that they are compared on the same
    predictions. Raises InputError for windows that leave nothing to score.
    """

    def __init__(self, model: Model, windows: Sequence[Sequence[int]], steers: Sequence[Vectors]) -> None:
        needs = any(needs_bos(steer) for steer in steers)
        start = model.tokenizer.document_start_id if model.tokenizer and needs else None
        self.model = model
        self.batch = model.read([list(window) if start is None else [start, *window] for window in windows])
        vectors = [vector for steer in steers for vector in each_vector(steer)]
        self.first = max((len(vector.table) for vector in vectors if vector.positions == "front"), default=0)
        if max(self.batch.lengths) - 1 - self.first < 1:
            raise InputError(
                f"windows of {max(self.batch.lengths)} tokens leave nothing to score after {self.first} steered ones; "
                f"use longer windows"
            )
        self._prefixes: dict[int | None, Prefix] = {}
        self._plain: Tensor | None = None

    def cost(self, steer: Vectors) -> TextCost:
        """Return what a steering costs, by teacher forcing."""
        edits = self.model.edits_of(steer)
        prefix = self._prefix_at(lowest_layer(self.model, [edit.site for edit in edits]))
        if self._plain is None:
            self._plain = _log_probs(prefix.logits([]), self.first)
        generates = any(vector.positions == "generated" for vector in each_vector(steer))
        as_written = self.model.span(self.batch, [1] * len(self.batch.lengths)) if generates else None
        steered = _log_probs(prefix.logits(edits, span=as_written), self.first)
        scored = prefix.span.is_real[:, self.first + 1 :]
        return _cost(self._plain, steered, self.batch.ids[:, self.first + 1 :, None], scored)

    def _prefix_at(self, layer: int | None) -> Prefix:
        """Return the prefix that ends at a layer, from the nearest below it that is known."""
        if layer not in self._prefixes:
            below = [known for known in self._prefixes if known is not None and layer is not None and known < layer]
            nearest = self._prefixes[max(below)] if below else None
            self._prefixes[layer] = (
                nearest.advanced_to(layer) if nearest and layer is not None else Prefix(self.model, self.batch, layer)
            )
        return self._prefixes[layer]


def text_costs(model: Model, windows: Sequence[Sequence[int]], steers: Sequence[Vectors]) -> list[TextCost]:
    """Return what each steering costs on windows of a text it is not about, as `TextGauge` measures it."""
    gauge = TextGauge(model, windows, steers)
    return [gauge.cost(steer) for steer in steers]


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
    return completion_perplexities(model, [(prompt, tokens)])[0]


def completion_perplexities(model: Model, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
    """Return the perplexity of every continuation, given as (prompt, tokens), a few in a pass."""
    found = []
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[first : first + _ROWS_AT_ONCE]
        scores = token_log_probs(model, model.read([[*prompt, *tokens] for prompt, tokens in part])).double()
        for row, (prompt, tokens) in zip(scores, part, strict=True):
            start = len(prompt) - 1
            found.append(float((-row[start : start + len(tokens)].mean()).exp()) if tokens else float("nan"))
    return found


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
