"""The arms on digits: the linked repository's VAE, codes of growing width with and without sparsity, and their readers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glassbook.core.seeds import generator
from glassbook.files.arrays import read_arrays, write_arrays
from glassbook.models.vae import VAE, VAEConfig
from glassbook.models.variational_sparse_coding import VariationalSparseCoding, VSCConfig
from glassbook.studies.contract import Cell
from glassbook.studies.variational_autoencoders import drawings
from glassbook.studies.variational_autoencoders.blocks import USED_VARIANCE
from glassbook.studies.variational_autoencoders.material import Pictures, Plan, as_floats, fit, note_pictures
from glassbook.studies.variational_autoencoders.probes import correct, fit_pca, fit_probe, in_batches
from glassbook.studies.variational_autoencoders.settings import Settings
from glassbook.training.reconstruction import ImageBatches, ReconstructionSettings, ramp

Columns = Mapping[str, NDArray[Any]]
AnyCoder = VAE | VariationalSparseCoding


@dataclass(frozen=True)
class Coder:
    """A code of `d` numbers: dense where `alpha` is None, else sparse with that prior share; beta weighs a dense one's KL."""

    d: int
    alpha: float | None = None
    beta: float = 1.0


CODERS = {
    "vae-2": Coder(2),
    "vae-8": Coder(8),
    "vae-20": Coder(20),
    "vae-50": Coder(50),
    "vae-200": Coder(200),
    "autoencoder-50": Coder(50, beta=0.0),
    "vsc-8": Coder(8, alpha=0.01),
    "vsc-200": Coder(200, alpha=0.01),
    "vsc-50-dense": Coder(50, alpha=0.2),
}
"""The arms with one hidden layer, by name."""


def build(coder: Coder, settings: Settings, n_pixels: int, seed: int) -> AnyCoder:
    """Return the untrained net of an arm."""
    if coder.alpha is None:
        return VAE(VAEConfig(n_pixels, settings.hidden, coder.d, beta=coder.beta), seed)
    return VariationalSparseCoding(VSCConfig(n_pixels, settings.hidden, coder.d, coder.alpha), seed)


def sharpen(net: AnyCoder, step: int, steps: int, sharpest: float) -> None:
    """Raise the sharpness of a sparse code's soft spikes from the one it began with, in a straight line."""
    if isinstance(net, VariationalSparseCoding):
        first = net.config.sharpness
        net.sharpness = first + (sharpest - first) * ramp(step, 0, steps)


def measure_repository(cell: Cell) -> Columns:
    """Return the loss of the linked repository's VAE on every test picture, and on its first and last epoch of training."""
    settings, pictures = cell.settings, note_pictures(cell)
    net = repository_net(settings, pictures, cell.seed)
    stream = ImageBatches(pictures.train, settings.repository_batch, cell.seed)
    plan = Plan(settings.repository_epochs * stream.per_epoch, log_every=1)
    losses = fit(cell, net, stream, ReconstructionSettings(seed=cell.seed), plan).values("loss")
    cell.view("manifold", drawings.manifold(net.decoder, pictures.side))
    shown = pictures.test[:10]
    rebuilt = in_batches(lambda x: net.decoder(net.code(x)), shown)
    cell.view("reconstructions", drawings.reconstructions(shown, rebuilt, pictures.side, "two numbers"))
    return {
        "loss": as_floats(bound(net, pictures.test, cell.seed)),
        "train_loss_first_epoch": as_floats(np.array(losses[: stream.per_epoch])),
        "train_loss_last_epoch": as_floats(np.array(losses[-stream.per_epoch :])),
    }


def repository_net(settings: Settings, pictures: Pictures, seed: int) -> VAE:
    """Return the linked repository's net, untrained."""
    return VAE(VAEConfig(pictures.side**2, settings.repository_hidden, 2), seed)


def measure_baselines(cell: Cell) -> Columns:
    """Return what no training reaches: the mean picture, the net before training, and how many directions pixels vary along."""
    pictures = note_pictures(cell)
    mean = pictures.train.mean(0).clamp(1e-6, 1 - 1e-6)
    of_mean = -(pictures.test * mean.log() + (1 - pictures.test) * torch.log1p(-mean)).sum(-1)
    untrained = repository_net(cell.settings, pictures, cell.seed).eval()
    pca = fit_pca(pictures.train, 50)
    return {
        "mean_picture_loss": as_floats(of_mean),
        "untrained_loss": as_floats(bound(untrained, pictures.test, cell.seed)),
        "pca_50_units": as_floats((pca.variances > USED_VARIANCE).sum()[None]),
    }


def measure_coder(cell: Cell) -> Columns:
    """Return bound, active units, zeros and a probe's reading of one code."""
    settings, pictures, coder = cell.settings, note_pictures(cell), CODERS[cell.arm]
    net = build(coder, settings, pictures.side**2, cell.seed)
    judged = pictures.test[: settings.n_judged]
    sparse_at_first = _zeros(net, judged, coder, "untrained_")
    stream = ImageBatches(pictures.train, settings.batch, cell.seed)
    steps = settings.epochs * stream.per_epoch
    plan = Plan(steps, partial(sharpen, steps=steps, sharpest=settings.sharpest))
    fit(cell, net, stream, ReconstructionSettings(seed=cell.seed), plan)
    codes = in_batches(net.code, pictures.test)
    probes = readers(pictures, settings, cell.seed)
    read = probes.right(in_batches(net.code, pictures.train[probes.seen]), codes)
    ungated = _ungated(net, pictures, probes)
    write_arrays(cell.folder / "read.npz", {"correct": read, **ungated})
    return {
        "loss": as_floats(bound(net, judged, cell.seed)),
        "active_units": as_floats((codes.var(0, unbiased=False) > USED_VARIANCE).sum()[None]),
        "correct": read,
        **ungated,
        **_zeros(net, judged, coder),
        **sparse_at_first,
    }


