"""What steering by features does to a text, beside everything it must be held against.

Measured is the log-probability that the next token is one of a few, at every prediction of what the unsteered model would
write. Beside it: as many other features of like density under the same operator, random directions of the same norm that take
the very same changes, the flipped sign, and an instruction where one is given.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.activations.prefix import Prefix
from glassbook.core.errors import InputError
from glassbook.core.seeds import generator
from glassbook.features.cards.directions import speaks, through_final_norm
from glassbook.features.faults import DictionaryError
from glassbook.files.hashes import Progress
from glassbook.models.model import Model
from glassbook.stats import Rank, rank_among
from glassbook.steering.features import FeaturesPerRow, FeatureSteering

_ROWS_AT_ONCE = 4
"""Whole rows of log-probabilities are held for each."""

_LIKE = 4
"""A control is drawn among so many times as many features as are asked for, the nearest in density."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A prompt and what the unsteered model wrote after it, as ids."""

    prompt: tuple[int, ...]
    written: tuple[int, ...]

    @property
    def reads(self) -> list[int]:
        """Return the positions whose predictions are measured: the prompt's last, and all that follow but the text's last."""
        first = len(self.prompt) - 1
        return list(range(first, first + max(len(self.written), 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureEffect:
    """Log-probabilities in nats that the next token is one of `tokens`, in the mean over `n` predictions.

    `similar` has a number for each set of other features in `similar_features`, `directions` one for each random direction;
    `kl` is KL(unsteered || steered) in nats a prediction.
    """

    label: str
    tokens: tuple[int, ...]
    n: int
    unsteered: float
    steered: float
    flipped: float
    similar: tuple[float, ...]
    similar_features: tuple[tuple[int, ...], ...]
    directions: tuple[float, ...]
    prompted: float | None
    instruction: str
    kl: float

    @property
    def shift(self) -> float:
        """Return how far steering moves the log-probability."""
        return self.steered - self.unsteered

    @property
    def flipped_shift(self) -> float:
        """Return how far the flipped sign moves it."""
        return self.flipped - self.unsteered

    @property
    def similar_shifts(self) -> list[float]:
        """Return how far each set of other features moves it."""
        return [value - self.unsteered for value in self.similar]

    @property
    def direction_shifts(self) -> list[float]:
        """Return how far each random direction moves it."""
        return [value - self.unsteered for value in self.directions]

    @property
    def prompting_shift(self) -> float | None:
        """Return how far the instruction moves it, or None where none was tried."""
        return None if self.prompted is None else self.prompted - self.unsteered

    @property
    def similar_rank(self) -> Rank:
        """Return how many sets of other features move it less far the same way."""
        return self._rank(self.similar_shifts)

    @property
    def direction_rank(self) -> Rank:
        """Return how many random directions move it less far the same way."""
        return self._rank(self.direction_shifts)

    @property
    def works(self) -> bool:
        """Return whether steering moves it further than every control, and its flipped sign the other way."""
        ranks = (self.similar_rank, self.direction_rank)
        return all(rank.beaten == rank.n for rank in ranks) and self.shift * self.flipped_shift < 0

    def _rank(self, shifts: Sequence[float]) -> Rank:
        sign = math.copysign(1.0, self.shift)
        return rank_among(abs(self.shift), [sign * shift for shift in shifts])

    def say(self, ratio: float) -> str:
        """Return the sentence a scientist may say of the effect; `ratio` is its perplexity cost on unrelated text."""
        similar, directions = self.similar_rank, self.direction_rank
        parts = [
            f"{self.label} moved the log-probability of the {_counted(len(self.tokens))} by {self.shift:+.2f} nats over "
            f"{self.n} predictions, further than {similar.beaten} of {similar.n} features of like density and "
            f"{directions.beaten} of {directions.n} random directions of the same norm",
            f"the flipped sign moved it by {self.flipped_shift:+.2f}",
            f"perplexity on unrelated text became {ratio:.3f} times what it was",
        ]
        if self.prompting_shift is None:
            parts.append("no instruction was tried")
        else:
            did = "did better" if abs(self.prompting_shift) > abs(self.shift) else "did less"
            parts.append(f"simply prompting with “{self.instruction.strip()}” {did} ({self.prompting_shift:+.2f})")
        verdict = "" if self.works else " This is a defeat: the effect does not stand out from its controls."
        return "; ".join(parts) + "." + verdict

    def to_dict(self) -> dict[str, Any]:
        """Return every number, the derived ones too."""
        shifts = {"shift": self.shift, "flipped_shift": self.flipped_shift, "prompting_shift": self.prompting_shift}
        controls = {"similar_shifts": self.similar_shifts, "direction_shifts": self.direction_shifts}
        ranks = {"similar_rank": asdict(self.similar_rank), "direction_rank": asdict(self.direction_rank)}
        return asdict(self) | shifts | controls | ranks | {"works": self.works}


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """What an effect is held against: how many of each, how dense features are, the seed, and the instruction if any."""

    densities: Float[Tensor, " n_features"]
    n: int = 20
    seed: int = 0
    instruction: str = ""

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(f"{self.n} controls tell nothing; hold an effect against at least one of each kind")


def measure_feature_effect(
    model: Model,
    steering: FeatureSteering,
    passage: Passage,
    tokens: Sequence[int],
    controls: Controls,
    *,
    label: str = "the steering",
    progress: Progress | None = None,
) -> FeatureEffect:
    """Return what steering does to the probability of some tokens, beside its controls.

    Raises InputError where there are no tokens, DictionaryError where too few features are as dense for controls.
    """
    if not tokens:
        raise InputError("there are no tokens whose probability could be measured; give at least one")
    features = [edit.feature for edit in steering.edits]
    others = similar_features(controls.densities, features, controls.n, controls.seed)
    similar = [_with_features(steering, one) for one in others]
    randoms = [random_rows(steering, controls.seed, number) for number in range(controls.n)]
    steers = [steering, steering.along(-steering.written), *similar, *randoms]
    scored = list(_scores(model, steers, passage, tokens, progress))
    prompted = None
    if controls.instruction:
        told = _told(model, controls.instruction, passage)
        prompted = next(_scores(model, [], told, tokens, None))[0]
    return FeatureEffect(
        label=label,
        tokens=tuple(tokens),
        n=len(passage.reads),
        unsteered=scored[0][0],
        steered=scored[1][0],
        flipped=scored[2][0],
        similar=tuple(score for score, _ in scored[3 : 3 + controls.n]),
        similar_features=tuple(tuple(one) for one in others),
        directions=tuple(score for score, _ in scored[3 + controls.n :]),
        prompted=prompted,
        instruction=controls.instruction,
        kl=scored[1][1],
    )


def written_tokens(model: Model, steering: FeatureSteering, n: int = 10) -> list[int]:
    """Return the tokens whose logits the steering's own features raise most, by their summed directions through the final norm.

    Raises DictionaryError where they write elsewhere than in the residual stream.
    """
    site = steering.sites[1]
    if not speaks(model, site):
        raise DictionaryError(f"a feature at {site} speaks for no tokens by itself; name those to be measured")
    direction = steering.written.float().sum(0, keepdim=True)
    logits = through_final_norm(model, direction, site) @ model.transformer.unembed_weight.float().T
    return [int(token) for token in logits[0].topk(min(n, logits.shape[1])).indices]


def similar_features(
    densities: Float[Tensor, " n_features"], features: Sequence[int], n: int, seed: int = 0
) -> list[list[int]]:
    """Return `n` sets of other features, of which the i-th is about as dense as the i-th given, each feature drawn once.

    Raises DictionaryError where fewer features are ever active.
    """
    taken, columns = set(features), []
    for place, feature in enumerate(features):
        free = [i for i in densities.nonzero().squeeze(-1).tolist() if i not in taken]
        if len(free) < n:
            raise DictionaryError(
                f"only {len(free)} other features were ever active, too few for {n} controls; ask for fewer, "
                "or count densities on more text"
            )
        logs = densities.double().clamp(min=float(densities[densities > 0].min())).log()
        gaps = (logs - logs[feature]).abs().tolist()
        near = sorted(free, key=gaps.__getitem__)[: _LIKE * n]
        order = torch.randperm(len(near), generator=generator(seed, "similar features", place))[:n]
        columns.append([near[i] for i in order.tolist()])
        taken |= set(columns[-1])
    return [list(row) for row in zip(*columns, strict=True)]


def random_rows(steering: FeatureSteering, seed: int, number: int) -> FeatureSteering:
    """Return the same changes of the same features along random directions of the same norms."""
    written = steering.written.float()
    drawn = torch.randn(written.shape, generator=generator(seed, "random direction", number)).to(written.device)
    return steering.along(drawn / drawn.norm(dim=-1, keepdim=True) * written.norm(dim=-1, keepdim=True))


def _told(model: Model, instruction: str, passage: Passage) -> Passage:
    """Return the passage with an instruction before its prompt, behind the start token if it begins with one."""
    start = model.tokenizer.document_start_id if model.tokenizer else None
    head = [start] if start is not None and passage.prompt[0] == start else []
    words = model.read(instruction, False).row(0)
    return Passage((*head, *words, *passage.prompt[len(head) :]), passage.written)


def _with_features(steering: FeatureSteering, features: Sequence[int]) -> FeatureSteering:
    pairs = zip(steering.edits, features, strict=True)
    return replace(steering, edits=tuple(replace(edit, feature=feature) for edit, feature in pairs), rows=None)


@torch.inference_mode()
def _scores(
    model: Model,
    steers: Sequence[FeatureSteering],
    passage: Passage,
    tokens: Sequence[int],
    progress: Progress | None,
) -> Iterator[tuple[float, float]]:
    """Yield log p(one of the tokens) and KL(unsteered || steered), without steering and then under each."""
    batch = model.read([[*passage.prompt, *passage.written]])
    edits = [one.edits_for(model) for one in steers]
    prefix = Prefix.below(model, batch, edits, [len(passage.prompt)])
    wanted = torch.tensor(list(tokens), device=model.device)
    plain = _log_probs(prefix, [], passage, 1)[0]
    yield _of(plain, wanted), 0.0
    for first in range(0, len(steers), _ROWS_AT_ONCE):
        part = steers[first : first + _ROWS_AT_ONCE]
        for row in _log_probs(prefix, part, passage, len(part)):
            yield _of(row, wanted), float((plain.exp() * (plain - row)).sum(-1).mean())
        if progress is not None:
            progress("beside its controls", first + len(part), len(steers))


def _log_probs(
    prefix: Prefix, steers: Sequence[FeatureSteering], passage: Passage, rows: int
) -> Float[Tensor, "rows read d_vocab"]:
    edits = FeaturesPerRow([*steers, *[None] * (rows - len(steers))]).edits_for(prefix.model)
    # Beyond the blocks an edit sees only what is read, and would take its tokens for others.
    reads = None if any(edit.site.layer is None for edit in edits) else [passage.reads] * rows
    logits = prefix.repeated(rows).logits(edits, reads)
    return (logits if reads else logits[:, passage.reads]).float().log_softmax(-1)


def _of(log_probs: Float[Tensor, "read d_vocab"], tokens: Int[Tensor, " n"]) -> float:
    return float(log_probs[:, tokens].logsumexp(-1).mean())


def _counted(n: int) -> str:
    return "token it was asked about" if n == 1 else f"{n} tokens it was asked about"
