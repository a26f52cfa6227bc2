"""Cards: what one looks at to learn what a feature stands for.

A Card holds numbers and token ids only. `Cards` holds those of a whole dictionary packed, and unpacks one when it is asked for.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from glassbook.core.errors import FileFormatError, InputError

Ranked = tuple[tuple[str, float], ...]
"""Names, such as tokens or neurons, each with a number, the largest in size first."""

_MOST_BYTES = 1 << 20
"""What one packed card may take when it is unpacked; real ones take a few thousand."""
_NONE_KNOWN = "#{}"


@dataclass(frozen=True, slots=True)
class Example:
    """A stretch of one document with the feature's activation at each token; `peak` is the place of what was chosen.

    `interval` is 0 in the top examples; from 1 on it numbers the even intervals of activation that samples were drawn from,
    the highest first. Tokens that the harvest left out count as 0. The first of the tokens stands at `start` in the store's
    context of number `context`.
    """

    tokens: tuple[int, ...]
    activations: tuple[float, ...]
    document: int
    peak: int
    interval: int
    context: int = -1
    start: int = 0


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many tokens have an activation from one edge up to the next; the first edge is 0."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All that is known of one feature.

    `density` is the share of tokens at which it is active, which is: above 0. `logits_up` and `logits_down` are the tokens whose
    logits its direction raises and lowers most through the final norm, per unit of activation and of the norm's scale.
    `nearest` are the features with the nearest directions (cosine), `together` those that are active at the same tokens (both,
    as a share of either), `neurons` those that write along its direction or against it (cosine). `ablation` has, for the first
    of the top examples, what the feature adds to the log-probability of each token, in nats: with it less without it.
    """

    feature: int
    density: float
    max_activation: float
    histogram: Histogram
    examples: tuple[Example, ...]
    logits_up: Ranked = ()
    logits_down: Ranked = ()
    nearest: tuple[tuple[int, float], ...] = ()
    together: tuple[tuple[int, float], ...] = ()
    neurons: Ranked = ()
    ablation: tuple[tuple[float, ...], ...] = ()

    @property
    def top(self) -> tuple[Example, ...]:
        """Return the examples with the largest activations, the largest first."""
        return tuple(example for example in self.examples if example.interval == 0)


class Cards:
    """The cards of a dictionary's features; `facts` says of which dictionary, on which tokens of which model, made how."""

    def __init__(
        self,
        facts: Mapping[str, Any],
        counts: Int[NDArray[Any], " n_features"],
        largest: Float[NDArray[Any], " n_features"],
        packed: Callable[[int], bytes],
        vocabulary: Callable[[], Mapping[int, str]],
    ) -> None:
        self.facts = dict(facts)
        self.counts, self.largest = counts, largest
        self._packed, self._read_vocabulary = packed, vocabulary
        self._vocabulary: Mapping[int, str] | None = None

    def __repr__(self) -> str:
        return f"<cards of {self.n_features:,} features over {self.n_tokens:,} tokens>"

    def __len__(self) -> int:
        return self.n_features

    @property
    def n_features(self) -> int:
        """Return how many features the dictionary has."""
        return len(self.counts)

    @property
    def n_tokens(self) -> int:
        """Return over how many tokens the cards were made."""
        return int(self.facts["tokens"])

    def card(self, feature: int) -> Card:
        """Return one card; raise InputError where there is no such feature, FileFormatError where its bytes are damaged."""
        return unpack(feature, self.packed(feature))

    def packed(self, feature: int) -> bytes:
        """Return one card as it is kept."""
        if not 0 <= feature < self.n_features:
            raise InputError(f"there is no feature {feature}; they run from 0 to {self.n_features - 1:,}")
        return self._packed(feature)

    def densities(self) -> Float[NDArray[Any], " n_features"]:
        """Return the share of tokens at which each feature is active."""
        return np.asarray(self.counts, np.float64) / max(self.n_tokens, 1)

    @property
    def vocabulary(self) -> Mapping[int, str]:
        """Return the text of every token that an example holds, by id."""
        if self._vocabulary is None:
            self._vocabulary = self._read_vocabulary()
        return self._vocabulary

    def token_strings(self, tokens: Sequence[int]) -> list[str]:
        """Return the text of each token; a number sign and the id where the model had no tokenizer."""
        return [self.vocabulary.get(token, _NONE_KNOWN.format(token)) for token in tokens]


