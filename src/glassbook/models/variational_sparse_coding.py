"""Variational sparse coding: a VAE whose code is mostly zeros, in both published versions.

A spike decides whether a coordinate of the code is used at all, a slab says with which value: with probability gamma_j the
coordinate is normal, else it is exactly 0. The first version (Tonolini et al., submitted to ICLR 2019) holds the code against
one sparse prior; the second (UAI 2019) against the codes of learned pseudo-inputs, one of which is selected for each picture.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from glassbook.models.vae import Decoder, Encoder, Gaussian, Likelihood, Terms, draw, seeded

_SMALLEST = 1e-6  # of a probability, so that its logarithm is finite


class SpikeAndSlab(NamedTuple):
    """Coordinates that are 0 with probability 1 - gamma and normal with probability gamma, independent of each other."""

    mean: Float[Tensor, "*batch d"]
    log_variance: Float[Tensor, "*batch d"]
    gamma: Float[Tensor, "*batch d"]


@dataclass(frozen=True)
class VSCConfig:
    """Sizes and priors of variational sparse coding.

    `alpha` is the share of coordinates the prior uses. `sharpness` is c of the soft step that spikes are while training. The
    last three belong to the second version: how many pseudo-inputs, nu of their spikes, and how sharply one is selected.
    """

    n_pixels: int = 784
    hidden: tuple[int, ...] = (400,)
    d_latent: int = 200
    alpha: float = 0.01
    likelihood: Likelihood = "bernoulli"
    sharpness: float = 50.0
    n_pseudo_inputs: int = 20
    pseudo_sharpness: float = 10.0
    selection_sharpness: float = 60.0


def spike_probability(v: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """Return gamma of the encoder's third head: log gamma = -ReLU(-v), so that gamma is 1 wherever v is positive."""
    return torch.exp(-F.relu(-v))


def bernoulli_kl(q: Float[Tensor, "*batch"], p: Float[Tensor, "*other"]) -> Float[Tensor, "*both"]:
    """Return KL between coins that fall with probabilities q and p, in nats, element by element.

    (1 - q) log[(1 - q) / (1 - p)] + q log(q / p); both are kept 1e-6 away from 0 and 1.
    """
    q, p = q.clamp(_SMALLEST, 1 - _SMALLEST), p.clamp(_SMALLEST, 1 - _SMALLEST)
    return (1 - q) * (torch.log1p(-q) - torch.log1p(-p)) + q * (q.log() - p.log())


def slab_kl(q: SpikeAndSlab, p: SpikeAndSlab) -> Float[Tensor, "*both"]:
    """Return KL between the slabs alone, in nats, element by element.

    log(std_p / std_q) + (var_q + (mean_q - mean_p)^2) / (2 var_p) - 1/2. The paper's equation 9 prints no squares in the
    fraction; supplement and code have them.
    """
    spread = torch.exp(q.log_variance - p.log_variance) + (q.mean - p.mean).square() * torch.exp(-p.log_variance)
    return 0.5 * (p.log_variance - q.log_variance + spread - 1)


def spike_and_slab_kl(q: SpikeAndSlab, p: SpikeAndSlab) -> Float[Tensor, "*both"]:
    """Return KL(q || p), summed over the code, in nats: sum_j gamma_j KL(slabs) + KL(spikes).

    With p = `sparse_prior(alpha)` it is the first version's term, with p the code of a pseudo-input the second's.
    """
    return (q.gamma * slab_kl(q, p) + bernoulli_kl(q.gamma, p.gamma)).sum(-1)


def sparse_prior(alpha: float, like: Tensor) -> SpikeAndSlab:
    """Return the first version's prior, alpha N(0, 1) + (1 - alpha) 0, on the device of `like`."""
    zero = torch.zeros(like.shape[-1], dtype=like.dtype, device=like.device)
    return SpikeAndSlab(zero, zero, torch.full_like(zero, alpha))


def spike_sparsity(gamma: Float[Tensor, "*batch d"], alpha: float) -> Float[Tensor, "*batch"]:
    """Return J KL(mean_j gamma_j || alpha) in nats: how far the selected pseudo-input uses another share than alpha.

    The factor J, the number of coordinates, makes it weigh as much as the other terms; without it, sparsity is hardly asked for.
    """
    mean = gamma.mean(-1)
    return gamma.shape[-1] * bernoulli_kl(mean, torch.as_tensor(alpha, dtype=mean.dtype, device=mean.device))


def soft_spikes(gamma: Float[Tensor, "*batch d"], noise: Float[Tensor, "*batch d"], sharpness: float) -> Tensor:
    """Return S(c (noise - 1 + gamma)) for uniform noise: a spike that gradients pass through, never exactly 0."""
    return torch.sigmoid(sharpness * (noise - 1 + gamma))


def hard_spikes(gamma: Float[Tensor, "*batch d"], noise: Float[Tensor, "*batch d"]) -> Tensor:
    """Return the limit of `soft_spikes` for c without bound: exactly 1 with probability gamma, else exactly 0."""
    return (noise > 1 - gamma).to(gamma.dtype)


