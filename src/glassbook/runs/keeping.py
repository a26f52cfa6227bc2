"""What a notebook keeps of a run's record: how it was made, and nothing of whose machine it was."""

from collections.abc import Mapping
from typing import Any

_KEPT = (
    "format", "id", "kind", "status", "started", "ended", "asked", "code", "weights", "data", "versions", "hardware", "cost",
)  # fmt: skip
_MACHINE = ("processor", "cores", "threads", "memory_bytes", "gpus", "cpu_capability", "bfloat16_products")


def kept_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a run's record a notebook keeps; of the machine what it can compute, not how it is called."""
    kept = {name: record.get(name) for name in _KEPT}
    kept["hardware"] = {name: (record.get("hardware") or {}).get(name) for name in _MACHINE}
    return kept