def bound(net: AnyCoder, x: Tensor, seed: int) -> Tensor:
    """Return -ELBO of each picture in nats: one sample of the code, the KL whole, spikes exact."""
    noise = generator(seed, "bound")

    def terms(rows: Tensor) -> Tensor:
        parts = net.terms(rows, noise)
        return parts["reconstruction"] + parts["kl"]

    return in_batches(terms, x)


def readers(pictures: Pictures, settings: Settings, seed: int) -> "Readers":
    """Return the probes of one seed, which see the labels of a few training pictures."""
    order = torch.randperm(len(pictures.train), generator=generator(seed, "labelled"))
    return Readers(pictures, order[: settings.n_labelled], settings.probe_iterations)


def measure_probes(cell: Cell) -> Columns:
    """Return picture by picture what the codes' readers gain on each other, with readers of pixels, PCA and false labels.

    Each column is a difference of 0s and 1s: 1 where the first reader is right and the second wrong.
    """
    pictures, settings = note_pictures(cell), cell.settings
    kept = {arm: read_arrays(cell.other(arm) / "read.npz") for arm in ("vae-8", "vae-200", "vsc-8", "vsc-200")}
    read = {arm: arrays["correct"] for arm, arrays in kept.items()}
    probes = readers(pictures, settings, cell.seed)
    seen, lot = pictures.train[probes.seen], torch.randperm(len(probes.seen), generator=generator(cell.seed, "false"))
    pixels = probes.right(seen, pictures.test)
    false = probes.right(seen, pictures.test, pictures.train_labels[probes.seen][lot])
    pca = fit_pca(pictures.train, 200)
    coded, tested = pca.code(seen), pca.code(pictures.test)
    pca_8, pca_200 = (probes.right(coded[:, :d], tested[:, :d]) for d in (8, 200))
    gain_8, gain_200 = read["vsc-8"] - read["vae-8"], read["vsc-200"] - read["vae-200"]
    return {
        "pixels": pixels, "pca_8": pca_8, "pca_200": pca_200, "false_labels": false,
        "gain_8": gain_8, "gain_200": gain_200, "gain_growth": gain_200 - gain_8,
        "ungated_gain_200": kept["vsc-200"]["ungated_correct"] - read["vae-200"],
        "pca_gain_200": pca_200 - read["vae-200"], "pixels_gain_200": pixels - read["vae-200"],
        "false_labels_gain_200": false - read["vae-200"],
        "pca_gain_growth": pca_200 - read["vae-200"] - (pca_8 - read["vae-8"]),
        "false_labels_gain_growth": read["vae-8"] - read["vae-200"],
        "pixels_over_vsc": pixels - read["vsc-200"], "pca_over_vsc": pca_200 - read["vsc-200"],
        "false_labels_over_vsc": false - read["vsc-200"],
    }  # fmt: skip


def _ungated(net: AnyCoder, pictures: Pictures, probes: "Readers") -> dict[str, NDArray[np.float32]]:
    """Return what a reader finds in a sparse net's slab means, those that the spikes switch off among them."""
    if not isinstance(net, VariationalSparseCoding):
        return {}
    seen, tested = (
        in_batches(lambda x: net.posterior(x).mean, x) for x in (pictures.train[probes.seen], pictures.test)
    )
    return {"ungated_correct": probes.right(seen, tested)}


@dataclass(frozen=True)
class Readers:
    """Probes of one seed: which training pictures they see the labels of, and on which they are judged."""

    pictures: Pictures
    seen: Tensor
    iterations: int

    def right(self, codes: Tensor, tested: Tensor, labels: Tensor | None = None) -> NDArray[np.float32]:
        """Return for each test picture 1 where a probe of the codes of the seen ones reads its class."""
        truth = self.pictures.train_labels[self.seen] if labels is None else labels
        probe = fit_probe(codes, truth, self.pictures.n_classes, self.iterations)
        return as_floats(correct(probe, tested, self.pictures.test_labels).float())


def _zeros(net: AnyCoder, x: Tensor, coder: Coder, prefix: str = "") -> dict[str, NDArray[np.float32]]:
    """Return the share of each picture's code that is exactly 0, and the share that is not, over alpha: at test, and softly."""
    if not isinstance(net, VariationalSparseCoding) or coder.alpha is None:
        zero = (in_batches(net.code, x) == 0).float().mean(-1)
        return {f"{prefix}zero_share": as_floats(zero)}
    zero = (in_batches(net.code, x) == 0).float().mean(-1)
    net.train()
    soft = (in_batches(lambda rows: net.draw(net.posterior(rows), generator(0, "soft")), x) == 0).float().mean(-1)
    net.eval()
    return {
        f"{prefix}zero_share": as_floats(zero),
        f"{prefix}used_over_alpha": as_floats((1 - zero) / coder.alpha),
        f"{prefix}soft_zero_share": as_floats(soft),
        f"{prefix}soft_used_over_alpha": as_floats((1 - soft) / coder.alpha),
    }
