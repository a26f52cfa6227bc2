"""How directions turn while they are held at norm 1: less and less, the more each has moved.

Adam moves every direction by about the same at each step, however often its feature was active. Where rows are free to grow, a
step at right angles makes a row longer, and the same step turns a longer row by less (Arora, Li and Lyu 2018, 1812.03981): what
has learned settles, what seldom learns can still turn. Here the row that Adam moves is the direction times such a length.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from glassbook.features.dictionary import Dictionary

_TINY = torch.finfo(torch.float32).tiny


class Turning:
    """The lengths of a dictionary's directions as its optimizer sees them; all stay 1 where the first length is 0.

    It does nothing in kinds whose directions are not held at norm 1.
    """

    def __init__(self, dictionary: Dictionary, first_length: float) -> None:
        self.dictionary, self.settles = dictionary, first_length > 0
        self.first = first_length or 1.0
        self.lengths: Float[Tensor, " n_features"] = dictionary.b_enc.detach().new_full(
            (dictionary.n_features,), self.first
        )

    @torch.no_grad()
    def aim(self) -> None:
        """Take off the gradient what points along a direction, which could only change its norm."""
        decoder = self.dictionary.decoder
        if self.dictionary.has_unit_rows and decoder.grad is not None:
            along = torch.linalg.vecdot(decoder.grad, decoder)
            decoder.grad.addcmul_(decoder, along[:, None], value=-1)

    @torch.no_grad()
    def lengthen(self) -> None:
        """Give the directions their lengths, for the optimizer's step."""
        if self.dictionary.has_unit_rows and self.settles:
            self.dictionary.decoder.mul_(self.lengths[:, None])

    @torch.no_grad()
    def shorten(self) -> None:
        """Hold the directions at norm 1 again and keep the lengths that they came to."""
        if not self.dictionary.has_unit_rows:
            return
        norms = self.dictionary.decoder.norm(dim=1).clamp_(min=_TINY)
        self.dictionary.decoder.div_(norms[:, None])
        if self.settles:
            self.lengths.copy_(norms)

    def begin(self, features: Bool[Tensor, " n_features"]) -> None:
        """Give these features the length of the beginning."""
        self.lengths[features] = self.first
