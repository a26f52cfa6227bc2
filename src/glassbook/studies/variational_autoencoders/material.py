"""What the arms learn from: pictures as tensors, the nets, and one way to train them that goes on after a kill."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from glassbook.files.arrays import read_arrays, write_arrays
from glassbook.files.hashes import sha256_bytes
from glassbook.images import AttributeSet, ImageSet, Split, draw_smileys, open_images
from glassbook.sources.known import known
from glassbook.studies.contract import Cell
from glassbook.studies.variational_autoencoders.settings import Settings
from glassbook.training.loop import History, Progress, train
from glassbook.training.loop import Settings as LoopSettings
from glassbook.training.reconstruction import (
    Anneal,
    Batch,
    ImageBatches,
    ReconstructionLearner,
    ReconstructionSettings,
)

SMILEYS, DIGITS = "smileys", "smileys-as-digits"
"""Names of the faces that we draw ourselves, the second where they stand in for digits."""

_CHECKPOINTS = 4  # a training


@dataclass(frozen=True)
class Pictures:
    """Training and test pictures as rows of numbers from 0 to 1, with their classes and their side in pixels."""

    train: Float[Tensor, "n pixels"]
    train_labels: Int[Tensor, " n"]
    test: Float[Tensor, "m pixels"]
    test_labels: Int[Tensor, " m"]
    n_classes: int
    side: int


@lru_cache(maxsize=1)
def open_pictures(settings: Settings) -> Pictures:
    """Return the pictures that the settings name, the same for every seed."""
    split = _split(settings)
    train = split.train.take(slice(0, settings.n_train or None))
    test = split.test.take(slice(0, settings.n_test or None))
    return Pictures(*_tensors(train), *_tensors(test), split.train.n_classes, split.train.pixels.shape[1])


@lru_cache(maxsize=2)
def smileys(n: int, n_test: int) -> tuple[AttributeSet, AttributeSet]:
    """Return faces to learn from and faces to be judged on, from two draws, so that no face is in both by its place."""
    return draw_smileys(n, seed=0), draw_smileys(n_test, seed=1)


def checksums(settings: Settings) -> dict[str, str]:
    """Return the checksum of each set of rows that a size reads, by name; faces are drawn for it."""
    drawn = {SMILEYS: _sum(smileys(settings.n_smileys, settings.n_smileys_test))}
    if settings.images == "smiley":
        return {**drawn, DIGITS: _sum(smileys(settings.n_train, settings.n_test))}
    return {**drawn, settings.images: known(settings.images).sha256}


def note_pictures(cell: Cell) -> Pictures:
    """Return the pictures of a cell's settings, and record that they were read."""
    pictures, name = open_pictures(cell.settings), cell.settings.images
    name, licence = (DIGITS, "Apache-2.0") if name == "smiley" else (name, known(name).licence)
    cell.data(name, checksums(cell.settings)[name], len(pictures.train) + len(pictures.test), licence)
    return pictures


def note_smileys(cell: Cell) -> tuple[Tensor, AttributeSet]:
    """Return the training faces as rows of pixels and the test faces with their truth, and record that they were read."""
    train, test = smileys(cell.settings.n_smileys, cell.settings.n_smileys_test)
    cell.data(SMILEYS, checksums(cell.settings)[SMILEYS], len(train) + len(test), train.images.licence)
    return _tensors(train.images)[0], test


def fit(cell: Cell, net: nn.Module, stream: ImageBatches, settings: ReconstructionSettings, plan: "Plan") -> History:
    """Train a net on this cell's behalf, from its last checkpoint where there is one, and keep the weights in its folder."""

    def tell(progress: Progress) -> None:
        cell.progress(progress.step, progress.steps, progress.says)

    loop = LoopSettings(plan.steps, checkpoint_every=max(plan.steps // _CHECKPOINTS, 1), log_every=plan.log_every)
    learner = ReconstructionLearner(net, settings, plan.anneal)
    history = train(learner, stream, loop, folder=cell.folder / "training", progress=tell)
    cell.cost(flop=history.last("flop"), parameters=sum(weight.numel() for weight in net.parameters()))
    write_arrays(cell.folder / "net.npz", {name: value.numpy() for name, value in net.state_dict().items()})
    net.eval()
    return history


@dataclass(frozen=True)
class Plan:
    """How long a net is trained, what is changed on the way, and how often a step is logged."""

    steps: int
    anneal: Anneal | None = None
    log_every: int = 50


def load(cell: Cell, arm: str, net: nn.Module) -> nn.Module:
    """Return `net` with the weights that another arm trained."""
    weights = read_arrays(cell.other(arm) / "net.npz")
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return net.eval()


class Classifier(nn.Module):
    """An independent judge: one hidden layer, trained on labels, that never sees a decoder."""

    def __init__(self, n_pixels: int, hidden: int, n_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_pixels, hidden), nn.ReLU(), nn.Linear(hidden, n_classes))

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return the cross-entropy of the labels in nats."""
        pictures, labels = batch
        return {"loss": nn.functional.cross_entropy(self.layers(pictures), labels)}

    def forward(self, pictures: Float[Tensor, "*batch pixels"]) -> Int[Tensor, "*batch"]:
        """Return the class of each picture."""
        return self.layers(pictures).argmax(-1)


def as_floats(values: Tensor | NDArray[np.generic]) -> NDArray[np.float32]:
    """Return one column of items."""
    return np.asarray(values.detach() if isinstance(values, Tensor) else values, dtype=np.float32)


def _split(settings: Settings) -> Split:
    if settings.images == "smiley":
        return Split(*(drawn.images for drawn in smileys(settings.n_train, settings.n_test)))
    return open_images(settings.images)


def _sum(drawn: tuple[AttributeSet, AttributeSet]) -> str:
    return sha256_bytes("".join(part.images.sha256 for part in drawn).encode())


def _tensors(images: ImageSet) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(images.scaled), torch.from_numpy(images.labels)
