"""How a harvest goes: how text becomes contexts, which positions are left out, how much is kept and in which precision."""

from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """The settings of a harvest.

    `tokens` are kept at least (to the end of a context; None: all of the corpus), `max_bytes` on disk at most. `packed` lets a
    context go on with the next document. `documents` is the part of the corpus that is read, start and stop. `mixed`
    contexts are held, and the next one drawn from among them with `seed`; 0 keeps the order of the corpus. `batch_size` contexts are read in one pass.
    """

    tokens: int | None = None
    context: int = 256
    dtype: str = "bfloat16"
    max_bytes: int | None = None
    batch_size: int = 8
    shard_bytes: int = 64 << 20
    packed: bool = True
    documents: tuple[int, int | None] = (0, None)
    mixed: int = 4096
    seed: int = 0
    policy: Policy = Policy()
