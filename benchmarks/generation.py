"""128 greedy tokens after a prompt of 16, batch 1 and 16, plain and with a vector of norm 60 added after block 14."""

import os
from collections.abc import Callable

from harness import HOME, Bench, Case, glassbook_model, tokens, transformer_lens_model, transformers_model
from peers import LlamaCpp

bench = Bench("generation", reference="transformers float32")
NEW, PROMPT, LAYER, NORM = 128, 16, 14, 60.0


def direction():
    import torch

    v = torch.randn(576, generator=torch.Generator().manual_seed(1))
    return v / v.norm() * NORM


def measure(case: Case, name: str, generate: Callable) -> None:
    """Time `generate(ids) -> the new ids of every row`."""
    for batch in (1, 16):
        ids = tokens(batch, PROMPT, seed=3)

        def run(ids=ids) -> dict:
            new = generate(ids)
            assert len(new[0]) == NEW, len(new[0])
            return {"sum_of_row_0": int(sum(int(token) for token in new[0]))}

        case.time(f"{name}, batch {batch}", run, work=batch * NEW)


def transformers(case: Case, dtype: str) -> None:
    import torch

    model = transformers_model(dtype)
    model.generation_config.eos_token_id = None
    v = direction().to(model.dtype)

    def generate(ids):
        with torch.inference_mode():
            return model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False)[
                :, PROMPT:
            ]

    def add(_module, _inputs, output):
        return (output[0] + v, *output[1:]) if isinstance(output, tuple) else output + v

    measure(case, "plain", generate)
    handle = model.model.layers[LAYER].register_forward_hook(add)
    measure(case, "steered", generate)
    handle.remove()


@bench.contender("transformers float32", env="main")
def _(case: Case) -> None:
    transformers(case, "float32")


@bench.contender("transformers bfloat16", env="main")
def _(case: Case) -> None:
    transformers(case, "bfloat16")


@bench.contender("TransformerLens 4 float32", env="main")
def _(case: Case) -> None:
    import torch

    model, v = transformer_lens_model(), direction()

    def generate(ids):
        with torch.inference_mode():
            said = model.generate(
                ids, max_new_tokens=NEW, do_sample=False, stop_at_eos=False, verbose=False, return_type="tokens"
            )
            return said[:, PROMPT:]

    measure(case, "plain", generate)
    with model.hooks(fwd_hooks=[(f"blocks.{LAYER}.hook_resid_post", lambda value, hook: value + v)]):
        measure(case, "steered", generate)


def glassbook(case: Case, dtype: str) -> None:
    import glassbook as gb
    from glassbook.steering import SteeringVector

    model = glassbook_model(dtype)
    site = gb.Site.parse(f"L{LAYER}.resid_post")
    vector = SteeringVector(site=site, values=direction(), identity=model.identity)

    def generate(ids, **options):
        return [one.tokens for one in model.complete(ids, max_new_tokens=NEW, stop_at_eos=False, **options)]

    measure(case, "plain", generate)
    measure(case, "steered", lambda ids: generate(ids, steer=vector))


@bench.contender("glassbook float32", env="glassbook")
def _(case: Case) -> None:
    glassbook(case, "float32")


@bench.contender("glassbook bfloat16", env="glassbook")
def _(case: Case) -> None:
    glassbook(case, "bfloat16")


@bench.contender("glassbook int8", env="glassbook")
def _(case: Case) -> None:
    glassbook(case, "int8")


def plain_pytorch(case: Case, dtype: str) -> None:
    """Measure what a machine without a compiler gets."""
    os.environ["GLASSBOOK_NATIVE"] = "0"
    glassbook(case, dtype)


@bench.contender("glassbook float32 (plain PyTorch)", env="glassbook")
def _(case: Case) -> None:
    plain_pytorch(case, "float32")


@bench.contender("glassbook bfloat16 (plain PyTorch)", env="glassbook")
def _(case: Case) -> None:
    plain_pytorch(case, "bfloat16")


@bench.contender("glassbook int8 (plain PyTorch)", env="glassbook")
def _(case: Case) -> None:
    plain_pytorch(case, "int8")


def llama_cpp(case: Case, file: str) -> None:
    """Measure llama.cpp, steered by another vector of the same norm: it has no torch to draw ours with."""
    import numpy as np

    drawn = np.random.RandomState(1).randn(576).astype(np.float32)
    for batch in (1, 16):
        ids = prompts(batch)
        model = LlamaCpp(file, batch, PROMPT + NEW)

        def run(model=model, ids=ids) -> dict:
            return {"sum_of_row_0": sum(model.generate(ids, NEW)[0])}

        case.time(f"plain, batch {batch}", run, work=batch * NEW)
        model.steer(LAYER, drawn / np.linalg.norm(drawn) * NORM)
        case.time(f"steered, batch {batch}", run, work=batch * NEW)


def prompts(batch: int):
    """Return the same ids as `tokens`, without torch."""
    import numpy as np

    ids = np.load(HOME / "data" / "tokens.npy")
    start = np.random.RandomState(3).randint(0, len(ids) - batch * PROMPT)
    return ids[start : start + batch * PROMPT].reshape(batch, PROMPT)


for kind in ("F32", "F16", "Q8_0"):
    bench.contender(f"llama.cpp {kind}", env="llama")(lambda case, kind=kind: llama_cpp(case, kind))


if __name__ == "__main__":
    bench.main()
