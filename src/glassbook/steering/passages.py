"""Texts scored by teacher forcing under many steerings, each from a prefix that climbs from layer to layer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.activations.prefix import Branches, Head, Prefix, finish_together, lowest_layer
from glassbook.core.taps import Edit
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts
from glassbook.steering.vector_set import PerRow, Vectors, each_vector

# A pass of this many tokens keeps the products large; of this many logits' rows, the memory small.
BATCH_TOKENS, PASS_TOKENS, PASS_READS = 256, 1024, 512
# A shorter beginning that passages have in common saves less than a second pass over the blocks costs.
WORTH_SHARING = 4
# Passes that climb side by side share the reading of every block's weights.
SIDE_BY_SIDE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A row of ids, and which predictions in it count towards the score of an item.

    Tokens from `prompt_length` on count as generated. `scored` holds (position, next token, weight): the log-probability of
    the token after that position, times the weight, is summed.
    """

    item: int
    ids: Sequence[int]
    prompt_length: int
    scored: Sequence[tuple[int, int, float]]


class Passages:
    """Passages in batches of like length; `scores` sums what each item's passages say under each of several steerings."""

    def __init__(self, model: Model, passages: Sequence[Passage], n_items: int, reuse: bool = True) -> None:
        self.model, self.n_items, self.reuse = model, n_items, reuse
        self._batches = [_Batch(model, group) for group in _grouped(passages)]
        self.shared = _shared(passages) if reuse else 0

    def scores(self, steers: Sequence[Vectors | None]) -> Float[Tensor, "steers items"]:
        """Return each item's score under each steering; what lies below the lowest of them is computed once.

        Calls that go upward from layer to layer pay for the blocks between only once; `reuse` False begins every pass at
        the tokens, as a control.
        """
        sites = [vector.site for steer in steers if steer is not None for vector in each_vector(steer)]
        layer = lowest_layer(self.model, sites) if self.reuse else None
        total = torch.zeros(len(steers), self.n_items, dtype=torch.float64)
        head = self._batches[0].head(layer, steers, self.shared) if layer is not None and self.shared else None
        for group in self._passes(layer, steers, head):
            for one, logits in zip(group, finish_together([one.branches for one in group], head), strict=True):
                found = one.batch.score(logits, one.count).double().cpu()
                total[one.first : one.first + one.count].index_add_(1, one.batch.items, found)
        return total

    def _passes(
        self, layer: int | None, steers: Sequence[Vectors | None], head: Head | None
    ) -> Iterator[list["_Pass"]]:
        """Yield the passes in groups that climb side by side, as many as keep what they hold together small."""
        group: list[_Pass] = []
        reads = 0
        for batch in self._batches:
            for first, part in batch.parts(steers):
                if group and (len(group) == SIDE_BY_SIDE or reads + len(part) * batch.n_reads > PASS_READS):
                    yield group
                    group, reads = [], 0
                group.append(batch.begin(layer, part, first, head))
                reads += len(part) * batch.n_reads
        if group:
            yield group


