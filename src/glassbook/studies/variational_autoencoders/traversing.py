"""The arms that judge traversals: a classifier of its own, and walks along every unit of a code."""

import torch
from torch import Tensor

from glassbook.core.seeds import generator
from glassbook.models.vae import VAE
from glassbook.studies.contract import Cell
from glassbook.studies.variational_autoencoders import drawings
from glassbook.studies.variational_autoencoders.blocks import USED_VARIANCE
from glassbook.studies.variational_autoencoders.codes import CODERS, Columns, build
from glassbook.studies.variational_autoencoders.material import (
    Classifier,
    Pictures,
    Plan,
    as_floats,
    fit,
    load,
    note_pictures,
)
from glassbook.studies.variational_autoencoders.probes import fit_pca, in_batches
from glassbook.studies.variational_autoencoders.walks import mean_over, score_units
from glassbook.training.reconstruction import ImageBatches, ReconstructionSettings

WALKED = "vae-50"
_DRAWN = 6  # active units in the picture, with two silent ones below


def measure_classifier(cell: Cell) -> Columns:
    """Return whether an independent judge sees the class of each test picture."""
    pictures = note_pictures(cell)
    net = _classifier(cell, pictures)
    stream = ImageBatches(pictures.train, cell.settings.batch, cell.seed, pictures.train_labels)
    plan = Plan(cell.settings.classifier_epochs * stream.per_epoch)
    fit(cell, net, stream, ReconstructionSettings(seed=cell.seed), plan)
    return {"correct": as_floats((in_batches(net, pictures.test) == pictures.test_labels).float())}


def measure_traversals(cell: Cell) -> Columns:
    """Return for each starting picture how much walks along active and silent units change, beside walks along PCA.

    A unit is active where its mean varies by more than 0.01 over the test pictures, else silent.
    """
    pictures = note_pictures(cell)
    net = load(cell, WALKED, build(CODERS[WALKED], cell.settings, pictures.side**2, cell.seed))
    judge = load(cell, "classifier", _classifier(cell, pictures))
    assert isinstance(net, VAE)
    codes = in_batches(net.code, pictures.test)
    start = torch.randperm(len(codes), generator=generator(cell.seed, "walks"))[: cell.settings.n_walked]
    variances = codes.var(0, unbiased=False)
    active = variances > USED_VARIANCE
    ones = torch.ones(codes.shape[1])
    with torch.no_grad():
        changes, flips = score_units(codes[start], ones, net.decoder, judge)
        pca = fit_pca(pictures.train, codes.shape[1])
        scales = pca.variances.sqrt()
        along_pca = score_units(pca.code(pictures.test[start]), scales, pca.decode, judge)
    _draw(cell, net, codes[start[:1]], variances, flips.mean(0))
    return {
        "pixels_active": as_floats(mean_over(changes, active)),
        "pixels_silent": as_floats(mean_over(changes, ~active)),
        "pixels_pca": as_floats(along_pca[0].mean(1)),
        "flips_active": as_floats(mean_over(flips, active)),
        "flips_silent": as_floats(mean_over(flips, ~active)),
        "flips_pca": as_floats(along_pca[1].mean(1)),
        "flips_of_unit": as_floats(flips.mean(0)),
    }


def _draw(cell: Cell, net: VAE, z: Tensor, variances: Tensor, flips: Tensor) -> None:
    order = variances.argsort(descending=True).tolist()
    units = [*order[:_DRAWN], *order[-2:]]
    notes = [
        f"unit {unit}: {flips[unit]:.0%} change class{'' if variances[unit] > USED_VARIANCE else ' (silent)'}"
        for unit in units
    ]
    side = open_side(net)
    cell.view("walks", drawings.traversals(z, units, notes, net.decoder, side))


def open_side(net: VAE) -> int:
    """Return how many pixels a picture is wide."""
    return round(net.config.n_pixels**0.5)


def _classifier(cell: Cell, pictures: Pictures) -> Classifier:
    torch.manual_seed(cell.seed)
    return Classifier(pictures.side**2, cell.settings.classifier_hidden, pictures.n_classes)
