"""The gated dictionary: which features are active is decided apart from how strong they are.

Rajamanoharan et al. 2024 (2404.16014), equations 6 to 8.

    gate = x W_enc + b_enc,   f = [gate > 0] ReLU(exp(r) (gate - b_enc) + b_mag)
    loss = |x - (f W_dec + b_dec)|^2 + lambda sqrt(d_out) sum_i ReLU(gate_i) + |x - (ReLU(gate) W_dec* + b_dec*)|^2
where * marks what gets no gradient: the penalty presses on the gate and not on the values.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glassbook.features.dictionary import DICTIONARIES, Dictionary
from glassbook.features.objective import Learned, Step
from glassbook.features.sparse_products import squared_error


@DICTIONARIES.add("gated")
class Gated(Dictionary):
    """Features that a gate lets through."""

    kind = "gated"
    penalty = 0.08

    def __init__(self, d_in: int, n_features: int, d_out: int | None = None) -> None:
        super().__init__(d_in, n_features, d_out)
        self.r_mag = nn.Parameter(torch.zeros(n_features))
        self.b_mag = nn.Parameter(torch.zeros(n_features))

    @property
    def of_features(self) -> list[nn.Parameter]:
        return [*super().of_features, self.r_mag, self.b_mag]

    def activate(self, pre: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch n_features"]:
        """Return the values of the features whose gate is open."""
        values = self.r_mag.exp() * (pre - self.b_enc) + self.b_mag
        return torch.where(pre > 0, values.relu(), 0)

    def learn(self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"], step: Step) -> Learned:
        active = self.encoding(x, step).above(0.0)
        gates = active.values
        slope, shift = self.r_mag.exp(), self.b_mag - self.r_mag.exp() * self.b_enc
        values = active.only((gates * active.of_features(slope) + active.of_features(shift)).relu())
        beside, _ = squared_error(active.decode(gates, self.decoder.detach()) + self.b_dec.detach(), target)
        return self.learned(active, values, target, step.sparsity * self.d_out**0.5 * gates.sum() + beside)

    @torch.no_grad()
    def rescale(self, factors: Float[Tensor, " n_features"]) -> None:
        super().rescale(factors)
        self.b_mag.mul_(factors)

    @torch.no_grad()
    def take_off(self, center: Float[Tensor, " d_in"]) -> None:
        super().take_off(center)
        self.b_mag.sub_(self.r_mag.exp() * (self.encoder @ center))

    @torch.no_grad()
    def revive(self, features: Int[Tensor, " n"]) -> None:
        super().revive(features)
        self.r_mag[features] = 0
        self.b_mag[features] = 0
