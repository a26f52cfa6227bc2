"""The arms on smileys: the second version of variational sparse coding, a beta-VAE beside it, and what its parts are for."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glassbook.core.seeds import generator
from glassbook.files.arrays import read_arrays, write_arrays
from glassbook.images import AttributeSet
from glassbook.models.vae import VAE, VAEConfig
from glassbook.models.variational_sparse_coding import (
    PseudoInputSparseCoding,
    SpikeAndSlab,
    VariationalSparseCoding,
    VSCConfig,
    spike_and_slab_kl,
)
from glassbook.studies.contract import Cell
from glassbook.studies.variational_autoencoders import drawings
from glassbook.studies.variational_autoencoders.blocks import contrasts, n_used
from glassbook.studies.variational_autoencoders.codes import Columns, bound
from glassbook.studies.variational_autoencoders.material import Plan, as_floats, fit, note_smileys
from glassbook.studies.variational_autoencoders.probes import fit_pca, in_batches
from glassbook.studies.variational_autoencoders.settings import Settings
from glassbook.training.reconstruction import ImageBatches, ReconstructionSettings, ramp

AnyCoder = VAE | VariationalSparseCoding


@dataclass(frozen=True)
class SmileyCoder:
    """A code of `d` numbers: that of a beta-VAE, or sparse with or without pseudo-inputs and warm-up."""

    d: int
    is_sparse: bool = True
    pseudo_inputs: bool = True
    warm_up: bool = True


SMILEY_CODERS = {
    "smiley-beta-vae-18": SmileyCoder(18, is_sparse=False),
    "smiley-beta-vae-60": SmileyCoder(60, is_sparse=False),
    "smiley-vsc-18": SmileyCoder(18),
    "smiley-vsc-60": SmileyCoder(60),
    "smiley-no-warm-up": SmileyCoder(60, warm_up=False),
    "smiley-no-pseudo-inputs": SmileyCoder(60, pseudo_inputs=False, warm_up=False),
}
"""The arms on smileys, by name."""


def build(coder: SmileyCoder, settings: Settings, n_pixels: int, seed: int) -> AnyCoder:
    """Return the untrained net of an arm."""
    if not coder.is_sparse:
        return VAE(VAEConfig(n_pixels, settings.smiley_hidden, coder.d, beta=settings.smiley_beta), seed)
    config = VSCConfig(n_pixels, settings.smiley_hidden, coder.d, settings.smiley_alpha)
    if not coder.pseudo_inputs:
        return VariationalSparseCoding(config, seed)
    return PseudoInputSparseCoding(replace(config, sharpness=100.0, n_pseudo_inputs=settings.n_pseudo_inputs), seed)


def warm(net: AnyCoder, step: int, begin: int, end: int) -> None:
    """Let the slab of a sparse code come in between two steps."""
    if isinstance(net, PseudoInputSparseCoding):
        net.slab_share = ramp(step, begin, end)


def measure_smiley_coder(cell: Cell) -> Columns:
    """Return how clearly a code falls into blocks, how many units it uses and what bound it reaches."""
    settings, coder = cell.settings, SMILEY_CODERS[cell.arm]
    train, test = note_smileys(cell)
    net = build(coder, settings, train.shape[1], cell.seed)
    stream = ImageBatches(train, settings.smiley_batch, cell.seed)
    learning = ReconstructionSettings(settings.smiley_lr, seed=cell.seed, slower_after=settings.smiley_slower_after)
    begin, end = settings.warm_up if coder.warm_up else (-1, -1)
    plan = Plan(settings.smiley_steps, partial(warm, begin=begin, end=end))
    fit(cell, net, stream, learning, plan)
    x = torch.from_numpy(test.images.scaled)
    codes = in_batches(net.code, x).numpy()
    losses = as_floats(bound(net, x, cell.seed))
    write_arrays(cell.folder / "codes.npz", {"codes": codes, "losses": losses})
    if isinstance(net, PseudoInputSparseCoding) and coder.d == 60 and coder.warm_up:
        _draw(cell, net, x)
        write_arrays(cell.folder / "stray.npz", {"losses": as_floats(_stray_bound(net, x, cell.seed))})
    return {
        "contrast": as_floats(contrasts(test.sources, codes)),
        "used_units": as_floats(np.array([n_used(codes)])),
        "zero_share": as_floats((codes == 0).mean(1)),
        "loss": losses,
    }


def measure_blocks(cell: Cell) -> Columns:
    """Return what the codes of smileys gain on each other, factor by factor, with PCA and an untrained code beside them."""
    settings = cell.settings
    train, test = note_smileys(cell)
    kept = {arm: read_arrays(cell.other(arm) / "codes.npz") for arm in SMILEY_CODERS}
    codes = {arm: arrays["codes"] for arm, arrays in kept.items()} | _untaught(settings, train, test, cell.seed)
    clear = {name: contrasts(test.sources, values) for name, values in codes.items()}
    odd, even = (contrasts(test.sources[half::2], codes["smiley-vsc-60"][half::2]) for half in (1, 0))
    vsc, beta = clear["smiley-vsc-60"], clear["smiley-beta-vae-60"]
    losses = kept["smiley-no-pseudo-inputs"]["losses"]
    stray = read_arrays(cell.other("smiley-vsc-60") / "stray.npz")["losses"]
    return {
        "vsc_over_beta_vae": as_floats(vsc - beta),
        "pca_over_beta_vae": as_floats(clear["pca-60"] - beta),
        "untrained_over_beta_vae": as_floats(clear["untrained-60"] - beta),
        "vsc_kept": _ratio(vsc, clear["smiley-vsc-18"]),
        "beta_vae_kept": _ratio(beta, clear["smiley-beta-vae-18"]),
        "pca_kept": _ratio(clear["pca-60"], clear["pca-18"]),
        "pca_used": as_floats(np.array([n_used(codes["pca-60"])])),
        "untrained_used": as_floats(np.array([n_used(codes["untrained-60"])])),
        "warm_up_gain": as_floats(vsc - clear["smiley-no-warm-up"]),
        "half_gain": as_floats(odd - even),
        "pseudo_input_gain": as_floats(losses - kept["smiley-vsc-60"]["losses"]),
        "stray_gain": as_floats(losses - stray),
        "beta_vae_gain": as_floats(losses - kept["smiley-beta-vae-60"]["losses"]),
    }


def _untaught(settings: Settings, train: Tensor, test: AttributeSet, seed: int) -> dict[str, NDArray[np.float32]]:
    """Return the codes that nobody trained: PCA of both widths, and the sparse net before training."""
    x = torch.from_numpy(test.images.scaled)
    pca = fit_pca(train, 60).code(x).numpy()
    net = build(SMILEY_CODERS["smiley-vsc-60"], settings, train.shape[1], seed).eval()
    return {"pca-18": pca[:, :18], "pca-60": pca, "untrained-60": in_batches(net.code, x).numpy()}


def _ratio(of: NDArray[np.float64], to: NDArray[np.float64]) -> NDArray[np.float32]:
    return as_floats(np.array([of.mean() / max(abs(to.mean()), 1e-6)]))


def _stray_bound(net: PseudoInputSparseCoding, x: Tensor, seed: int) -> Tensor:
    """Return -ELBO of each picture where its pseudo-input is drawn by lot: what selecting one is worth."""
    noise = generator(seed, "bound")

    def terms(rows: Tensor) -> Tensor:
        lot = torch.randint(len(net.pseudo_inputs), (len(rows),), generator=noise)
        drawn = SpikeAndSlab(*(value[lot] for value in net.pseudo_codes()))
        return net.terms(rows, noise)["reconstruction"] + spike_and_slab_kl(net.posterior(rows), drawn)

    return in_batches(terms, x)


def _draw(cell: Cell, net: PseudoInputSparseCoding, x: Tensor) -> None:
    side = round(net.config.n_pixels**0.5)
    title = "Smileys"
    caption = (
        "Faces drawn from four attributes that come and go: bow-tie, hat, eyes, mouth; 18 numbers say how they look."
    )
    cell.view("smileys", drawings.gallery(x, side, title, caption))
    rebuilt = in_batches(lambda rows: net.decoder(net.code(rows)), x[:10])
    cell.view("reconstructions", drawings.reconstructions(x[:10], rebuilt, side, "60 mostly empty numbers"))
    with torch.no_grad():
        pseudo = net.pseudo_codes()
        decoded = net.decoder(pseudo.mean * (pseudo.gamma > 0.5))
    title = "What the pseudo-inputs stand for"
    caption = "The code of each learned pseudo-input, decoded: the prior holds every picture against one of these."
    cell.view("pseudo-inputs", drawings.gallery(decoded, side, title, caption))
