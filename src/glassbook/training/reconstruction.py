"""Learning to reconstruct: any network that says what its loss on a batch of pictures is, trained with Adam on the one loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.seeds import generator

Batch = Tensor | tuple[Tensor, Tensor]
"""Pictures as rows of pixels, or such pictures with their labels."""

Anneal = Callable[[Any, int], None]
"""What to change on the network before a step, numbered from 0, such as how sharp its spikes are."""


class Reconstructing(Protocol):
    """A module whose `loss` returns "loss", which is minimized, and any parts of it, as single numbers."""

    def loss(self, batch: Any, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return what a step reports."""
        ...


@dataclass(frozen=True)
class ReconstructionSettings:
    """How Adam learns: rate, decay of its two averages, and the seed of the noise that codes are drawn with.

    After `slower_after` steps the rate is a tenth, as in Tonolini et al. 2019.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    seed: int = 0
    slower_after: int | None = None


class ReconstructionLearner:
    """A Learner for auto-encoders: `loss` of a batch, its gradient, one step of Adam."""

    def __init__(self, net: Any, settings: ReconstructionSettings, anneal: Anneal | None = None) -> None:
        self.net = net
        self.settings = settings
        self.anneal = anneal
        self.steps = 0
        self.n_weights = sum(weight.numel() for weight in net.parameters() if weight.ndim > 1)
        self.noise = generator(settings.seed, "reconstruction")
        self.optimizer = torch.optim.Adam(net.parameters(), lr=settings.lr, betas=settings.betas, fused=True)

    def step(self, batch: Batch) -> dict[str, float]:
        """Learn from one batch and return "loss", its parts, "lr" and "flop", about six operations a weight and picture."""
        self.net.train()
        if self.anneal:
            self.anneal(self.net, self.steps)
        slower = self.settings.slower_after is not None and self.steps >= self.settings.slower_after
        self.optimizer.param_groups[0]["lr"] = lr = self.settings.lr * (0.1 if slower else 1.0)
        terms = self.net.loss(batch, self.noise)
        self.optimizer.zero_grad()
        terms["loss"].backward()
        metrics = {name: value.item() for name, value in terms.items()}
        self.optimizer.step()
        self.steps += 1
        return {**metrics, "lr": lr, "flop": 6.0 * self.n_weights * _n_pictures(batch)}

    def state(self) -> dict[str, Tensor]:
        """Return all that the next step depends on: weights, Adam's averages, the noise, how many steps were made."""
        state = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        for place, averages in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{place}.{name}": torch.as_tensor(value) for name, value in averages.items()}
        return {**state, "noise": self.noise.get_state(), "steps": torch.tensor(self.steps)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.net.load_state_dict(_below(state, "net."))
        averages: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(state, "optimizer.").items():
            place, kind = name.split(".")
            averages.setdefault(int(place), {})[kind] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": averages})
        self.noise.set_state(state["noise"])
        self.steps = int(state["steps"])


class ImageBatches:
    """A Stream of batches: every picture once an epoch, each epoch in an order of its own; a rest too small is left out.

    With labels, a batch is a pair.
    """

    def __init__(
        self, pictures: Float[Tensor, "n pixels"], batch: int, seed: int, labels: Tensor | None = None
    ) -> None:
        if not 0 < batch <= len(pictures):
            raise InputError(
                f"batches of {batch} cannot be made of {len(pictures)} pictures; ask for 1 to {len(pictures)}"
            )
        self.pictures, self.labels = pictures, labels
        self.batch = batch
        self.seed = seed
        self.epoch = self.place = 0
        self._order = self._shuffled()

    @property
    def per_epoch(self) -> int:
        """Return how many batches an epoch has."""
        return len(self.pictures) // self.batch

    def next(self) -> Batch:
        """Return the next batch."""
        if self.place == self.per_epoch:
            self.epoch, self.place = self.epoch + 1, 0
            self._order = self._shuffled()
        rows = self._order[self.place * self.batch : (self.place + 1) * self.batch]
        self.place += 1
        return self.pictures[rows] if self.labels is None else (self.pictures[rows], self.labels[rows])

    def state(self) -> dict[str, Tensor]:
        """Return where the stream stands."""
        return {"epoch": torch.tensor(self.epoch), "place": torch.tensor(self.place)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self.epoch, self.place = int(state["epoch"]), int(state["place"])
        self._order = self._shuffled()

    def _shuffled(self) -> Tensor:
        return torch.randperm(len(self.pictures), generator=generator(self.seed, "pictures", self.epoch))


def ramp(step: int, begin: int, end: int) -> float:
    """Return 0 up to `begin`, 1 from `end` on, and the straight line between: the usual form of a warm-up."""
    return min(max((step - begin) / max(end - begin, 1), 0.0), 1.0)


def _n_pictures(batch: Batch) -> int:
    return len(batch[0]) if isinstance(batch, tuple) else len(batch)


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
