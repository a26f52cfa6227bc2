"""How a harvest goes: how text becomes contexts, which positions are left out, how much is kept and in which precision."""

from dataclasses import asdict, dataclass, field
from typing import Any

from glassbook.core.devices import as_dtype, dtype_name
from glassbook.core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which positions a harvest leaves out; it is recorded with the store, and what it left out is counted.

    `start_token` puts the document-start token before every context and every document (None: where the tokenizer has one).
    `drop_start` leaves out those tokens and the first position of every context, where attention sinks stand.
    `norm_multiple` leaves out positions whose norm at any of the Sites exceeds so many times that Site's median.
    """

    start_token: bool | None = None
    drop_start: bool = True
    norm_multiple: float | None = 10.0

    def __post_init__(self) -> None:
        if self.norm_multiple is not None and not self.norm_multiple > 1:
            raise InputError(
                f"norm_multiple = {self.norm_multiple} would leave out ordinary positions; "
                "give a number above 1, or None to keep all"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """The settings of a harvest.

    At least `tokens` are kept (whole contexts; None: all of the corpus), and at most `max_bytes` are written. `packed` lets a
    context go on with the next document, else each holds one document only. `documents` is the part of the corpus that is
    read, from and up to. So many `mixed` contexts are held in memory, and the next one is drawn from among them with `seed`;
    0 keeps the order of the corpus. `batch_size` contexts are read in one pass.
    """

    tokens: int | None = None
    context: int = 256
    dtype: str = "bfloat16"
    max_bytes: int | None = None
    batch_size: int = 8
    shard_bytes: int = 32 << 20
    packed: bool = True
    documents: tuple[int, int | None] = (0, None)
    mixed: int = 4096
    seed: int = 0
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", dtype_name(as_dtype(self.dtype)))
        for name, least in (("tokens", 1), ("context", 2), ("max_bytes", 1), ("batch_size", 1), ("shard_bytes", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} = {value} cannot be harvested with; it must be at least {least}")
        start, stop = self.documents
        if start < 0 or (stop is not None and stop <= start):
            raise InputError(f"documents {start} to {stop} are none; give a start from 0 on and a stop beyond it")
        if self.mixed < 0:
            raise InputError(f"mixed = {self.mixed} contexts cannot be held; give 0 to keep the order of the corpus")

    def asked(self) -> dict[str, Any]:
        """Return what decides which rows come in which order, as plain data: all but how many, and how many at once."""
        plain = asdict(self) | {"documents": list(self.documents)}
        for name in ("tokens", "max_bytes", "batch_size", "shard_bytes"):
            del plain[name]
        return plain
