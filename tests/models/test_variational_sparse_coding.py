"""The terms of variational sparse coding: against the printed formulas, against sampling, and with planted faults."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions

from glassbook.models.vae import Gaussian, gaussian_kl, gaussian_nll
from glassbook.models.variational_sparse_coding import (
    PseudoInputSparseCoding,
    SpikeAndSlab,
    VariationalSparseCoding,
    VSCConfig,
    bernoulli_kl,
    hard_spikes,
    slab_kl,
    soft_spikes,
    sparse_prior,
    spike_and_slab_kl,
    spike_probability,
    spike_sparsity,
)

SEEDS = st.integers(0, 2**31)
TINY = VSCConfig(n_pixels=12, hidden=(10,), d_latent=6, alpha=0.2, n_pseudo_inputs=4)


def code(seed: int, *shape: int) -> SpikeAndSlab:
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return SpikeAndSlab(mean, log_variance, 0.02 + 0.96 * torch.rand(shape, generator=generator, dtype=torch.float64))


@settings(max_examples=50)
@given(SEEDS, SEEDS, st.integers(1, 12))
def test_the_divergence_of_spikes_and_slabs_is_never_negative_and_zero_only_from_itself(one, other, d):
    q, p = code(one, 3, d), code(other, 3, d)
    assert (spike_and_slab_kl(q, p) >= 0).all()
    assert spike_and_slab_kl(q, q).abs().max() < 1e-9
    assert one == other or (spike_and_slab_kl(q, p) > 1e-6).all()


@settings(max_examples=50)
@given(SEEDS, st.integers(1, 12), st.sampled_from([0.01, 0.2, 0.5]))
def test_against_the_sparse_prior_it_is_the_first_versions_printed_formula(seed, d, alpha):
    q = code(seed, 3, d)
    slab = q.gamma * 0.5 * (q.mean**2 + q.log_variance.exp() - 1 - q.log_variance)
    spike = (1 - q.gamma) * ((1 - q.gamma) / (1 - alpha)).log() + q.gamma * (q.gamma / alpha).log()
    torch.testing.assert_close(spike_and_slab_kl(q, sparse_prior(alpha, q.mean)), (slab + spike).sum(-1))


@settings(max_examples=50)
@given(SEEDS, st.integers(1, 12))
def test_against_another_code_it_is_the_second_versions_formula_with_squares(seed, d):
    q, p = code(seed, 3, d), code(seed + 1, 3, d)
    std_q, std_p = (torch.exp(one.log_variance / 2) for one in (q, p))
    slab = (std_p / std_q).log() + (std_q**2 + (q.mean - p.mean) ** 2) / (2 * std_p**2) - 0.5
    torch.testing.assert_close(slab_kl(q, p), slab)
    normals = [distributions.Normal(one.mean, std) for one, std in ((q, std_q), (p, std_p))]
    torch.testing.assert_close(slab, distributions.kl_divergence(*normals))
    unsquared = (std_p / std_q).log() + (std_q + (q.mean - p.mean)) / (2 * std_p) - 0.5
    assert (unsquared < 0).any() or not torch.allclose(unsquared, slab)


@settings(max_examples=50)
@given(SEEDS, st.integers(1, 12))
def test_the_divergence_of_spikes_is_that_of_coins(seed, d):
    q, p = code(seed, d).gamma, code(seed + 1, d).gamma
    coins = distributions.kl_divergence(distributions.Bernoulli(q), distributions.Bernoulli(p))
    torch.testing.assert_close(bernoulli_kl(q, p), coins)
    assert torch.isfinite(bernoulli_kl(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]))).all()


def test_the_closed_form_is_what_sampling_finds():
    q, p = code(5, 4), code(6, 4)
    generator, n = torch.Generator().manual_seed(0), 200_000
    used = torch.rand(n, 4, generator=generator, dtype=torch.float64) < q.gamma
    noise = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    z = q.mean + torch.exp(q.log_variance / 2) * noise

    def log_density(one: SpikeAndSlab) -> torch.Tensor:
        slab = -gaussian_nll(Gaussian(one.mean[:, None], one.log_variance[:, None]), z[..., None])
        return torch.where(used, one.gamma.log() + slab, torch.log1p(-one.gamma)).sum(-1)

    ratios = log_density(q) - log_density(p)
    assert abs(ratios.mean() - spike_and_slab_kl(q, p)) < 4 * ratios.std() / math.sqrt(n)


def test_where_every_coordinate_is_used_it_is_the_vaes_divergence():
    q = code(1, 3, 5)._replace(gamma=torch.ones(3, 5, dtype=torch.float64))
    prior = sparse_prior(1.0, q.mean)
    torch.testing.assert_close(spike_and_slab_kl(q, prior), gaussian_kl(Gaussian(q.mean, q.log_variance)))


def test_the_spike_probability_is_one_for_positive_scores_and_falls_below():
    v = torch.tensor([2.0, 0.0, -1.0, -5.0])
    torch.testing.assert_close(spike_probability(v), torch.tensor([1.0, 1.0, math.exp(-1), math.exp(-5)]))


def test_hard_spikes_are_the_limit_of_soft_ones_and_fall_as_often_as_gamma_says():
    gamma, noise = code(2, 500, 20).gamma, torch.rand(500, 20, dtype=torch.float64)
    hard = hard_spikes(gamma, noise)
    assert set(hard.unique().tolist()) == {0.0, 1.0}
    assert (soft_spikes(gamma, noise, 1e7) - hard).abs().max() < 1e-3
    assert abs(hard.mean() - gamma.mean()) < 0.02


def test_control_a_soft_spike_at_test_is_not_sparse():
    soft = soft_spikes(torch.full((1000,), 0.1), torch.rand(1000), 50.0)
    assert (soft == 0).sum() == 0 and soft.min() > 0


@given(st.floats(0.001, 0.999), st.integers(1, 300))
def test_sparsity_is_free_where_the_mean_spike_is_alpha_and_costs_in_proportion_to_the_width(alpha, d):
    at = torch.full((d,), alpha, dtype=torch.float64)
    assert spike_sparsity(at, alpha).abs() < 1e-6
    off = torch.full((d,), 0.5, dtype=torch.float64)
    torch.testing.assert_close(spike_sparsity(off, 0.01), d * spike_sparsity(off[:1], 0.01))


def test_control_sparsity_without_the_factor_of_the_width_is_found_out():
    gamma = torch.full((60,), 0.5)
    without = bernoulli_kl(gamma.mean(), torch.tensor(0.01))
    assert spike_sparsity(gamma, 0.01) / without == pytest.approx(60)


@pytest.mark.parametrize("kind", [VariationalSparseCoding, PseudoInputSparseCoding])
def test_codes_are_exactly_zero_at_test_and_soft_while_training(kind):
    net, x = kind(TINY, seed=1), torch.rand(64, 12)
    torch.nn.init.constant_(net.encoder.heads["spike"].bias, -1.0)
    q = net.posterior(x)
    assert ((net.code(x) == 0) == (q.gamma <= 0.5)).all()
    net.eval()
    assert 0.2 < (net.draw(q) == 0).float().mean() < 0.9
    net.train()
    assert (net.draw(q) == 0).sum() == 0


@pytest.mark.parametrize("kind", [VariationalSparseCoding, PseudoInputSparseCoding])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_loss_is_the_sum_of_its_terms_and_every_weight_gets_a_gradient(kind, likelihood):
    net = kind(VSCConfig(n_pixels=12, hidden=(10,), d_latent=6, n_pseudo_inputs=4, likelihood=likelihood))
    terms = net.loss(torch.rand(32, 12), torch.Generator().manual_seed(0))
    torch.testing.assert_close(terms["loss"], sum(value for name, value in terms.items() if name != "loss"))
    terms["loss"].backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in net.parameters())
    assert all((weight.grad != 0).any() for name, weight in net.named_parameters() if "spike" not in name)


def test_one_pseudo_input_is_selected_and_the_weights_sum_to_one():
    net, x = PseudoInputSparseCoding(TINY, seed=0), torch.rand(20, 12)
    torch.testing.assert_close(net.select(x).sum(-1), torch.ones(20))
    torch.nn.init.constant_(net.selection.weight, 0.0)
    net.selection.bias.data = torch.tensor([9.0, -9.0, -9.0, -9.0])
    torch.testing.assert_close(net.select(x)[:, 0], torch.ones(20))


def test_the_term_of_pseudo_inputs_is_the_divergence_from_the_selected_one():
    net, x = PseudoInputSparseCoding(TINY, seed=0), torch.rand(20, 12)
    torch.nn.init.constant_(net.selection.weight, 0.0)
    net.selection.bias.data = torch.tensor([-9.0, 9.0, -9.0, -9.0])
    selected = SpikeAndSlab(*(value[1] for value in net.pseudo_codes()))
    terms = net.terms(x)
    torch.testing.assert_close(terms["kl"], spike_and_slab_kl(net.posterior(x), selected))
    torch.testing.assert_close(terms["sparsity"], spike_sparsity(selected.gamma, 0.2).expand(20))


def test_before_the_warm_up_only_which_coordinates_are_used_can_tell_anything():
    net = PseudoInputSparseCoding(TINY, seed=0)
    q = net.posterior(torch.rand(5, 12))
    net.slab_share = 0.0
    cold = net.warmed(q)
    assert (cold.mean == 0).all() and (cold.log_variance == 0).all() and torch.equal(cold.gamma, q.gamma)
    net.slab_share = 1.0
    assert torch.equal(net.warmed(q).mean, q.mean)


def test_the_reported_divergence_is_of_the_whole_code_even_during_the_warm_up():
    net, x = PseudoInputSparseCoding(TINY, seed=0), torch.rand(5, 12)
    warm = net.terms(x)["kl"]
    net.slab_share = 0.0
    assert torch.equal(net.terms(x)["kl"], warm)
    assert not torch.allclose(spike_and_slab_kl(net.warmed(net.posterior(x)), sparse_prior(0.2, torch.zeros(6))), warm)