class _Example(msgspec.Struct, array_like=True, frozen=True):
    """An example packed: ids in four bytes; where it is active, in one; how strongly, as a share of the largest, in two."""

    document: int
    peak: int
    interval: int
    context: int
    start: int
    tokens: bytes
    places: bytes
    shares: bytes


class _Ranked(msgspec.Struct, array_like=True, frozen=True):
    names: list[str | int]
    numbers: bytes


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    density: float
    max_activation: float
    bin_width: float
    counts: list[int]
    examples: list[_Example]
    ranked: list[_Ranked]
    ablation: list[bytes]


_RANKED = ("logits_up", "logits_down", "nearest", "together", "neurons")


def pack(card: Card) -> bytes:
    """Return a card in few bytes; activations keep three digits, all else float32."""
    edges = card.histogram.edges
    packed = _Packed(
        card.density,
        card.max_activation,
        edges[1] - edges[0] if len(edges) > 1 else 0.0,
        list(card.histogram.counts),
        [_pack_example(example, card.max_activation) for example in card.examples],
        [_pack_ranked(getattr(card, name)) for name in _RANKED],
        [np.asarray(effects, "<f4").tobytes() for effects in card.ablation],
    )
    return zlib.compress(msgspec.msgpack.encode(packed))


def unpack(feature: int, data: bytes) -> Card:
    """Return the card that `pack` was given; raise FileFormatError for bytes that are none."""
    try:
        unzipped = zlib.decompressobj().decompress(data, _MOST_BYTES)
        packed = msgspec.msgpack.decode(unzipped, type=_Packed)
        ranked = {name: _unpack_ranked(one) for name, one in zip(_RANKED, packed.ranked, strict=True)}
        return Card(
            feature=feature,
            density=packed.density,
            max_activation=packed.max_activation,
            histogram=_unpack_histogram(packed),
            examples=tuple(_unpack_example(example, packed.max_activation) for example in packed.examples),
            ablation=tuple(tuple(np.frombuffer(effects, "<f4").tolist()) for effects in packed.ablation),
            **ranked,
        )
    except (zlib.error, msgspec.MsgspecError, ValueError, IndexError) as fault:
        raise FileFormatError(f"the card of feature {feature} is damaged ({fault}); make the cards again") from fault


def _unpack_histogram(packed: _Packed) -> Histogram:
    n_edges = len(packed.counts) + 1 if packed.counts else 0
    return Histogram(tuple(number * packed.bin_width for number in range(n_edges)), tuple(packed.counts))


def _pack_example(example: Example, largest: float) -> _Example:
    values = np.asarray(example.activations, np.float32)
    places = values.nonzero()[0]
    shares = (values[places] / np.float32(largest or 1)).astype("<f2")
    where = (example.document, example.peak, example.interval, example.context, example.start)
    tokens = np.asarray(example.tokens, "<u4").tobytes()
    return _Example(*where, tokens, places.astype("u1").tobytes(), shares.tobytes())


def _unpack_example(packed: _Example, largest: float) -> Example:
    tokens = np.frombuffer(packed.tokens, "<u4")
    values = np.zeros(len(tokens), np.float32)
    values[np.frombuffer(packed.places, "u1")] = np.frombuffer(packed.shares, "<f2").astype(np.float32) * np.float32(
        largest
    )
    if not 0 <= packed.peak < len(tokens):
        raise ValueError("an example has no token at its peak")
    where = (packed.document, packed.peak, packed.interval, packed.context, packed.start)
    return Example(tuple(tokens.tolist()), tuple(values.tolist()), *where)


def _pack_ranked(ranked: Sequence[tuple[str | int, float]]) -> _Ranked:
    numbers = np.asarray([number for _, number in ranked], "<f4").tobytes()
    return _Ranked([name for name, _ in ranked], numbers)


def _unpack_ranked(packed: _Ranked) -> tuple[tuple[Any, float], ...]:
    return tuple(zip(packed.names, np.frombuffer(packed.numbers, "<f4").tolist(), strict=True))
