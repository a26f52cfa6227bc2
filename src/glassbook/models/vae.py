"""The variational auto-encoder (Kingma & Welling 2014): a code that is a distribution, and a bound that is trained.

An encoder reads a picture x and says where its code z may lie, q(z|x); a decoder reads a code and says which pictures it
means, p(x|z). Both are trained to make the evidence lower bound large,
    ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)).
Every term here is in nats a picture: summed over pixels and over the code, never averaged over them.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from glassbook.core.errors import InputError

Likelihood = Literal["bernoulli", "gaussian"]
Terms = dict[str, Tensor]
"""What a step of training reports: "loss", which is minimized, and its parts, each in nats a picture."""


class Gaussian(NamedTuple):
    """A normal distribution with independent coordinates; the variance as its logarithm."""

    mean: Float[Tensor, "*batch d"]
    log_variance: Float[Tensor, "*batch d"]


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of a VAE: `hidden` from the picture to the code; the decoder mirrors them.

    (512, 256) are those of lyeoni/pytorch-mnist-VAE, (400,) the one hidden layer of the papers. `beta` weighs the KL
    term (1: the ELBO).
    """

    n_pixels: int = 784
    hidden: tuple[int, ...] = (512, 256)
    d_latent: int = 2
    likelihood: Likelihood = "bernoulli"
    beta: float = 1.0


def bernoulli_nll(logits: Float[Tensor, "*batch pixels"], x: Float[Tensor, "*batch pixels"]) -> Float[Tensor, "*batch"]:
    """Return -log p(x|z) of pixels that are on with probability sigmoid(logits), summed over the pixels, in nats.

    -sum_i [x_i log p_i + (1 - x_i) log(1 - p_i)]. For gray pixels in [0, 1] it is a pseudo-likelihood: never hold it against
    one of binary pixels.
    """
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def gaussian_nll(p: Gaussian, x: Float[Tensor, "*batch pixels"]) -> Float[Tensor, "*batch"]:
    """Return -log p(x|z) of normal pixels, summed over the pixels, in nats.

    sum_i [(x_i - mean_i)^2 / (2 var_i) + log(2 pi var_i) / 2].
    """
    squares = (x - p.mean).square() * torch.exp(-p.log_variance)
    return 0.5 * (squares + p.log_variance + math.log(2 * math.pi)).sum(-1)


def gaussian_kl(q: Gaussian) -> Float[Tensor, "*batch"]:
    """Return KL(q || N(0, 1)), summed over the code, in nats.

    -1/2 sum_j (1 + log var_j - mean_j^2 - var_j) (Kingma & Welling 2014, appendix B).
    """
    return -0.5 * (1 + q.log_variance - q.mean.square() - q.log_variance.exp()).sum(-1)


def draw(q: Gaussian, generator: Generator | None = None) -> Float[Tensor, "*batch d"]:
    """Return z = mean + std * noise: a sample through which gradients reach both parameters."""
    noise = torch.randn(q.mean.shape, generator=generator, dtype=q.mean.dtype, device=q.mean.device)
    return q.mean + torch.exp(0.5 * q.log_variance) * noise


class Encoder(nn.Module):
    """Layers with ReLU from a picture to hidden units, and one linear head for each parameter of the code."""

    def __init__(self, n_pixels: int, hidden: tuple[int, ...], d_latent: int, heads: tuple[str, ...]) -> None:
        super().__init__()
        self.layers = mlp((n_pixels, *hidden))
        self.heads = nn.ModuleDict({name: nn.Linear(hidden[-1], d_latent) for name in heads})

    def forward(self, x: Float[Tensor, "batch pixels"]) -> dict[str, Float[Tensor, "batch d"]]:
        """Return what every head says of the pictures."""
        hidden = self.layers(x)
        return {name: head(hidden) for name, head in self.heads.items()}


class Decoder(nn.Module):
    """Layers with ReLU from a code to hidden units, and a linear layer to the pixels' logits, or means and variances."""

    def __init__(self, d_latent: int, hidden: tuple[int, ...], n_pixels: int, likelihood: Likelihood) -> None:
        super().__init__()
        if likelihood not in ("bernoulli", "gaussian"):
            raise InputError(f"no likelihood is named '{likelihood}'; known: bernoulli, gaussian")
        self.likelihood = likelihood
        self.layers = mlp((d_latent, *hidden))
        self.pixels = nn.Linear(hidden[-1], n_pixels * (1 if likelihood == "bernoulli" else 2))

    def forward(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch pixels"]:
        """Return the expected pixels of a code, from 0 to 1."""
        pixels = self.pixels(self.layers(z))
        return torch.sigmoid(pixels if self.likelihood == "bernoulli" else pixels.chunk(2, dim=-1)[0])

    def nll(self, z: Float[Tensor, "*batch d"], x: Float[Tensor, "*batch pixels"]) -> Float[Tensor, "*batch"]:
        """Return -log p(x|z) in nats a picture; the mean of normal pixels goes through a sigmoid, as in the papers."""
        pixels = self.pixels(self.layers(z))
        if self.likelihood == "bernoulli":
            return bernoulli_nll(pixels, x)
        mean, log_variance = pixels.chunk(2, dim=-1)
        return gaussian_nll(Gaussian(torch.sigmoid(mean), log_variance), x)


class VAE(nn.Module):
    """The variational auto-encoder with a normal code; its weights depend on `seed` alone."""

    def __init__(self, config: VAEConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with seeded(seed):
            self.encoder = Encoder(config.n_pixels, config.hidden, config.d_latent, ("mean", "log_variance"))
            self.decoder = Decoder(config.d_latent, config.hidden[::-1], config.n_pixels, config.likelihood)

    def posterior(self, x: Float[Tensor, "batch pixels"]) -> Gaussian:
        """Return q(z|x)."""
        said = self.encoder(x)
        return Gaussian(said["mean"], said["log_variance"])

    def code(self, x: Float[Tensor, "batch pixels"]) -> Float[Tensor, "batch d"]:
        """Return the code that stands for a picture at test: the mean of q(z|x)."""
        return self.posterior(x).mean

    def terms(self, x: Float[Tensor, "batch pixels"], generator: Generator | None = None) -> Terms:
        """Return "reconstruction" and "kl" of each picture in nats, with one sample of the code."""
        q = self.posterior(x)
        return {"reconstruction": self.decoder.nll(draw(q, generator), x), "kl": gaussian_kl(q)}

    def loss(self, x: Float[Tensor, "batch pixels"], generator: Generator | None = None) -> Terms:
        """Return "loss", the mean of -ELBO over the batch with the KL weighed by beta, and the means of its parts."""
        terms = {name: values.mean() for name, values in self.terms(x, generator).items()}
        return {"loss": terms["reconstruction"] + self.config.beta * terms["kl"], **terms}


def mlp(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return linear layers of these widths, each with a ReLU after it."""
    return nn.Sequential(*(part for pair in pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let PyTorch's own initialization depend on this seed, and leave everybody else's random numbers alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
