"""One step of training a sparse dictionary, ours beside the peers': `python benchmarks/dictionaries.py [--rounds 2]`.

TopK with k = 32 at 576 -> 4,608 and 768 -> 24,576, BatchTopK and L1 at 576 -> 4,608, batches of 4,096 rows. L1 is measured twice:
as it begins, half of all features active, and as most of a training is, biases moved so that 64 are. Peers run as they come and,
where they have one, in their own fast setting; ours with the encoder's product, and where features are dense the decoder's, in
float32 and in bfloat16. The rows are a sparse mixture of drawn directions with noise. A step is everything: forward, backward,
clipping, optimizer, projections.
"""

import itertools
import os
from collections.abc import Callable
from functools import partial

from harness import THREADS, Bench, Case

bench = Bench("dictionaries", reference="SAELens 6.54")
K, BATCH = 32, 4096
LATER = "l1 later"
SHAPES = {
    "TopK 576 -> 4608": ("topk", 576, 4608),
    "BatchTopK 576 -> 4608": ("batchtopk", 576, 4608),
    "L1 576 -> 4608": ("l1", 576, 4608),
    "L1 576 -> 4608, 64 active": (LATER, 576, 4608),
    "TopK 768 -> 24576": ("topk", 768, 24576),
}
LR = 1e-3
# Schedules and dead-feature windows need a length; no run is as long.
STEPS = 1000

Make = Callable[[str, int, int], Callable]


def rows(d: int):
    """Return four batches, `[4 * 4096, d]`."""
    import torch

    chance = torch.Generator().manual_seed(0)
    atoms = torch.randn(3000, d, generator=chance) / d**0.5
    places = torch.randint(0, 3000, (4 * BATCH, 20), generator=chance)
    values = torch.zeros(4 * BATCH, 3000).scatter_(1, places, torch.rand(4 * BATCH, 20, generator=chance))
    x = values @ atoms + 0.02 * torch.randn(4 * BATCH, d, generator=chance)
    return x / x.square().sum(-1).mean().sqrt() * d**0.5


def rate(kind: str) -> float:
    """Return the rate; one at which as many features stay active where that is what is measured."""
    return LR / 100 if kind == LATER else LR


def later(pre_activations):
    """Return what to take off each feature's bias for it to be active at 64 rows in 4,608."""
    return pre_activations.detach().quantile(1 - 64 / 4608, dim=0)


def measure(case: Case, make: Make, kinds: tuple[str, ...]) -> None:
    """Time the steps of `make(kind, d, n) -> step(x)` after a first one."""
    import torch

    torch.set_num_threads(THREADS)
    for name, (kind, d, n) in SHAPES.items():
        if kind in kinds:
            batches = itertools.cycle(rows(d).split(BATCH))
            torch.manual_seed(0)
            step = make(kind, d, n)
            # Four steps a sample: what is done every few steps counts its share.
            several = 1 if n > 20_000 else 4
            case.time(
                name, lambda step=step, batches=batches, m=several: _steps(step, batches, m), work=several * BATCH
            )


def _steps(step: Callable, batches, n: int) -> None:
    for _ in range(n):
        step(next(batches))


def saelens(kind: str, d: int, n: int, *, sparse: bool = False, autocast: bool = False) -> Callable:
    """Return a step of SAELens's trainer; what makes it fast are sparse activations (TopK alone has them) or autocast."""
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    if kind == "topk":
        sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=d, d_sae=n, k=K, device="cpu", use_sparse_activations=sparse))
    elif kind == "batchtopk":
        sae = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(d_in=d, d_sae=n, k=K, device="cpu"))
    else:
        sae = StandardTrainingSAE(StandardTrainingSAEConfig(d_in=d, d_sae=n, l1_coefficient=5.0, device="cpu"))
    how = SAETrainerConfig(
        total_training_samples=STEPS * BATCH,
        train_batch_size_samples=BATCH,
        lr=rate(kind),
        lr_end=rate(kind) / 10,
        autocast=autocast,
    )
    trainer = SAETrainer(how, sae, iter([]))
    if kind == LATER:
        x = rows(d)[:BATCH]
        sae.b_enc.data -= later(sae.process_sae_in(x) @ sae.W_enc + sae.b_enc)

    def step(x) -> None:
        trainer.step(x)
        trainer.n_training_steps += 1

    return step


