"""JumpReLU: each feature has a threshold of its own, which is learned (Rajamanoharan et al. 2024, 2407.14435).

    f = pre [pre > theta],   pre = x W_enc + b_enc
    loss = |x - (f W_dec + b_dec)|^2 + lambda d_out sum_i [pre_i > theta_i]
A step has no slope, so theta learns from pseudo-derivatives (equations 11 and 12), a window K of width `bandwidth` around it:
    d f / d theta = -(theta / bandwidth) K((pre - theta) / bandwidth),   d [pre > theta] / d theta = -(1 / bandwidth) K(...)
With `k` the penalty is lambda d_out (L0 / k - 1)^2 instead, which brings the mean number of active features to k, and all
thresholds begin where k features are active. What is learned is log theta, in float32: Adam moves theta itself by its learning
rate, which is too little, and bfloat16 not at all.
"""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glassbook.features.dictionary import DICTIONARIES, Dictionary
from glassbook.features.faults import DictionaryError
from glassbook.features.objective import Learned, Step
from glassbook.features.topk import checked_k

_FIRST = 0.1
"""Where thresholds begin without a k; none that k places begins lower."""

_BEGUN_WITH = 256
"""Rows by which thresholds begin."""


@DICTIONARIES.add("jumprelu")
class JumpReLU(Dictionary):
    """Whatever is above its feature's threshold."""

    kind = "jumprelu"
    float32 = ("log_threshold",)
    # A shorter row would not reach the threshold on the very row that it was drawn from, and would learn nothing.
    revived_length = 1.0

    def __init__(
        self,
        d_in: int,
        n_features: int,
        d_out: int | None = None,
        *,
        k: int | None = None,
        bandwidth: float = 1.0,
        first_threshold: float | None = None,
    ) -> None:
        super().__init__(d_in, n_features, d_out)
        if not bandwidth > 0 or not (first_threshold is None or first_threshold > 0):
            raise DictionaryError(
                f"bandwidth {bandwidth} and first_threshold {first_threshold} must both be above 0; give others"
            )
        self.k = None if k is None else checked_k(k, n_features)
        self.bandwidth, self.first_threshold = bandwidth, first_threshold
        self.penalty = 0.003 if k is None else 1.0
        self.log_threshold = nn.Parameter(torch.full((n_features,), math.log(first_threshold or _FIRST)))

    @property
    def of_features(self) -> list[nn.Parameter]:
        return [*super().of_features, self.log_threshold]

    @property
    def logarithms(self) -> list[nn.Parameter]:
        return [self.log_threshold]

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k, "bandwidth": self.bandwidth, "first_threshold": self.first_threshold}

    @property
    def threshold(self) -> Float[Tensor, " n_features"]:
        """Return theta."""
        return self.log_threshold.exp()

    def activate(self, pre: Float[Tensor, "*batch n_features"]) -> Float[Tensor, "*batch n_features"]:
        """Return what is above its threshold."""
        return torch.where(pre.float() > self.threshold, pre, 0)

    @torch.no_grad()
    def begin(self, sample: Float[Tensor, "n d_in"]) -> None:
        """Put all thresholds where k features are active on average, unless `first_threshold` was given or there is no k."""
        if self.k is None or self.first_threshold is not None:
            return
        pre = self.pre_activations(sample[:_BEGUN_WITH].to(self.encoder.dtype)).float().flatten()
        n_below = max(len(pre) * (self.n_features - self.k) // self.n_features, 1)
        first = float(pre.cpu().kthvalue(n_below).values)
        self.log_threshold.fill_(math.log(max(first, _FIRST)))

    def learn(self, x: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"], step: Step) -> Learned:
        theta = self.threshold
        active = self.encoding(x, step).above((theta.detach() - self.bandwidth / 2).clamp(min=0))
        pre, theta = active.values, active.of_features(theta)
        is_above = active.only((pre > theta).float())
        window = active.only(((pre - theta).abs() < self.bandwidth / 2).float()).detach() / self.bandwidth
        # 0 in value; its slope is the pseudo-derivative.
        slope = window * (theta.detach() - theta)
        n_active = (is_above + slope).sum()
        values = pre * is_above + theta.detach() * slope
        return self.learned(active, values, target, step.sparsity * self.d_out * self._cost(n_active, step))

    def _cost(self, n_active: Tensor, step: Step) -> Tensor:
        """Return what is paid for this many active features, summed over the rows."""
        if self.k is None:
            return n_active
        # Over all processes' rows, of which this one pays its share; the slope is that of the whole.
        excess = step.processes.summed(n_active.detach()) / step.n_rows / self.k - 1
        share = step.n_rows / step.processes.size
        return excess.square() * share + 2 * excess / self.k * (n_active - n_active.detach())

    @torch.no_grad()
    def rescale(self, factors: Float[Tensor, " n_features"]) -> None:
        super().rescale(factors)
        self.log_threshold.add_(factors.log())

    @torch.no_grad()
    def revive(self, features: Int[Tensor, " n"]) -> None:
        super().revive(features)
        # Of those that are there the middle one: from so low a beginning as the first they would be active at every token.
        self.log_threshold[features] = self.log_threshold.median()
