"""One of the processes that train dictionaries together, as `test_distribution.py` starts them: what each plan learned."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from pytest import MonkeyPatch
from torch import Tensor, distributed

from glassbook.features import Running, Wanted, encoding, learning, train_many
from glassbook.features.planted import PlantedRows, planted
from glassbook.training.distribution import leave
from glassbook.training.processes import ALONE, Processes
from training.two_ranks import write

STEPS, ROWS, WIDTH, FEATURES = 20, 61, 12, 48
"""61 rows, so that the two shares of a batch differ in size."""


def _wanted(kind: str, k: int | None = None, settings: Mapping[str, object] | None = None, **how: object) -> Wanted:
    # Dead after a batch without a token: AuxK and resampling act from the first steps on.
    recipe = {"lr": 0.01, "clip": 0.05, "dead_share": 1 / STEPS, "sparsity_warmup_share": 0.0, "dtype": "float32"}
    return Wanted(n_features=FEATURES, kind=kind, k=k, settings=settings or {}, training=recipe | how)


PLANS = {
    "topk": _wanted("topk", 2),
    "topk, whole": _wanted("topk", 2, whole=True),
    "batchtopk": _wanted("batchtopk", 2),
    "batchtopk, whole": _wanted("batchtopk", 2, whole=True),
    "matryoshka-batchtopk": _wanted("matryoshka-batchtopk", 2),
    "standard": _wanted("standard", sparsity=3.0, lr=0.03),
    "gated": _wanted("gated", sparsity=1.0, lr=0.03),
    "jumprelu": _wanted("jumprelu", settings={"bandwidth": 0.5, "first_threshold": 1.0}, sparsity=0.03, lr=0.03),
    "jumprelu, k": _wanted("jumprelu", 2, settings={"bandwidth": 0.5, "first_threshold": 2.0}, mend="auxk"),
    "skip-transcoder": _wanted("skip-transcoder", 2),
}


class Pairs:
    """Rows, the first of each batch longer than the last, and for a transcoder what they are turned into."""

    def __init__(self, is_pair: bool) -> None:
        self.rows, self.is_pair = PlantedRows(planted(16, WIDTH, 0.4, seed=0), ROWS, seed=1), is_pair
        self.turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(2))).Q

    def next(self) -> Tensor | tuple[Tensor, Tensor]:
        """Return the next batch; a threshold of its first rows alone is far from one of its last."""
        x = self.rows.next() * torch.linspace(2, 0.5, ROWS)[:, None]
        return (x, x @ self.turn) if self.is_pair else x

    def state(self) -> dict[str, Tensor]:
        """Return the state of the rows."""
        return self.rows.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state`."""
        self.rows.load_state(state)


def learned(
    name: str, together: Processes = ALONE, folder: Path | None = None, steps: int = STEPS
) -> dict[str, Tensor]:
    """Return the weights of the dictionary that a plan ends with, and its metrics after every step."""
    wanted = PLANS[name]
    running = Running(steps=STEPS, folder=folder, checkpoint_every=5, log_every=1, processes=together)
    if steps < STEPS:
        running = replace(running, progress=_stopping(steps))
    done = train_many(Pairs(wanted.kind == "skip-transcoder"), {"it": wanted}, running, (WIDTH, WIDTH))["it"]
    metrics = {key: done.history.values(key) for key in ("loss", "fvu", "l0", "dead")}
    return {
        **done.dictionary.state_dict(),
        **{f"metric/{key}": torch.tensor(values, dtype=torch.float64) for key, values in metrics.items()},
    }


def _stopping(after: int):  # type: ignore[no-untyped-def]
    def stop(now: object) -> None:
        if now.step == after:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    return stop


@contextmanager
def local_choice() -> Iterator[None]:
    """A mistake: each process keeps the largest of its own rows."""
    with MonkeyPatch.context() as patch:
        patch.setattr(encoding, "nth_largest", lambda values, n, share: encoding._nth(values, n // share.size))
        yield


@contextmanager
def own_gradients() -> Iterator[None]:
    """A mistake: each process makes the step of its own rows."""
    with MonkeyPatch.context() as patch:
        patch.setattr(learning.distributed, "all_reduce", _all_but_gradients(distributed.all_reduce))
        yield


def _all_but_gradients(plain):  # type: ignore[no-untyped-def]
    # A gradient is the one thing that is summed in place where it lies.
    return lambda value: None if sys._getframe(1).f_code.co_name == "_update" else plain(value)


def main(folder: Path, rank: int, size: int) -> None:
    """Train by every plan, with one that is cut short and gone on with, and by the mistakes; the first process writes."""
    together = Processes(rank, size)
    found = {name: learned(name, together) for name in PLANS}
    try:
        learned("batchtopk", together, folder / "cut", 12)
    except KeyboardInterrupt:
        found["gone on with"] = learned("batchtopk", together, folder / "cut")
    with local_choice():
        found["local choice"] = learned("batchtopk, whole", together)
    with own_gradients():
        found["own gradients"] = learned("topk", together)
    for name, state in found.items():
        # What every process holds must be the same, so the sum is so many times it.
        apart = max(float((together.summed(value) - size * value).abs().max()) for value in state.values())
        if together.is_first:
            write(folder / f"{name}.safetensors", state | {"apart": torch.tensor(apart)})


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, number, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    distributed.init_process_group("gloo", init_method=f"file://{place}/meeting", rank=number, world_size=count)
    main(place, number, count)
    leave()
