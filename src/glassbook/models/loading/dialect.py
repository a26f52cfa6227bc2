"""How a foreign format speaks of an architecture of ours: its words for the sizes, its names for the weights.

A dialect is data. Reading one means looking keys up, refusing by name what our network does not do, and laying out
which stored tensor fills which rows of which parameter.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from glassbook.core.errors import ModelError
from glassbook.models.config import Config
from glassbook.models.loading.weights import Piece, WeightReader

_NAMED_AT_ONCE = 3
_PLAIN = (bool, int, float, str)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a table of names: the stored tensor `theirs` fills the part `rows` of the parameter `ours`.

    `{layer}` stands for every layer. `stored` says how the tensor lies in the file, see `weights.ARRANGEMENTS`.
    """

    theirs: str
    ours: str
    rows: str = "all"
    stored: str = "as is"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What one format calls the things of one architecture.

    `demands` lists the values that mean what our network computes; a file that asks for another one is refused.
    `prefixes` may stand before a tensor's name or not; `ignored` are patterns of tensors that are no weights.
    """

    architecture: str
    keys: Mapping[str, str]
    rules: Sequence[Rule]
    defaults: Mapping[str, object] = field(default_factory=dict)
    demands: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def translate(dialect: Dialect, said: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return our configuration fields from `said`; raise ModelError for what our network does not do."""
    for key, accepted in dialect.demands.items():
        value = said.get(key)
        if value is not None and not any(type(value) in _PLAIN and value == one for one in accepted):
            raise ModelError(
                f"{place} asks for {key} = {str(value)[:80]}, which our {dialect.architecture} does not have "
                f"(it has {' or '.join(map(str, accepted))}); open a model without it"
            )
    fields = dict(dialect.defaults)
    for theirs, ours in dialect.keys.items():
        if said.get(theirs) is not None:
            fields[ours] = said[theirs]
        elif ours not in fields:
            raise ModelError(f"{place} does not say {theirs}; add it or fetch the model again")
    return fields


def make_config(kind: type[Config], fields: Mapping[str, Any], place: str) -> Config:
    """Return the configuration of these fields; raise ModelError for one that is missing or no number."""
    try:
        config = msgspec.convert(dict(fields), type=kind)
    except msgspec.ValidationError as fault:
        raise ModelError(f"{place} cannot be used ({fault}); mend it or fetch the model again") from fault
    config.check()
    return config


def lay_out(
    dialect: Dialect, reader: WeightReader, config: Config, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, list[Piece]]:
    """Return for each parameter (of these `shapes`) the pieces that fill it.

    Raises ModelError naming the first few tensors that are missing, unexpected or of another shape.
    """
    wanted: dict[str, tuple[str, Piece]] = {}
    spare = [re.compile(pattern) for pattern in dialect.ignored]
    for ours, theirs, piece in _expected(dialect, config, shapes):
        if ours in shapes:
            wanted[theirs] = (ours, piece)
        else:
            spare.append(re.compile(re.escape(theirs)))
    found, unexpected = _match(dialect, reader, wanted, spare)
    _refuse(reader, "lacks", [name for name in wanted if name not in found])
    _refuse(reader, "holds an unknown", unexpected)
    pieces: dict[str, list[Piece]] = {name: [] for name in shapes}
    for theirs, (ours, piece) in wanted.items():
        stored = Piece(found[theirs], piece.first, piece.count, piece.shape, piece.stored)
        _check_shape(reader, stored)
        pieces[ours].append(stored)
    return pieces


def own_names(architecture: str, names: Sequence[str]) -> Dialect:
    """Return the dialect of our own folders, in which every parameter goes by its own name."""
    return Dialect(architecture=architecture, keys={}, rules=[Rule(name, name) for name in names])


def _expected(
    dialect: Dialect, config: Config, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, str, Piece]]:
    spans = _spans(config)
    for rule in dialect.rules:
        for layer in range(config.n_layers) if "{layer}" in rule.ours else (0,):
            ours, theirs = rule.ours.replace("{layer}", str(layer)), rule.theirs.replace("{layer}", str(layer))
            shape = shapes.get(ours, (0,))
            first, count = spans.get(rule.rows, (0, shape[0]))
            part = (count, *shape[1:])
            yield (
                ours,
                theirs,
                Piece(theirs, first, count, part[::-1] if rule.stored == "transposed" else part, rule.stored),
            )


def _spans(config: Config) -> dict[str, tuple[int, int]]:
    """Return first row and number of rows of the parts that a fused parameter is made of."""
    q, kv, mlp = config.n_heads * config.d_head, config.kv_heads * config.d_head, config.d_mlp
    return {"q": (0, q), "k": (q, kv), "v": (q + kv, kv), "gate": (0, mlp), "up": (mlp, mlp)}


def _match(
    dialect: Dialect, reader: WeightReader, wanted: Mapping[str, object], spare: Sequence[re.Pattern[str]]
) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    unexpected = []
    for name in reader.shapes:
        bare = next((name.removeprefix(prefix) for prefix in dialect.prefixes if name.startswith(prefix)), name)
        if bare in wanted:
            if bare in found:
                raise ModelError(
                    f"'{reader.path}' holds one weight twice, as '{found[bare]}' and '{name}'; export it again"
                )
            found[bare] = name
        elif not any(pattern.fullmatch(bare) for pattern in spare):
            unexpected.append(name)
    return found, unexpected


def _refuse(reader: WeightReader, verb: str, names: Sequence[str]) -> None:
    if names:
        listed = ", ".join(f"'{name[:80]}'" for name in names[:_NAMED_AT_ONCE])
        more = f" and {len(names) - _NAMED_AT_ONCE} more" if len(names) > _NAMED_AT_ONCE else ""
        plural = "s" if len(names) > 1 else ""
        raise ModelError(
            f"'{reader.path}' {verb} tensor{plural} {listed}{more}; its weights do not fit its configuration"
        )


def _check_shape(reader: WeightReader, piece: Piece) -> None:
    shape = reader.shapes[piece.tensor]
    if shape != piece.shape:
        raise ModelError(
            f"'{reader.path}': tensor '{piece.tensor}' has the shape {list(shape)} where the configuration asks for "
            f"{list(piece.shape)}; its weights do not fit its configuration"
        )
