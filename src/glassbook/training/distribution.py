"""One training by several processes: each learns from its rows of every batch, and all make the step of the whole batch.

torchrun starts the processes. With `ddp` each holds the whole network (Li et al. 2020, 2006.15704); with `fsdp2` each holds
its share of every weight, gradient and average, and a block's weights come together only while it is at work (Zhao et al.
2023, 2304.11277).
"""

import gc
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from glassbook.core.errors import InputError
from glassbook.models.network import Network
from glassbook.models.transformer import Transformer
from glassbook.training.language import LanguageLearner, LanguageSettings, measures
from glassbook.training.optimizer import adamw
from glassbook.training.processes import CPU, Processes
from glassbook.training.streams import Batch

DISTRIBUTIONS = ("ddp", "fsdp2")


@contextmanager
def joined(device: str = "cpu") -> Iterator[Processes]:
    """Yield this process's place among those that torchrun started, joined over gloo (cpu) or NCCL (cuda).

    Raises InputError where torchrun did not start this process, or a GPU is missing for it.
    """
    try:
        rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    except (KeyError, ValueError):
        raise InputError(
            "a distributed training needs several processes; start it with "
            "'torchrun --nproc-per-node N -m glassbook.cli train ...', or leave out --distributed"
        ) from None
    place = CPU
    if device != "cpu":
        if local >= torch.cuda.device_count():
            raise InputError(f"process {local} has no GPU of its own; start at most {torch.cuda.device_count()} here")
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    distributed.init_process_group("gloo" if place.type == "cpu" else "nccl")
    try:
        yield Processes(rank, size, place)
    finally:
        leave()


def leave() -> None:
    """Leave the other processes, so that no thread of theirs is left in this one.

    Learners refer to themselves in circles, and one that is not collected keeps the group alive; a thread of gloo that drops its
    last tensors while Python ends takes the whole process down with SIGABRT, and torchrun then all others.
    """
    gc.collect()
    distributed.destroy_process_group()


class DistributedLearner(LanguageLearner):
    """A LanguageLearner in each of several processes, given the same batches and settings as one alone would be.

    Its steps are those of one process on the whole batch, but for the order in which numbers are added. `state` is
    gathered: whole in the first process, empty in the others; `load_state` takes the whole in all of them.
    """

    def __init__(self, net: Network, settings: LanguageSettings, processes: Processes, kind: str) -> None:
        if kind not in DISTRIBUTIONS:
            raise InputError(f"'{kind}' is no way to distribute a training; choose {' or '.join(DISTRIBUTIONS)}")
        if settings.compile:
            raise InputError("a distributed training is not compiled here; leave out compile")
        super().__init__(net, settings)
        self.processes = processes
        if kind == "ddp":
            self.loss = DistributedDataParallel(self.loss)
            return
        mesh = init_device_mesh(processes.device.type, (processes.size,))
        for block in net.blocks if isinstance(net, Transformer) else ():
            fully_shard(block, mesh=mesh)
        fully_shard(self.loss, mesh=mesh)
        # The weights are other tensors now: each process's shares.
        self.optimizer = adamw(net, settings.lr, settings.weight_decay, settings.betas, settings.eps)

    def _gradients(self, tokens: Tensor, counts: Tensor | None, scale: float) -> float:
        """Form the gradient of the whole batch, of which this process reads its rows; return the whole batch's loss."""
        ours = self.processes
        if len(tokens) < ours.size:
            raise InputError(f"a batch of {len(tokens)} rows leaves a process without one; give at least {ours.size}")
        rows = ours.rows(len(tokens))
        # Both engines take the mean over processes; the sum is what belongs to one mean over all tokens.
        loss = super()._gradients(tokens[rows], None if counts is None else counts[rows], scale * ours.size)
        return float(ours.summed(torch.tensor(loss / ours.size, dtype=torch.float64)))

    def evaluate(self, batches: Iterable[Batch], n_bytes: int | None = None) -> dict[str, float]:
        """Return what `training.language.evaluate` does, each process reading its rows."""
        ours, nats, n_tokens = self.processes, torch.zeros((), dtype=torch.float64), 0
        one = torch.ones((), device=ours.device)
        was_training = self.net.training
        self.net.eval()
        with torch.no_grad():
            for tokens, counts in batches:
                # Every process must call the network equally often, so a batch too small to divide is read by all.
                shared = len(tokens) >= ours.size
                rows = ours.rows(len(tokens)) if shared else slice(None)
                counted = None if counts is None else counts[rows].to(ours.device)
                found = self.loss(tokens[rows].to(ours.device), counted, one).item()
                nats += found if shared else found / ours.size
                n_tokens += tokens[:, 1:].numel() if counts is None else int(counts[:, 1:].sum())
        if isinstance(self.loss, FSDPModule):
            # Outside of blocks it keeps weights together after a pass, for a backward that does not come here.
            self.loss.reshard()
        self.net.train(was_training)
        return measures(float(ours.summed(nats)), n_tokens, n_bytes)

    def state(self) -> dict[str, Tensor]:
        """Return what a LanguageLearner alone would, in the first process; nothing in the others, which help to gather it."""
        kept = {}
        for name, value in super().state().items():
            whole = value.full_tensor().cpu() if isinstance(value, DTensor) else value
            if self.processes.is_first:
                kept[name] = whole
        return kept

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned in the first process, however many there were then."""
        weights = dict(self.net.named_parameters())
        super().load_state({name: _placed(value, weights.get(_parameter(name))) for name, value in state.items()})


def _parameter(name: str) -> str:
    """Return the name of the parameter that an entry of a state belongs to."""
    kind, _, rest = name.partition("/")
    return rest if kind == "net" else rest.rpartition("/")[0]


def _placed(value: Tensor, weight: Tensor | None) -> Tensor:
    """Return this process's share of a whole value, as its weight is shared; all of it where the weight is whole."""
    if not isinstance(weight, DTensor) or value.shape != weight.shape:
        return value
    return distribute_tensor(value.to(weight.device), weight.device_mesh, weight.placements, src_data_rank=None)