class VariationalSparseCoding(nn.Module):
    """The first version: one prior, of which a share alpha is not zero. Weights depend on `seed` alone.

    While training, spikes are soft with `sharpness`, which is to be raised; in `eval` they are exact, and so are zeros.
    """

    def __init__(self, config: VSCConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.sharpness = config.sharpness
        with seeded(seed):
            self.encoder = Encoder(config.n_pixels, config.hidden, config.d_latent, ("mean", "log_variance", "spike"))
            self.decoder = Decoder(config.d_latent, config.hidden[::-1], config.n_pixels, config.likelihood)

    def posterior(self, x: Float[Tensor, "batch pixels"]) -> SpikeAndSlab:
        """Return q(z|x)."""
        said = self.encoder(x)
        return SpikeAndSlab(said["mean"], said["log_variance"], spike_probability(said["spike"]))

    def code(self, x: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch d"]:
        """Return the code that stands for a picture at test: the slab's mean where gamma > 1/2, else exactly 0."""
        q = self.posterior(x)
        return q.mean * (q.gamma > 0.5)

    def draw(self, q: SpikeAndSlab, generator: Generator | None = None) -> Float[Tensor, "*batch d"]:
        """Return a sample of the code: soft spikes while training, exact ones in `eval`."""
        slab = draw(Gaussian(q.mean, q.log_variance), generator)
        noise = torch.rand(q.gamma.shape, generator=generator, dtype=q.gamma.dtype, device=q.gamma.device)
        spikes = soft_spikes(q.gamma, noise, self.sharpness) if self.training else hard_spikes(q.gamma, noise)
        return slab * spikes

    def terms(self, x: Float[Tensor, "batch pixels"], generator: Generator | None = None) -> Terms:
        """Return "reconstruction" and "kl" of each picture in nats, with one sample of the code."""
        q = self.posterior(x)
        kl = spike_and_slab_kl(q, sparse_prior(self.config.alpha, q.mean))
        return {"reconstruction": self.decoder.nll(self.draw(q, generator), x), "kl": kl}

    def loss(self, x: Float[Tensor, "batch pixels"], generator: Generator | None = None) -> Terms:
        """Return "loss", the mean of all terms' sum over the batch, and the mean of each."""
        means = {name: values.mean() for name, values in self.terms(x, generator).items()}
        return {"loss": torch.stack(list(means.values())).sum(), **means}


class PseudoInputSparseCoding(VariationalSparseCoding):
    """The second version: the prior of a picture is the code of a learned pseudo-input that is selected for it.

    `slab_share` is lambda of the spike warm-up: at 0 a used coordinate is pure noise, so that only which coordinates are used
    can tell anything; at 1 the code is whole. The KL is always that of the whole code.
    """

    def __init__(self, config: VSCConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.slab_share = 1.0
        with seeded(seed + 1):
            self.pseudo_inputs = nn.Parameter(
                nn.init.xavier_uniform_(torch.empty(config.n_pseudo_inputs, config.n_pixels))
            )
            self.selection = nn.Linear(config.n_pixels, config.n_pseudo_inputs)

    def select(self, x: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch pseudo"]:
        """Return how much each pseudo-input is selected; rows sum to 1 and come near to one-hot (supplement A.3).

        One layer with a sigmoid, divided by its sum, then S(60 (u - 1/2)), and divided by the sum of that.
        """
        u = torch.sigmoid(self.selection(x))
        u = u / u.sum(-1, keepdim=True)
        return torch.softmax(F.logsigmoid(self.config.selection_sharpness * (u - 0.5)), dim=-1)

    def pseudo_codes(self) -> SpikeAndSlab:
        """Return the codes of all pseudo-inputs, their spikes made sharp: S(nu (gamma - 1/2))."""
        q = self.posterior(self.pseudo_inputs)
        return q._replace(gamma=torch.sigmoid(self.config.pseudo_sharpness * (q.gamma - 0.5)))

    def warmed(self, q: SpikeAndSlab) -> SpikeAndSlab:
        """Return the code with mean and log variance times lambda."""
        return SpikeAndSlab(self.slab_share * q.mean, self.slab_share * q.log_variance, q.gamma)

    def terms(self, x: Float[Tensor, "batch pixels"], generator: Generator | None = None) -> Terms:
        """Return "reconstruction", "kl" and "sparsity" of each picture in nats; the ELBO is minus the first two."""
        q, pseudo, weights = self.posterior(x), self.pseudo_codes(), self.select(x)
        each = spike_and_slab_kl(SpikeAndSlab(*(value.unsqueeze(-2) for value in q)), pseudo)
        return {
            "reconstruction": self.decoder.nll(self.draw(self.warmed(q), generator), x),
            "kl": (weights * each).sum(-1),
            "sparsity": spike_sparsity(weights @ pseudo.gamma, self.config.alpha),
        }
