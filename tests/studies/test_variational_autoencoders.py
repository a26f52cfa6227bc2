"""The study's own measures: contrast of blocks, probes, PCA and walks, each on cases whose answer is known."""

import numpy as np
import pytest
import torch

from glassbook.images import draw_smileys
from glassbook.images.smiley import attribute_of_factor
from glassbook.models.variational_sparse_coding import PseudoInputSparseCoding, VariationalSparseCoding, VSCConfig
from glassbook.studies.variational_autoencoders.blocks import contrasts, correlations, n_used
from glassbook.studies.variational_autoencoders.codes import bound, sharpen
from glassbook.studies.variational_autoencoders.probes import correct, fit_pca, fit_probe
from glassbook.studies.variational_autoencoders.smileys import warm
from glassbook.studies.variational_autoencoders.study import VariationalAutoencoders
from glassbook.studies.variational_autoencoders.walks import STEPS, mean_over, score, score_units, walk

SOURCES = draw_smileys(800, seed=0).sources
TINY = VSCConfig(n_pixels=9, hidden=(8,), d_latent=5)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_correlations_are_numpys_between_absolute_values_and_0_of_what_never_varies():
    codes = np.random.default_rng(0).normal(size=(800, 4)).astype(np.float32)
    codes[:, 2] = 3.0
    found = correlations(SOURCES, codes)
    wanted = np.corrcoef(np.abs(SOURCES[:, 5]), np.abs(codes[:, 1]))[0, 1]
    assert found.shape == (18, 4) and found[5, 1] == pytest.approx(abs(wanted), abs=1e-6)
    assert (found[:, 2] == 0).all()


def test_the_truth_itself_has_the_highest_contrast_and_the_order_of_units_is_nothing():
    truth = contrasts(SOURCES, SOURCES)
    assert truth.min() > 0.9
    shuffled = SOURCES[:, np.random.default_rng(1).permutation(18)]
    assert np.allclose(contrasts(SOURCES, shuffled), truth)


def test_control_units_that_mix_attributes_and_units_of_noise_have_little_contrast():
    random = np.random.default_rng(2)
    mixed = np.abs(SOURCES) @ random.random((18, 30))
    noise = random.normal(size=(800, 30))
    truth = contrasts(SOURCES, SOURCES)
    assert contrasts(SOURCES, mixed).mean() < 0.5 * truth.mean()
    assert contrasts(SOURCES, noise).mean() < 0.2
    assert (contrasts(SOURCES, np.zeros((800, 3))) == 0).all()


def test_a_unit_for_each_attribute_is_clear_too_though_it_tells_no_factor_apart():
    present = np.abs(np.sign(SOURCES))[:, np.searchsorted(attribute_of_factor(), range(4))]
    assert 0.4 < contrasts(SOURCES, present).mean() < contrasts(SOURCES, SOURCES).mean()


def test_used_units_are_those_that_vary():
    codes = np.zeros((100, 3))
    codes[:, 0] = np.arange(100)
    codes[:, 1] = 0.01 * (np.arange(100) % 2)
    assert n_used(codes) == 1


