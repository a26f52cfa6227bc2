"""Features that are never active: counted, pulled back by an auxiliary loss, or begun anew.

AuxK (Gao et al. 2024, 2406.04093, appendix A.2) lets the dead features reconstruct what the living leave over. Resampling
(Bricken et al. 2023) points each of them at an input that is reconstructed badly.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from glassbook.core.seeds import generator
from glassbook.features.dictionary import Dictionary

MOST_TOKENS = 10_000_000
"""After so many tokens without it a feature is dead in every training, however long."""

_AUX_ROWS = 1024
"""From about so many rows of a batch the auxiliary loss is estimated."""


def aux_loss(
    dictionary: Dictionary,
    x: Float[Tensor, "rows d_in"],
    residual: Float[Tensor, "rows d_out"],
    dead: Int[Tensor, " n_dead"],
    k: int,
) -> Float[Tensor, ""]:
    """Return the squared error, summed, at which the k most active dead features reconstruct the residual.

    It counts for less where fewer than k are dead.
    """
    pre = F.linear(x, dictionary.encoder[dead], dictionary.b_enc[dead])
    features = pre.relu()
    if len(dead) > k:
        values, indices = pre.topk(k, dim=-1, sorted=False)
        features = torch.zeros_like(pre).scatter(-1, indices, values.relu())
    missed = residual - features @ dictionary.decoder[dead]
    return missed.square().sum() * min(len(dead) / k, 1.0)


def aux_rows(n: int, first: int, n_here: int) -> Int[Tensor, " rows"]:
    """Return which of `n_here` rows, the first of them row `first` of n, the auxiliary loss looks at: every so many of all n."""
    every = max(n // _AUX_ROWS, 1)
    return torch.arange(-first % every, n_here, every)


@torch.no_grad()
def resample(
    dictionary: Dictionary,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Float[Tensor, "batch d_in"], Float[Tensor, "batch d_out"]],
    losses: Float[Tensor, " batch"],
    dead: Bool[Tensor, " n_features"],
    seed: tuple[int, int],
) -> None:
    """Begin dead features anew from inputs drawn in proportion to their squared loss.

    The direction is the input's, of the norm that directions have; the encoder's `revived_length` of those of living features on
    average, the bias 0; Adam forgets what it knew of them.
    """
    which = dead.nonzero().view(-1)
    if not len(which) or bool(dead.all()) or not losses.any():
        return
    x, target = batch
    drawn = torch.multinomial(
        losses.double().cpu().square(), len(which), replacement=True, generator=generator(seed[0], "resample", seed[1])
    ).to(x.device)
    alive = ~dead
    lengths = dictionary.encoder[alive].norm(dim=1).mean(), dictionary.decoder[alive].norm(dim=1).mean()
    dictionary.encoder[which] = F.normalize(x[drawn], dim=1) * dictionary.revived_length * lengths[0]
    dictionary.decoder[which] = F.normalize(target[drawn], dim=1) * lengths[1]
    dictionary.revive(which)
    for weight in dictionary.of_features:
        for name, average in optimizer.state.get(weight, {}).items():
            if name != "step":
                average[which] = 0
