"""What an objective is told of its step, and what it says of the batch."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glassbook.training.processes import ALONE, Processes


@dataclass(frozen=True, slots=True)
class Step:
    """What an objective is told of the step that it belongs to.

    `sparsity` weighs the penalty, in the kinds that have one. `whole` says in which form features are held, `dtype` in which
    precision the encoder's product is formed, and of wholes the decoder's. `floor` is a guess at the threshold of a batch,
    which costs time where it is wrong and changes nothing. The batch has `n_rows` in all `processes` that share it.
    """

    n_rows: int
    sparsity: Float[Tensor, ""] = field(default_factory=lambda: torch.tensor(0.0))
    whole: bool = False
    dtype: torch.dtype = torch.float32
    floor: float = 0.0
    processes: Processes = ALONE


@dataclass(frozen=True, slots=True)
class Learned:
    """What an objective says of a batch.

    `objective`, summed over the rows, is what is minimized: the squared error and whatever the kind adds. `squares` is the
    squared error alone, `residual` what the reconstruction lacks, `counts` in how many rows each feature was active, `limit`
    the smallest value that was kept.
    """

    objective: Float[Tensor, ""]
    squares: Float[Tensor, ""]
    residual: Float[Tensor, "batch d_out"]
    counts: Int[Tensor, " n_features"]
    limit: Float[Tensor, ""] | None = None
