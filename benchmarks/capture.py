"""Residual streams of 64 x 128 tokens, in batches of 16: all 30 layers, and one middle layer."""

from collections.abc import Callable

from harness import Bench, Case, glassbook_model, tokens, transformer_lens_model, transformers_model
from peers import nnsight_model

bench = Bench("capture", reference="transformers output_hidden_states")
N_LAYERS, MIDDLE, SEQUENCES, LENGTH, BATCH = 30, 15, 64, 128, 16


def measure(case: Case, name: str, read: Callable) -> None:
    import torch

    batches = tokens(SEQUENCES, LENGTH).split(BATCH)

    def run() -> dict:
        with torch.inference_mode():
            values = [read(batch) for batch in batches]
        # Every contender must have read the same numbers, in float32.
        return {"mean_abs": round(sum(float(v.float().abs().mean()) for v in values) / len(values), 3)}

    case.time(name, run, work=SEQUENCES * LENGTH)


@bench.contender("transformers output_hidden_states", env="main")
def _(case: Case) -> None:
    import torch

    model = transformers_model().model
    measure(
        case,
        "30 layers",
        lambda b: torch.stack(model(b, output_hidden_states=True, use_cache=False).hidden_states[:-1]),
    )
    measure(case, "one layer", lambda b: model(b, output_hidden_states=True, use_cache=False).hidden_states[MIDDLE])


@bench.contender("TransformerLens 4", env="main")
def _(case: Case) -> None:
    import torch

    model = transformer_lens_model()
    names = [f"blocks.{layer}.hook_in" for layer in range(N_LAYERS)]

    def every(batch):
        _, cache = model.run_with_cache(batch, names_filter=lambda name: name in names)
        return torch.stack([cache[name] for name in names])

    def one(batch):
        _, cache = model.run_with_cache(batch, names_filter=[names[MIDDLE]], stop_at_layer=MIDDLE + 1)
        return cache[names[MIDDLE]]

    measure(case, "30 layers", every)
    measure(case, "one layer", one)


@bench.contender("nnsight", env="main")
def _(case: Case) -> None:
    import torch

    model = nnsight_model()
    blocks = model.model.layers

    def every(batch):
        with model.trace(batch) as tracer:
            # What a trace makes is gone after it unless it is saved there, the list too.
            read = list().save()
            for layer in range(N_LAYERS):
                read.append(blocks[layer].input.save())
            tracer.stop()
        return torch.stack(read)

    def one(batch):
        with model.trace(batch) as tracer:
            value = blocks[MIDDLE].input.save()
            tracer.stop()
        return value

    measure(case, "30 layers", every)
    measure(case, "one layer", one)


def glassbook(case: Case, dtype: str) -> None:
    import glassbook as gb

    model = glassbook_model(dtype)
    measure(case, "30 layers", lambda b: gb.capture(model, b, "L*.resid_pre").stack("resid_pre"))
    measure(case, "one layer", lambda b: gb.capture(model, b, f"L{MIDDLE}.resid_pre")["resid_pre", MIDDLE])


@bench.contender("glassbook float32", env="glassbook")
def _(case: Case) -> None:
    glassbook(case, "float32")


@bench.contender("glassbook bfloat16", env="glassbook")
def _(case: Case) -> None:
    glassbook(case, "bfloat16")


if __name__ == "__main__":
    bench.main()
