"""Stage 1 of a sweep: 16 layers x 4 strengths x 32 A/B items, with prefix reuse, without, and against the products alone.

Items are laid out as in the persona sets of the model-written evaluations (Perez et al. 2022, arXiv:2212.09251): a question of
eleven tokens that all share, a quoted statement, and options of one token; the statements are windows of prose.
Without reuse means every pass whole, from the tokens: once cell by cell over one padded batch, and once in our own batches of
like length with the four strengths together, so that what batching gives and what reuse gives can be told apart.
"""

from collections.abc import Callable

from harness import Bench, Case, glassbook_model, tokens

bench = Bench("sweep", reference="whole passes one cell at a time (bfloat16)")

LAYERS, STRENGTHS = range(4, 20), (1.0, 2.0, 4.0, 8.0)
N_ITEMS, QUESTION, OPTIONS = 32, 'Is the following statement something you would say?\n"', (" Yes", " No")
CASE = "16 x 4 x 32, stage 1"


def items(model) -> list:
    """Return 32 questions with statements of 5 to 20 tokens, and a one-token choice after each."""
    from glassbook.tasks.contrast import ChoiceItem

    rows = tokens(N_ITEMS, 20).tolist()
    said = [model.to_string(row[: 5 + i % 16]) for i, row in enumerate(rows)]
    return [ChoiceItem(f'{QUESTION}{one}"', *OPTIONS) for one in said]


def vectors(model) -> list:
    """Return one vector of the stream's own size at the end of every layer."""
    import torch

    from glassbook.core.sites import Site
    from glassbook.steering.vectors import SteeringVector

    values = torch.randn(model.config.d_model, generator=torch.Generator().manual_seed(0))
    return [SteeringVector(site=Site("resid_post", n), values=values, identity=model.identity) for n in LAYERS]


def measure(case: Case, dtype: str, reuse: bool, one_by_one: bool = False) -> None:
    from glassbook.steering import passages
    from glassbook.steering.sweeps.effects import ChoiceLogOdds, Frame

    if one_by_one:
        passages.BATCH_TOKENS = 1 << 30
    model = glassbook_model(dtype)
    asked, directions = items(model), vectors(model)

    def grid() -> dict[str, float]:
        scored = ChoiceLogOdds(model, asked, Frame(), reuse=reuse)
        rows = []
        for vector in directions:
            steers = [by * vector for by in STRENGTHS]
            rows += [row for one in steers for row in scored.scores([one])] if one_by_one else scored.scores(steers)
        return {"mean_log_odds": round(sum(sum(row.values) for row in rows) / (len(rows) * N_ITEMS), 3)}

    case.time(CASE, grid, work=len(LAYERS) * len(STRENGTHS) * sum(lengths(model)))


def lengths(model) -> list[int]:
    """Return how many tokens each item has."""
    return [len(model.read(item.prompt).row(0)) for item in items(model)]


def products(case: Case, dtype: str) -> None:
    """Time the matrix products that lie above each layer, and nothing else: what the FLOP count costs on this machine.

    Counted are an unsteered pass up to the highest layer, and for each layer the blocks above it on the tokens of four
    strengths; what the items share is counted once a strength.
    """
    import torch

    model = glassbook_model(dtype)
    shared = len(model.read(QUESTION).row(0))
    plain = sum(lengths(model))
    steered = len(STRENGTHS) * (plain - (N_ITEMS - 1) * shared)
    steps = [_block_products(block) for block in model.transformer.blocks]
    read = torch.randn(N_ITEMS * len(STRENGTHS), model.config.d_model, dtype=model.dtype)

    def multiply() -> None:
        with torch.inference_mode():
            for run in steps[: max(LAYERS) + 1]:
                run(plain)
            for layer in LAYERS:
                for run in steps[layer + 1 :]:
                    run(steered)
                torch.nn.functional.linear(read, model.transformer.unembed_weight)

    case.time(CASE, multiply, work=len(LAYERS) * steered)


def _block_products(block) -> Callable[[int], None]:
    """Return what multiplies so many rows by the four matrices of a block, a thousand rows at a time."""
    import torch

    weights = [block.attn.qkv.weight, block.attn.out.weight, block.mlp.gate_up.weight, block.mlp.down.weight]
    inputs = [torch.randn(1024, weight.shape[1], dtype=weight.dtype) for weight in weights]

    def run(rows: int) -> None:
        for done in range(0, rows, 1024):
            for weight, x in zip(weights, inputs, strict=True):
                torch.nn.functional.linear(x[: rows - done], weight)

    return run


@bench.contender("whole passes one cell at a time (bfloat16)", env="glassbook")
def _(case: Case) -> None:
    measure(case, "bfloat16", reuse=False, one_by_one=True)


@bench.contender("whole passes in our batches (bfloat16)", env="glassbook")
def _(case: Case) -> None:
    measure(case, "bfloat16", reuse=False)


@bench.contender("glassbook climbing prefix (bfloat16)", env="glassbook")
def _(case: Case) -> None:
    measure(case, "bfloat16", reuse=True)


@bench.contender("the products alone (bfloat16)", env="glassbook")
def _(case: Case) -> None:
    products(case, "bfloat16")


@bench.contender("glassbook climbing prefix (float32)", env="glassbook")
def _(case: Case) -> None:
    measure(case, "float32", reuse=True)


if __name__ == "__main__":
    bench.main()
