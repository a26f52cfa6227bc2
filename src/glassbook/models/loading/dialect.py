"""How a foreign format speaks of an architecture of ours: its words for the sizes, its names for the weights.

A dialect is data. Reading one means looking keys up, refusing by name what our network does not do, and laying out
which stored tensor fills which rows of which parameter.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
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

    `{layer}` stands for every layer and `{expert}` for every expert; where only `ours` says `{expert}`, the experts' parts
    lie stacked in one tensor. `stored` says how the tensor lies in the file, see `weights.ARRANGEMENTS`.
    """

    theirs: str
    ours: str
    rows: str = "all"
    stored: str = "as is"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What one format calls the things of one architecture.

    `demands` lists the values that mean what our network computes; a file that asks for another one is refused.
    `prefixes` may stand before a tensor's name or not; `ignored` are patterns of tensors that are no weights. `variants` are
    other tables of all names, which other releases wrote; a file is read by the table that it knows best.
    """

    architecture: str
    keys: Mapping[str, str]
    rules: Sequence[Rule]
    defaults: Mapping[str, object] = field(default_factory=dict)
    demands: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    variants: Sequence[Sequence[Rule]] = ()


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
    wanted: dict[str, list[tuple[str, Piece]]] = {}
    spare = [re.compile(pattern) for pattern in dialect.ignored]
    for ours, piece in _expected(_rules(dialect, reader), config, shapes):
        if ours in shapes:
            wanted.setdefault(piece.tensor, []).append((ours, piece))
        else:
            spare.append(re.compile(re.escape(piece.tensor)))
    found, unexpected = _match(dialect, reader, wanted, spare)
    _refuse(reader, "lacks", [name for name in wanted if name not in found])
    _refuse(reader, "holds an unknown", unexpected)
    pieces: dict[str, list[Piece]] = {name: [] for name in shapes}
    for theirs, parts in wanted.items():
        for ours, piece in parts:
            stored = replace(piece, tensor=found[theirs])
            _check_shape(reader, stored)
            pieces[ours].append(stored)
    return pieces


def own_names(architecture: str, names: Sequence[str]) -> Dialect:
    """Return the dialect of our own folders, in which every parameter goes by its own name."""
    return Dialect(architecture=architecture, keys={}, rules=[Rule(name, name) for name in names])


def _rules(dialect: Dialect, reader: WeightReader) -> Sequence[Rule]:
    """Return the table of names that the file knows most of."""
    if not dialect.variants:
        return dialect.rules
    names = {name.removeprefix(prefix) for name in reader.shapes for prefix in ("", *dialect.prefixes)}

    def known(rules: Sequence[Rule]) -> int:
        return sum(rule.theirs.format(layer=0, expert=0) in names for rule in rules)

    return max((dialect.rules, *dialect.variants), key=known)


def _expected(
    rules: Sequence[Rule], config: Config, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, Piece]]:
    spans, n_experts = _spans(config), config.sizes.get("n_experts", 1)
    for rule in rules:
        layers = range(config.n_layers if "{layer}" in rule.ours else 1)
        experts = range(n_experts if "{expert}" in rule.ours else 1)
        is_stacked = "{expert}" in rule.ours and "{expert}" not in rule.theirs
        for layer, expert in product(layers, experts):
            ours = rule.ours.format(layer=layer, expert=expert)
            shape = shapes.get(ours, (0,))
            first, count = spans.get(rule.rows, (0, shape[0]))
            part = (count, *shape[1:])
            stored = (n_experts, *part) if is_stacked else part[::-1] if rule.stored == "transposed" else part
            theirs, skip = rule.theirs.format(layer=layer, expert=expert), expert * count if is_stacked else 0
            yield ours, Piece(theirs, first, count, stored, rule.stored, skip)


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
