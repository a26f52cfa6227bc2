"""The terms of the VAE are what the equations say: held against PyTorch's distributions and against sampling."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions
from torch.nn import functional as F

from glassbook.core.errors import InputError
from glassbook.models.vae import VAE, Gaussian, VAEConfig, bernoulli_nll, draw, gaussian_kl, gaussian_nll

SEEDS = st.integers(0, 2**31)


def random(seed: int, *shape: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_gaussian(seed: int, *shape: int) -> Gaussian:
    return Gaussian(random(seed, *shape), random(seed + 1, *shape))


def standard(d: int) -> distributions.Normal:
    return distributions.Normal(torch.zeros(d, dtype=torch.float64), torch.ones(d, dtype=torch.float64))


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 20))
def test_bernoulli_nll_is_the_distributions_log_probability_summed_over_pixels(seed, n_pixels):
    logits, x = random(seed, 3, n_pixels, scale=3), (random(seed + 1, 3, n_pixels) > 0).double()
    torch.testing.assert_close(bernoulli_nll(logits, x), -distributions.Bernoulli(logits=logits).log_prob(x).sum(-1))


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 20))
def test_gaussian_nll_is_the_distributions_log_probability_summed_over_pixels(seed, n_pixels):
    p, x = some_gaussian(seed, 3, n_pixels), random(seed + 2, 3, n_pixels)
    normal = distributions.Normal(p.mean, torch.exp(p.log_variance / 2))
    torch.testing.assert_close(gaussian_nll(p, x), -normal.log_prob(x).sum(-1))


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 20))
def test_gaussian_kl_is_the_distributions_kl_and_never_negative(seed, d):
    q = some_gaussian(seed, 4, d)
    normal = distributions.Normal(q.mean, torch.exp(q.log_variance / 2))
    torch.testing.assert_close(gaussian_kl(q), distributions.kl_divergence(normal, standard(d)).sum(-1))
    assert (gaussian_kl(q) >= 0).all()


def test_gaussian_kl_is_zero_at_the_prior_and_only_there():
    zero = torch.zeros(5)
    assert gaussian_kl(Gaussian(zero, zero)) == 0
    assert gaussian_kl(Gaussian(zero + 0.1, zero)) > 0 and gaussian_kl(Gaussian(zero, zero + 0.1)) > 0


def test_gaussian_kl_is_what_sampling_finds():
    q = Gaussian(torch.tensor([1.0, -0.5, 0.0]), torch.tensor([0.3, -1.0, 0.0]))
    z = draw(Gaussian(q.mean.expand(100_000, 3), q.log_variance.expand(100_000, 3)), torch.Generator().manual_seed(0))
    ratios = (-gaussian_nll(q, z)) - standard(3).log_prob(z.double()).sum(-1)
    assert abs(ratios.mean() - gaussian_kl(q)) < 4 * ratios.std() / math.sqrt(len(z))


def test_a_draw_carries_gradients_to_both_parameters_and_repeats_with_its_generator():
    q = Gaussian(torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True))
    first = draw(q, torch.Generator().manual_seed(7))
    first.sum().backward()
    assert (q.mean.grad == 1).all() and (q.log_variance.grad != 0).all()
    assert torch.equal(first, draw(q, torch.Generator().manual_seed(7)))
    assert not torch.equal(first, draw(q, torch.Generator().manual_seed(8)))


def linked_repository_loss(net: VAE, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return the loss of a batch as the linked notebook writes it: sums over everything."""
    q = net.posterior(x)
    decoded = net.decoder(q.mean + noise * torch.exp(0.5 * q.log_variance))
    pixels = F.binary_cross_entropy(decoded, x, reduction="sum")
    return pixels - 0.5 * torch.sum(1 + q.log_variance - q.mean.pow(2) - q.log_variance.exp())


def test_the_loss_is_the_linked_repositorys_sum_over_pixels_divided_by_the_batch():
    net, x = VAE(VAEConfig()), torch.rand(8, 784, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(8, 2, generator=torch.Generator().manual_seed(2))
    loss = net.loss(x, torch.Generator().manual_seed(2))["loss"]
    torch.testing.assert_close(loss, linked_repository_loss(net, x, noise) / 8)


def test_control_a_loss_averaged_over_pixels_is_found_out():
    net, x = VAE(VAEConfig()), torch.rand(8, 784)
    averaged = F.binary_cross_entropy(net.decoder(net.code(x)), x) + gaussian_kl(net.posterior(x)).mean()
    assert net.loss(x)["reconstruction"] > 100 * averaged


def test_the_sizes_are_those_of_the_linked_repository():
    shapes = {name: tuple(weight.shape) for name, weight in VAE(VAEConfig()).named_parameters() if "weight" in name}
    assert list(shapes.values()) == [(512, 784), (256, 512), (2, 256), (2, 256), (256, 2), (512, 256), (784, 512)]


def test_weights_depend_on_the_seed_alone_and_nobody_elses_random_numbers_move():
    before = torch.get_rng_state()
    one, again, other = (VAE(VAEConfig(n_pixels=9, hidden=(5,)), seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not torch.equal(one.decoder.pixels.weight, other.decoder.pixels.weight)


def test_beta_weighs_the_kl_and_nothing_else():
    x = torch.rand(6, 9)
    one, four = (
        VAE(VAEConfig(n_pixels=9, hidden=(5,), beta=beta)).loss(x, torch.Generator().manual_seed(0))
        for beta in (1.0, 4.0)
    )
    assert torch.equal(one["kl"], four["kl"]) and torch.equal(one["reconstruction"], four["reconstruction"])
    torch.testing.assert_close(four["loss"] - one["loss"], 3 * one["kl"])


def test_the_bound_lies_below_the_log_probability_that_importance_sampling_finds():
    net, x = VAE(VAEConfig(n_pixels=12, hidden=(8,)), seed=3), (torch.rand(5, 12) > 0.5).float()
    generator = torch.Generator().manual_seed(0)
    elbo = -torch.stack([sum(net.terms(x, generator).values()) for _ in range(400)]).mean(0)
    z = torch.randn(40_000, 5, 2, generator=generator)
    log_p = torch.logsumexp(-net.decoder.nll(z, x.expand(40_000, 5, 12)), 0) - math.log(40_000)
    assert (elbo < log_p + 0.02).all() and (log_p - elbo).max() > 0.001


def test_a_likelihood_that_is_not_here_is_refused():
    # The check of types, which only the tests switch on, speaks first.
    with pytest.raises((InputError, TypeError), match="bernoulli"):
        VAE(VAEConfig(likelihood="poisson"))
