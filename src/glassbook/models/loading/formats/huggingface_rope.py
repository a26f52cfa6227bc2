"""How Hugging Face configurations speak of rotary angles, which releases of transformers have written in several ways."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from glassbook.core.errors import ModelError
from glassbook.models.rotary import SCALINGS, Scaling


def rope_table(said: Mapping[str, Any], place: str, layer_type: str = "") -> Mapping[str, Any]:
    """Return the table of rotary parameters, of one type of layer where there are several; empty where there is none."""
    rope = said.get("rope_parameters") or said.get("rope_scaling") or {}
    if layer_type and isinstance(rope, Mapping) and layer_type in rope:
        rope = rope[layer_type]
    if not isinstance(rope, Mapping):
        raise ModelError(f"{place} gives rope_parameters that are no table of values; mend it or fetch the model again")
    if (rope.get("partial_rotary_factor") or 1.0) != 1.0:
        raise ModelError(
            f"{place} turns only a part of each head (partial_rotary_factor); open a model that turns all of it"
        )
    return rope


def scaling_of(rope: Mapping[str, Any], n_ctx: object, place: str) -> dict[str, Any] | None:
    """Return the fields of the angles' Scaling, None where they have none; raise ModelError for a rule we do not have.

    `n_ctx` is how far the model reads, for tables that do not say how far it read first.
    """
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return None
    if kind not in SCALINGS or kind == "divisors":
        known = ", ".join(name for name in SCALINGS if name != "divisors")
        raise ModelError(
            f"{place} scales its rotary angles by the rule '{str(kind)[:60]}', which is not done here (there are {known}); "
            "open another model"
        )
    first = _number(rope, "original_max_position_embeddings", n_ctx, place) if kind != "linear" else 0
    if kind == "yarn":
        return asdict(_yarn(rope, n_ctx, int(first), place))
    low, high = (_number(rope, f"{part}_freq_factor", default, place) for part, default in (("low", 1), ("high", 4)))
    factor = _number(rope, "factor", None, place)
    return asdict(Scaling(kind=kind, factor=factor, n_ctx=int(first), low_turns=low, high_turns=high))


def _yarn(rope: Mapping[str, Any], n_ctx: object, first: int, place: str) -> Scaling:
    if rope.get("truncate") is False:
        raise ModelError(f"{place} asks for YaRN with truncate = False, which is not done here; open another model")
    factor = _number(
        rope, "factor", None if first < 1 else _number({"n_ctx": n_ctx}, "n_ctx", first, place) / first, place
    )
    magnitude = _magnitude(factor, 1.0)
    if rope.get("mscale") and rope.get("mscale_all_dim"):
        shares = (_number(rope, name, None, place) for name in ("mscale", "mscale_all_dim"))
        upper, lower = (_magnitude(factor, share) for share in shares)
        magnitude = upper / lower
    return Scaling(
        kind="yarn",
        factor=factor,
        n_ctx=first,
        low_turns=_number(rope, "beta_slow", 1.0, place),
        high_turns=_number(rope, "beta_fast", 32.0, place),
        magnitude=_number(rope, "attention_factor", magnitude, place),
    )


def _magnitude(factor: float, share: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * share * math.log(factor) + 1.0


def _number(rope: Mapping[str, Any], key: str, default: object, place: str) -> float:
    value = default if rope.get(key) is None else rope[key]
    if type(value) not in (int, float):
        raise ModelError(f"{place} scales its rotary angles with {key} = {str(value)[:60]}; mend it to a number")
    return float(value)  # type: ignore[arg-type]
