"""An objective compiled by torch, where there is a compiler; where there is none it is computed as it stands."""

import warnings

import torch
from jaxtyping import Float
from torch import Tensor

from glassbook.features.dictionary import Dictionary
from glassbook.features.faults import DictionaryWarning
from glassbook.features.objective import Learned, Step


class Compiled:
    """The objective of a dictionary, compiled when it is first asked for."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._plain = dictionary.learn
        self._learn = torch.compile(dictionary.learn)

    def __call__(self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"], step: Step) -> Learned:
        """Return what the objective says of a batch; say once where it could not be compiled."""
        try:
            return self._learn(x, target, step)
        except torch._dynamo.exc.TorchDynamoException as fault:
            if self._learn is self._plain:
                raise
            reason = str(fault).strip().splitlines()[0].rstrip(".")[:200]
            warnings.warn(
                f"the objective is not compiled here ({reason}); the training goes on without, only slower",
                DictionaryWarning,
                stacklevel=2,
            )
            self._learn = self._plain
            return self._plain(x, target, step)
