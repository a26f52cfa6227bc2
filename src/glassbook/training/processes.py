"""The processes that make one training together; most trainings are made by one alone."""

from dataclasses import dataclass

import torch
from torch import Tensor, distributed

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """This process and how many there are; the one of rank 0 writes what is kept."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def is_first(self) -> bool:
        """Return whether this is the process that writes."""
        return self.rank == 0

    def rows(self, n: int) -> slice:
        """Return which of `n` rows of a batch are this process's, as evenly as they divide."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def any(self, flag: bool) -> bool:
        """Return whether the flag is up in any process, so that all of them do the same next."""
        return bool(self.summed(torch.tensor(float(flag)))) if self.size > 1 else flag

    def summed(self, value: Tensor) -> Tensor:
        """Return the sum of every process's value."""
        if self.size == 1:
            return value
        total = value.detach().to(self.device, copy=True)
        distributed.all_reduce(total)
        return total.to(value.device)

    def from_first(self, text: str) -> str:
        """Return the text that the first process gives."""
        if self.size == 1:
            return text
        raw = text.encode()
        length = int(self.summed(torch.tensor(len(raw) if self.is_first else 0)))
        content = torch.zeros(length, dtype=torch.int32)
        if self.is_first:
            content += torch.tensor(list(raw), dtype=torch.int32)
        return bytes(self.summed(content).tolist()).decode()


ALONE = Processes()