class _Batch:
    """Passages of like length with the prefix that they have reached."""

    def __init__(self, model: Model, passages: Sequence[Passage]) -> None:
        self.model = model
        self.batch = model.read(Prompts.of([passage.ids for passage in passages]))
        self.prompt_lengths = [passage.prompt_length for passage in passages]
        self.items = torch.tensor([passage.item for passage in passages])
        places, tokens, weights = _scored_table(passages)
        self.places = places.tolist()
        self.tokens, self.weights = tokens.to(model.device), weights.to(model.device)
        self._prefix: Prefix | None = None

    def parts(self, steers: Sequence[Vectors | None]) -> Iterator[tuple[int, Sequence[Vectors | None]]]:
        """Yield the steerings in groups of a size that makes a good pass, each with the number of its first."""
        size = max(1, min(PASS_TOKENS // self.batch.ids.numel(), PASS_READS // self.n_reads))
        for first in range(0, len(steers), size):
            yield first, steers[first : first + size]

    @property
    def n_reads(self) -> int:
        """Return at how many places one steering of the batch is read."""
        return len(self.places) * len(self.places[0])

    def head(self, layer: int, steers: Sequence[Vectors | None], shared: int) -> Head | None:
        """Return what every row looks back at in its first `shared` tokens under each steering, or None if nothing is ahead."""
        prefix = self._at(layer)
        return None if prefix.resid is None else prefix.head(len(steers), self._edits(steers), shared)

    def begin(self, layer: int | None, steers: Sequence[Vectors | None], first: int, head: Head | None) -> "_Pass":
        """Return the pass of every row under every one of these steerings, the first of which is number `first` of the head."""
        n = len(steers)
        return _Pass(self, first, n, self._at(layer).branches(n, self._edits(steers), self.places, head, first))

    def score(self, logits: Float[Tensor, "steers_times_rows reads d_vocab"], n: int) -> Float[Tensor, "steers rows"]:
        """Return the score of every row under each of `n` steerings."""
        with torch.inference_mode():
            told = logits.float().log_softmax(-1).unflatten(0, (n, len(self.prompt_lengths)))
            tokens = self.tokens.expand(n, *self.tokens.shape)
            return (told.gather(-1, tokens) * self.weights).sum((-1, -2))

    def _edits(self, steers: Sequence[Vectors | None]) -> Callable[[int], list[Edit]]:
        return lambda each: self.model.edits_of(PerRow([steer for steer in steers for _ in range(each)]))

    def _at(self, layer: int | None) -> Prefix:
        known = self._prefix
        if known is None or layer is None or known.layer is None or known.layer > layer:
            self._prefix = Prefix(self.model, self.batch, layer, self.prompt_lengths)
        else:
            self._prefix = known.advanced_to(layer)
        return self._prefix


@dataclass(frozen=True, slots=True)
class _Pass:
    """A batch under some of the steerings, `first` the number of the first of them, before it climbs."""

    batch: _Batch
    first: int
    count: int
    branches: Branches


def _grouped(passages: Sequence[Passage]) -> list[list[Passage]]:
    """Return the passages in groups of rising length, each of about `BATCH_TOKENS` tokens with their padding."""
    groups: list[list[Passage]] = []
    for passage in sorted(passages, key=lambda one: len(one.ids)):
        if not groups or (len(groups[-1]) + 1) * len(passage.ids) > BATCH_TOKENS:
            groups.append([])
        groups[-1].append(passage)
    return groups


def _shared(passages: Sequence[Passage]) -> int:
    """Return how many tokens at the beginning all passages have in common, short of any that is read at or written."""
    most = min(min(place for place, _, _ in one.scored) for one in passages)
    most = min(most, *(passage.prompt_length for passage in passages))
    same = 0
    while same < most and len({passage.ids[same] for passage in passages}) == 1:
        same += 1
    return same if same >= WORTH_SHARING else 0


def _scored_table(
    passages: Sequence[Passage],
) -> tuple[Int[Tensor, "rows reads"], Int[Tensor, "rows reads targets"], Float[Tensor, "rows reads targets"]]:
    """Return which positions are read, which tokens they are asked for and with what weight; fillers weigh nothing."""
    rows: list[dict[int, list[tuple[int, float]]]] = []
    for passage in passages:
        asked: dict[int, list[tuple[int, float]]] = {}
        for place, token, weight in passage.scored:
            asked.setdefault(place, []).append((token, weight))
        rows.append(asked)
    reads = max(len(row) for row in rows)
    targets = max(len(wanted) for row in rows for wanted in row.values())
    places = torch.zeros(len(rows), reads, dtype=torch.long)
    tokens = torch.zeros(len(rows), reads, targets, dtype=torch.long)
    weights = torch.zeros(len(rows), reads, targets)
    for i, row in enumerate(rows):
        # Rows with fewer predictions read one of their own again.
        places[i] = next(iter(row))
        for j, (place, wanted) in enumerate(row.items()):
            places[i, j] = place
            for k, (token, weight) in enumerate(wanted):
                tokens[i, j, k], weights[i, j, k] = token, weight
    return places, tokens, weights
