"""From text to a trained dictionary, ours beside the peers': `python benchmarks/text_to_dictionary.py --rounds 1`.

`TOKENS` (200,704) tokens of 157 books in contexts of 128, read by the default model up to its middle residual stream; a TopK
dictionary of 4,608 features with k = 32 learns from each once, 1,024 rows at a time. Everybody's time begins with an opened
model and ends with a dictionary. Peers run as they come, SAELens also in its own fast setting, autocast of model and training;
ours in float32, and with the model and the encoder in bfloat16. SAELens, dictionary_learning and we train at a rate of 4e-3,
the best that `dictionary_quality.py` found for each; sparsify has its own. Beside the time stands what is left unexplained of
15,872 activations of other books, which the model computed in float32, from position 4 on.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import HOME, Bench, Case, transformers_model

bench = Bench("text_to_dictionary", reference="SAELens")
N, LENGTH, HELD_OUT = int(os.environ.get("TOKENS", "200704")), 128, 128
WIDTH, FEATURES, K, BATCH, LAYER, LR = 576, 4608, 32, 1024, 14, 4e-3
CASE = f"{N} tokens"
ROWS = HOME / "data" / "held_out_l14.npy"


def contexts():
    """Return what is learned from, `[contexts 128]`: the first books."""
    return tokens_of(slice(0, N // LENGTH * LENGTH))


def tokens_of(part: slice):
    """Return a part of the text in contexts, `[contexts 128]`."""
    import numpy as np
    import torch

    return torch.from_numpy(np.load(HOME / "data" / "books.npy")[part].astype("int64")).view(-1, LENGTH)


def held_out():
    """Return activations of the last books as transformers computes them, `[rows 576]`."""
    import numpy as np
    import torch

    if not ROWS.exists():
        model, found = transformers_model(), []
        with torch.inference_mode():
            for batch in tokens_of(slice(-HELD_OUT * LENGTH, None)).split(16):
                seen = model.model(batch, output_hidden_states=True, use_cache=False).hidden_states[LAYER + 1]
                found.append(seen[:, 4:].reshape(-1, WIDTH))
        np.save(ROWS, torch.cat(found).numpy())
    return torch.from_numpy(np.load(ROWS))


def keep(case: Case, seconds: float, reconstruct) -> None:
    """Keep the time of one training, with what it came to on held-out rows; `reconstruct` gives rows and features."""
    import torch

    x = held_out()
    with torch.no_grad():
        given, features = reconstruct(x)
    facts = {
        "FVU": round(float((x - given).square().sum() / (x - x.mean(0)).square().sum()), 4),
        "L0": round(float((features > 0).sum(1).float().mean()), 1),
    }
    case.keep(CASE, {"seconds": [seconds], "work": N} | facts)


@bench.contender("SAELens", env="dash")
def _(case):
    saelens(case, autocast=False)


@bench.contender("SAELens autocast", env="dash")
def _(case):
    saelens(case, autocast=True)


def saelens(case: Case, autocast: bool) -> None:
    """Train with SAELens's runner; `autocast` is of the model and of the training."""
    from datasets import Dataset
    from peers import hooked_transformer
    from sae_lens import LanguageModelSAERunnerConfig, LoggingConfig
    from sae_lens.llm_sae_training_runner import LanguageModelSAETrainingRunner
    from sae_lens.saes.topk_sae import TopKTrainingSAEConfig

    model = hooked_transformer()
    start = time.perf_counter()
    steps = N // BATCH
    how = LanguageModelSAERunnerConfig(
        sae=TopKTrainingSAEConfig(d_in=WIDTH, d_sae=FEATURES, k=K, normalize_activations="expected_average_only_in"),
        model_name=str(HOME / "smollm2"),
        hook_name=f"blocks.{LAYER}.hook_resid_post",
        dataset_path="local",
        is_dataset_tokenized=True,
        streaming=False,
        context_size=LENGTH,
        # The first position is a sink, whose norm is a hundred times the others': a token is put there and left out.
        prepend_bos=True,
        exclude_special_tokens=True,
        training_tokens=N,
        train_batch_size_tokens=BATCH,
        store_batch_size_prompts=16,
        n_batches_in_buffer=8,
        n_batches_for_norm_estimate=5,
        autocast=autocast,
        autocast_lm=autocast,
        lr=LR,
        lr_warm_up_steps=steps // 20,
        lr_decay_steps=steps // 5,
        device="cpu",
        logger=LoggingConfig(log_to_wandb=False),
        checkpoint_path=None,
        output_path=None,
        save_final_checkpoint=False,
    )
    read = Dataset.from_dict({"tokens": contexts().tolist()})
    trained = LanguageModelSAETrainingRunner(how, override_dataset=read, override_model=model).run()
    seconds = time.perf_counter() - start

    def reconstruct(x):
        features = trained.encode(x)
        features = features.to_dense() if features.is_sparse else features
        return trained.decode(features), features

    keep(case, seconds, reconstruct)