@bench.contender("SAELens 6.54", env="dash")
def _(case: Case) -> None:
    measure(case, saelens, ("topk", "batchtopk", "l1", LATER))


@bench.contender("SAELens 6.54 sparse", env="dash")
def _(case: Case) -> None:
    measure(case, partial(saelens, sparse=True), ("topk",))


@bench.contender("SAELens 6.54 autocast", env="dash")
def _(case: Case) -> None:
    measure(case, partial(saelens, autocast=True), ("topk", "batchtopk", "l1", LATER))


@bench.contender("dictionary_learning", env="peers")
def _(case: Case) -> None:
    from dictionary_learning.trainers import BatchTopKTrainer, StandardTrainer, TopKTrainer

    def make(kind: str, d: int, n: int) -> Callable:
        how = {"steps": STEPS, "activation_dim": d, "dict_size": n, "layer": 0, "lm_name": "-", "device": "cpu"}
        how |= {"lr": rate(kind), "warmup_steps": 1, "seed": 0}
        if kind.startswith("l1"):
            trainer = StandardTrainer(sparsity_warmup_steps=1, **how)
            if kind == LATER:
                trainer.ae.encoder.bias.data -= later(trainer.ae.encoder(rows(d)[:BATCH] - trainer.ae.bias))
        else:
            trainer = {"topk": TopKTrainer, "batchtopk": BatchTopKTrainer}[kind](k=K, **how)
        number = itertools.count()
        return lambda x: trainer.update(next(number), x)

    measure(case, make, ("topk", "batchtopk", "l1", LATER))


@bench.contender("sparsify", env="sparsify")
def _(case: Case) -> None:
    os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
    import torch
    from schedulefree import ScheduleFreeWrapper
    from sparsify.config import SparseCoderConfig
    from sparsify.sign_sgd import SignSGD
    from sparsify.sparse_coder import SparseCoder

    def make(kind: str, d: int, n: int) -> Callable:
        coder = SparseCoder(d, SparseCoderConfig(num_latents=n, k=K))
        # Its own optimizer and its own rule for the learning rate.
        optimizer = ScheduleFreeWrapper(SignSGD(coder.parameters(), lr=5e-3 / (n / 2**14) ** 0.5), momentum=0.95)
        optimizer.train()
        first = rows(d)[:BATCH]
        with torch.no_grad():
            coder.b_dec.copy_(first.mean(0))

        def step(x) -> None:
            coder.set_decoder_norm_to_unit_norm()
            coder(x=x).fvu.backward()
            coder.remove_gradient_parallel_to_decoder_directions()
            optimizer.step()
            optimizer.zero_grad()

        return step

    measure(case, make, ("topk",))


def ours(kind: str, d: int, n: int, dtype: str) -> Callable:
    """Return a step of our learner."""
    from glassbook.features import DictionaryLearner, DictionarySettings, make_dictionary

    is_l1 = kind.startswith("l1")
    made = make_dictionary("standard" if is_l1 else kind, d, n, settings={} if is_l1 else {"k": K})
    learner = DictionaryLearner(made, DictionarySettings(steps=STEPS, lr=rate(kind), dtype=dtype))
    if kind == LATER:
        x = rows(d)[:BATCH]
        learner.step(x)
        learner.working.b_enc.data -= later(learner.working.pre_activations(learner.normalization.read(x)))
    return learner.step


@bench.contender("glassbook float32", env="glassbook")
def _(case: Case) -> None:
    measure(case, lambda kind, d, n: ours(kind, d, n, "float32"), ("topk", "batchtopk", "l1", LATER))


@bench.contender("glassbook bfloat16", env="glassbook")
def _(case: Case) -> None:
    measure(case, lambda kind, d, n: ours(kind, d, n, "bfloat16"), ("topk", "batchtopk", "l1", LATER))


@bench.contender("one encoder product", env="glassbook")
def _(case: Case) -> None:
    import torch

    def make(kind: str, d: int, n: int) -> Callable:
        weight = torch.randn(n, d)
        return lambda x: x @ weight.T

    measure(case, make, ("topk",))


if __name__ == "__main__":
    bench.main()
