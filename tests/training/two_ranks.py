"""One of the processes that train together, as `test_distribution.py` starts them: what each engine learned, in files."""

import sys
from pathlib import Path

import torch
from torch import Tensor, distributed

from glassbook.files.safetensors import write_safetensors
from glassbook.models.gpt2 import GPT2, GPT2Config
from glassbook.models.identity import tensor_bytes
from glassbook.training import LanguageLearner, LanguageSettings, Settings, TokenWindows, all_windows, train
from glassbook.training.distribution import DistributedLearner, leave
from glassbook.training.processes import Processes
from glassbook.training.streams import Batch

STEPS, CONTEXT = 4, 8
IDS = torch.arange(400) * 7919 % 23
CONFIG = GPT2Config(
    n_layers=2, d_model=16, n_heads=2, d_head=8, d_mlp=32, d_vocab=23, n_ctx=CONTEXT, norm_eps=1e-5,
    tied_embeddings=True,
)  # fmt: skip
SETTINGS = LanguageSettings(lr=0.01, steps=STEPS, warmup=1, clip=0.5, accumulate=2)


class Masked:
    """The windows of a text of which far more tokens count in the first rows than in the last."""

    def __init__(self) -> None:
        self.windows = TokenWindows(IDS, 6, CONTEXT, seed=3)

    def next(self) -> Batch:
        """Return windows of which row r counts tokens 1 to 8 - r."""
        tokens, _ = self.windows.next()
        return tokens, torch.arange(CONTEXT + 1) <= CONTEXT - torch.arange(len(tokens))[:, None]

    def state(self) -> dict[str, Tensor]:
        """Return the state of the windows."""
        return dict(self.windows.state())

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from `state`."""
        self.windows.load_state(state)


class MeanOfMeans(DistributedLearner):
    """The usual mistake: each process takes the mean over its own tokens, and those means are averaged."""

    def _gradients(self, tokens: Tensor, counts: Tensor | None, scale: float) -> float:
        rows = self.processes.rows(len(tokens))
        own = None if counts is None else counts[rows]
        return LanguageLearner._gradients(self, tokens[rows], own, 1 / self.n_counted(tokens[rows], own))


def net() -> GPT2:
    """Return the network that all of them begin with."""
    made = GPT2(CONFIG)
    made.init_weights(1)
    return made


def write(path: Path, state: dict[str, Tensor]) -> None:
    """Write a state as safetensors."""
    kinds = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.uint8: "U8"}
    write_safetensors(
        path, [(name, kinds[one.dtype], tuple(one.shape), iter([tensor_bytes(one)])) for name, one in state.items()]
    )


def check_restart(folder: Path, kind: str, together: Processes, state: dict[str, Tensor]) -> None:
    """Fail where another learner that reads the checkpoint does not hold, gathered, what the first one held."""
    again = DistributedLearner(GPT2(CONFIG), SETTINGS, together, kind)
    train(again, Masked(), Settings(steps=STEPS, processes=together), folder=folder)
    restored = dict(again.state())
    assert restored.keys() == state.keys() and all(torch.equal(restored[name], state[name]) for name in state)
    assert bool(restored) == together.is_first


def main(folder: Path, rank: int, size: int) -> None:
    """Train with every engine; the first process writes the weights it gathered, and the metrics."""
    together = Processes(rank, size)
    plans = {"ddp": DistributedLearner, "fsdp2": DistributedLearner, "mean-of-means": MeanOfMeans}
    for name, kind in plans.items():
        learner = kind(net(), SETTINGS, together, "fsdp2" if name == "fsdp2" else "ddp")
        settings = Settings(steps=STEPS, log_every=1, checkpoint_every=2, processes=together)
        history = train(learner, Masked(), settings, folder=folder / name)
        measured = learner.evaluate(all_windows(IDS[:50], 4, CONTEXT))
        state = dict(learner.state())
        if name != "mean-of-means":
            check_restart(folder / name, name, together, state)
        if together.is_first:
            state["loss"] = torch.tensor(history.values("loss"), dtype=torch.float64)
            state["grad_norm"] = torch.tensor(history.values("grad_norm"), dtype=torch.float64)
            state["validation"] = torch.tensor([measured["nats_per_token"]])
            write(folder / f"{name}.safetensors", state)
    assert together.from_first("über" if rank == 0 else "other") == "über"
    assert together.any(rank == 1) and not together.any(False)


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, number, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    distributed.init_process_group("gloo", init_method=f"file://{place}/meeting", rank=number, world_size=count)
    main(place, number, count)
    leave()