@bench.contender("dictionary_learning", env="peers")
def _(case):
    from dictionary_learning.buffer import ActivationBuffer
    from dictionary_learning.trainers import TopKTrainer
    from dictionary_learning.training import trainSAE
    from nnsight import LanguageModel
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(HOME / "smollm2")
    model = LanguageModel(transformers_model(), tokenizer=tokenizer)
    texts = [tokenizer.decode(row) for row in contexts()]
    made = []

    class Kept(TopKTrainer):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            made.append(self)

    start, steps = time.perf_counter(), N // BATCH
    buffer = ActivationBuffer(
        itertools.cycle(texts),
        model,
        model.model.layers[LAYER],
        d_submodule=WIDTH,
        n_ctxs=128,
        ctx_len=LENGTH,
        refresh_batch_size=16,
        out_batch_size=BATCH,
        remove_bos=True,
        device="cpu",
    )
    how = {
        "trainer": Kept,
        "steps": steps,
        "activation_dim": WIDTH,
        "dict_size": FEATURES,
        "k": K,
        "layer": LAYER,
        "lm_name": "-",
        "device": "cpu",
        "lr": LR,
        "warmup_steps": steps // 20,
        "decay_start": steps * 4 // 5,
        "threshold_start_step": steps // 4,
        "seed": 0,
    }
    trainSAE(buffer, [how], steps=steps, device="cpu")
    seconds, trained = time.perf_counter() - start, made[0].ae

    def reconstruct(x):
        features = trained.encode(x)
        return trained.decode(features), features

    keep(case, seconds, reconstruct)


@bench.contender("sparsify", env="sparsify")
def _(case):
    os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
    import torch
    from datasets import Dataset
    from sparsify import SparseCoderConfig, TrainConfig, Trainer

    model = transformers_model()
    read = Dataset.from_dict({"input_ids": contexts().tolist()}).with_format("torch")
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        how = TrainConfig(
            SparseCoderConfig(num_latents=FEATURES, k=K),
            batch_size=BATCH // LENGTH,
            lr_warmup_steps=N // BATCH // 20,
            layers=[LAYER],
            log_to_wandb=False,
            save_every=10**9,
            save_dir=place,
        )
        trainer = Trainer(how, read, model)
        trainer.fit()
        seconds = time.perf_counter() - start
        (trained,) = trainer.saes.values()

        def reconstruct(x):
            found = trained(x)
            whole = torch.zeros(len(x), FEATURES)
            return found.sae_out, whole.scatter_(1, found.latent_indices, found.latent_acts)

        keep(case, seconds, reconstruct)


@bench.contender("glassbook float32", env="glassbook")
def _(case):
    ours(case, "float32")


@bench.contender("glassbook bfloat16", env="glassbook")
def _(case):
    ours(case, "bfloat16")


def ours(case: Case, dtype: str) -> None:
    """Train with the model's weights and the encoder's product in a precision."""
    from harness import glassbook_model

    from glassbook.activations.store import Harvest, Policy
    from glassbook.features import train

    model = glassbook_model(dtype)
    texts = [model.to_string(row) for row in contexts()]
    start = time.perf_counter()
    done = train(
        model,
        # Read twice over, since the positions that are left out have to be made up for.
        texts * 2,
        site=f"L{LAYER}.resid_post",
        kind="topk",
        n_features=FEATURES,
        k=K,
        tokens=N,
        batch_size=BATCH,
        lr=LR,
        dtype=dtype,
        harvest=Harvest(context=LENGTH, batch_size=16, policy=Policy(start_token=False)),
    )
    seconds = time.perf_counter() - start

    def reconstruct(x):
        features = done.dictionary.encode(x)
        return done.dictionary.decode(features), features

    keep(case, seconds, reconstruct)


def prepare() -> None:
    """Write what is held out, once, in an environment that has transformers."""
    if not ROWS.exists():
        here = {"PYTHONPATH": str(Path(__file__).parent)}
        command = [
            str(HOME / "venvs" / "peers" / "bin" / "python"),
            "-c",
            "import text_to_dictionary as t; t.held_out()",
        ]
        subprocess.run(command, env=os.environ | here, check=True)


if __name__ == "__main__":
    if "--child" not in sys.argv:
        prepare()
    bench.main()
