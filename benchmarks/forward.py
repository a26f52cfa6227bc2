"""Logits of every position, 8 x 256 tokens of real text."""

from collections.abc import Callable

from harness import Bench, Case, glassbook_model, tokens, transformer_lens_model, transformers_model
from peers import nnsight_model

bench = Bench("forward", reference="transformers float32")


def measure(case: Case, logits_of: Callable) -> None:
    import torch

    batch = tokens(8, 256)
    with torch.inference_mode():
        loss = torch.nn.functional.cross_entropy(logits_of(batch)[:, :-1].float().flatten(0, 1), batch[:, 1:].flatten())
        case.time(
            "logits, 8 x 256", lambda: logits_of(batch) is None or None, work=batch.numel(), loss=round(loss.item(), 4)
        )


@bench.contender("transformers float32", env="main")
def _(case: Case) -> None:
    model = transformers_model()
    measure(case, lambda batch: model(batch, use_cache=False).logits)


@bench.contender("transformers bfloat16", env="main")
def _(case: Case) -> None:
    model = transformers_model("bfloat16")
    measure(case, lambda batch: model(batch, use_cache=False).logits)


@bench.contender("TransformerLens 4 float32", env="main")
def _(case: Case) -> None:
    measure(case, transformer_lens_model())


@bench.contender("nnsight float32", env="main")
def _(case: Case) -> None:
    model = nnsight_model()

    def logits_of(batch):
        with model.trace(batch):
            said = model.output.logits.save()
        return said  # noqa: RET504 - bound inside the trace, where nnsight looks for names

    measure(case, logits_of)


@bench.contender("glassbook float32", env="glassbook")
def _(case: Case) -> None:
    measure(case, glassbook_model().net)


@bench.contender("glassbook bfloat16", env="glassbook")
def _(case: Case) -> None:
    measure(case, glassbook_model("bfloat16").net)


if __name__ == "__main__":
    bench.main()