def clusters(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(n) % 3
    centers = 4 * torch.eye(3, 6)
    return centers[labels] + torch.randn(n, 6, generator=generator(seed)), labels


def test_a_probe_reads_clusters_it_never_saw_whatever_their_scale_and_place():
    codes, labels = clusters(300, 0)
    tested, truth = clusters(300, 1)
    for scale, shift in ((1.0, 0.0), (1e-3, 0.0), (1.0, 50.0)):
        probe = fit_probe(codes * scale + shift, labels, 3, 40)
        assert correct(probe, tested * scale + shift, truth).float().mean() > 0.95


def test_control_a_probe_of_false_labels_reads_at_chance():
    codes, labels = clusters(300, 0)
    tested, truth = clusters(300, 1)
    probe = fit_probe(codes, labels[torch.randperm(300, generator=generator(5))], 3, 40)
    assert correct(probe, tested, truth).float().mean() < 0.6


def test_pca_is_the_singular_vectors_and_all_of_it_is_the_picture_itself():
    x = torch.rand(50, 6, generator=generator(0))
    x[:, 5] = 0.0
    pca = fit_pca(x, 6)
    assert torch.allclose(pca.decode(pca.code(x)), x, atol=1e-5)
    singular = torch.linalg.svdvals(x - x.mean(0))
    assert torch.allclose(pca.variances, singular**2 / 50, atol=1e-5)
    assert torch.allclose(fit_pca(x, 2).directions, pca.directions[:2])


def decode(z: torch.Tensor) -> torch.Tensor:
    """Draw two pixels: the first is the first unit from 0 to 1, the second nothing but gray."""
    return torch.stack([(z[..., 0] / 4 + 0.5), torch.full_like(z[..., 0], 0.5)], dim=-1)


def judge(pictures: torch.Tensor) -> torch.Tensor:
    return (pictures[..., 0] > 0.6).long()


def test_a_walk_moves_one_unit_from_end_to_end_and_leaves_the_others():
    z = torch.tensor([[0.3, 0.7]])
    walked = walk(z, 1, scale=2.0)
    assert walked[:, 0, 1].tolist() == [2 * step for step in STEPS] and (walked[:, 0, 0] == z[0, 0]).all()


def test_walks_score_the_change_of_pixels_and_of_the_class_and_silent_units_nothing():
    z = torch.zeros(3, 2)
    changes, flips = score_units(z, torch.ones(2), decode, judge)
    assert torch.allclose(changes, torch.tensor([[0.5, 0.0]]).expand(3, 2))
    assert torch.equal(flips, torch.tensor([[1.0, 0.0]]).expand(3, 2))
    small, no_flips = score(walk(z, 0, scale=0.1), decode, judge)
    assert torch.allclose(small, torch.full((3,), 0.05)) and (no_flips == 0).all()
    assert torch.equal(mean_over(changes, torch.tensor([False, True])), torch.zeros(3))
    assert torch.equal(mean_over(changes, torch.tensor([False, False])), torch.zeros(3))


def test_spikes_are_sharpened_in_a_straight_line_and_slabs_warmed_between_two_steps():
    sparse, second = VariationalSparseCoding(TINY), PseudoInputSparseCoding(TINY)
    seen = []
    for step in (0, 50, 100):
        sharpen(sparse, step, 100, 200.0)
        warm(second, step, 25, 75)
        seen.append((sparse.sharpness, second.slab_share))
    assert seen == [(50.0, 0.0), (125.0, 0.5), (200.0, 1.0)]


def test_the_bound_is_the_same_for_the_same_seed_and_its_zeros_are_exact():
    net, x = VariationalSparseCoding(TINY, seed=1).eval(), torch.rand(40, 9, generator=generator(0))
    assert torch.equal(bound(net, x, 3), bound(net, x, 3))
    assert not torch.equal(bound(net, x, 3), bound(net, x, 4))


def test_every_arm_has_a_measure_and_comes_after_what_it_reads():
    study = VariationalAutoencoders()
    for settings in study.settings.values():
        names = [arm.name for arm in study.arms(settings)]
        assert len(set(names)) == len(names) == 21
        assert all(set(arm.after) <= set(names[:place]) for place, arm in enumerate(study.arms(settings)))


def test_the_headline_needs_no_smiley_and_the_smoke_no_file():
    study = VariationalAutoencoders()
    assert {arm.name for arm in study.arms(study.settings["laptop"]) if arm.headline} == {
        "baselines", "vae-repository", "vae-8", "vae-200", "vsc-8", "vsc-200", "probes",
    }  # fmt: skip
    assert set(study.sources(study.settings["smoke"])) == {"smileys", "smileys-as-digits"}
