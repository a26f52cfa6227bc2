"""What the study trains and measures, at each size."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Plain numbers; `images` is a known image set, or `smiley` for faces that we draw ourselves.

    `n_train` and `n_test` of 0 take all pictures. `warm_up` is the first and the last step over which the slab of the second
    version comes in; after `smiley_slower_after` steps the rate is a tenth.
    """

    images: str = "mnist"
    n_train: int = 0
    n_test: int = 0
    n_judged: int = 2_000  # test pictures on which bounds are compared
    n_labelled: int = 5_000  # training pictures whose labels a probe sees
    probe_iterations: int = 60
    repository_hidden: tuple[int, ...] = (512, 256)
    repository_batch: int = 100
    repository_epochs: int = 10
    hidden: tuple[int, ...] = (400,)
    batch: int = 128
    epochs: int = 8
    sharpest: float = 200.0  # the soft step's c at the end of training, from 50
    classifier_hidden: int = 256
    classifier_epochs: int = 3
    n_walked: int = 200  # test pictures from whose codes the traversals start
    n_smileys: int = 20_000
    n_smileys_test: int = 2_000
    smiley_hidden: tuple[int, ...] = (400,)
    smiley_batch: int = 64
    smiley_steps: int = 4_000
    smiley_lr: float = 1e-3
    smiley_slower_after: int = 3_000
    warm_up: tuple[int, int] = (1_200, 2_000)
    smiley_alpha: float = 0.2
    smiley_beta: float = 1.0
    n_pseudo_inputs: int = 10


SMOKE = Settings(
    images="smiley",
    n_train=600,
    n_test=200,
    n_judged=100,
    n_labelled=100,
    probe_iterations=5,
    repository_hidden=(48, 32),
    repository_epochs=2,
    hidden=(32,),
    epochs=2,
    classifier_hidden=32,
    n_walked=10,
    n_smileys=300,
    n_smileys_test=100,
    smiley_hidden=(32,),
    smiley_steps=12,
    smiley_slower_after=9,
    warm_up=(3, 6),
)
"""Every path of the code in seconds, on pictures that need no file; nothing is concluded from it."""

GPU = Settings(
    repository_epochs=50,
    batch=32,
    epochs=11,
    n_judged=10_000,
    n_smileys=60_000,
    n_smileys_test=10_000,
    smiley_hidden=(3_000,),
    smiley_batch=500,
    smiley_steps=200_000,
    smiley_lr=5e-4,
    smiley_slower_after=60_000,
    warm_up=(75_000, 80_000),
    smiley_alpha=0.003,
    smiley_beta=4.0,
    n_pseudo_inputs=10,
)
"""The authors' own numbers, as far as they are published; never run."""
