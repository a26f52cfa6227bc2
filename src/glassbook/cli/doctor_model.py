"""The doctor's questions to an open model: does it say what the reference says, and how fast does it say it."""

import math
import os
import time
from collections.abc import Callable
from functools import partial
from importlib.resources import files

import msgspec
import torch
from torch import Tensor
from torch.nn import functional as F

from glassbook.cli.doctor_checks import Check, allowed_cores
from glassbook.cli.open import describe_tokenizer, tokenizer_line
from glassbook.models.loading.naming import find_known
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts

_SENTENCE = "Ça coûte 3 € — naïve? 🙂\n\tif x<y: return"
# How far the logits of a correct model may lie from the reference's in float32, by the precision of its weights.
_TOLERANCE = {"float32": 2e-3, "bfloat16": 0.5, "float16": 0.1, "int8": 0.5}
_TOKENS = 128
_NEW_TOKENS = 32
_READ_BYTES = 1 << 28
_BUDGET, _MOST_TURNS = 1.0, 8  # seconds for one measurement, repetitions
_SLOW = 0.25  # of what the machine was just seen to do


class Golden(msgspec.Struct, frozen=True):
    """What the reference implementation answers to one prompt."""

    model: str
    made_by: str
    prompt: str
    prompt_tokens: list[int]
    top_tokens: list[int]
    top_logits: list[float]


def golden() -> Golden:
    """Return the answer that `tests/oracles/make_doctor_golden.py` wrote."""
    data = files("glassbook.cli").joinpath("data/doctor_golden.json").read_bytes()
    return msgspec.json.decode(data, type=Golden)


def check_parity(model: Model, name: str) -> Check:
    """Return whether the default model gives the reference's ids and its five largest logits."""
    want = golden()
    if find_known(name) != want.model:
        return Check("parity", True, f"no golden answer is kept of '{name}'; only {want.model} has one")
    ids = model.read(want.prompt, prepend_bos=False).row(0)
    if ids != want.prompt_tokens:
        return Check(
            "parity",
            False,
            f"the prompt became the ids {ids}, not {want.prompt_tokens}",
            "'glassbook doctor --full' checks the files",
        )
    logits = model([ids])[0, -1].float()
    error = float((logits[want.top_tokens] - torch.tensor(want.top_logits)).abs().max())
    same = logits.topk(5).indices.tolist() == want.top_tokens
    exact = model.identity.dtype == "float32"
    holds = (
        error <= _TOLERANCE[model.identity.dtype] and (same or not exact) and int(logits.argmax()) == want.top_tokens[0]
    )
    answer = model.to_string([int(logits.argmax())])
    finding = (
        f"“{want.prompt}” goes on with “{answer.strip()}”; its logits differ from {want.made_by} by at most {error:.1e}"
    )
    step = "" if holds else "'glassbook doctor --full' checks the files; if they are sound, please report this"
    return Check("parity", holds, finding, step, {"max_abs_difference": error, "same_top_5": same})


def check_tokenizer(model: Model) -> Check:
    """Return the tokenizer's policy in one line, and whether a text with odd characters comes back as it was."""
    said = tokenizer_line(describe_tokenizer(model))
    if model.tokenizer is None:
        return Check("tokenizer", True, said)
    back = model.tokenizer.decode(model.tokenizer.encode(_SENTENCE))
    finding = said if back == _SENTENCE else f"{said}; but {_SENTENCE!r} came back as {back!r}"
    step = "" if back == _SENTENCE else "this tokenizer loses characters; do not count on exact positions"
    return Check("tokenizer", back == _SENTENCE, finding, step, describe_tokenizer(model) or {})


def check_forward(model: Model) -> Check:
    """Return the speed of a forward pass as a share of float32 products of the same shapes on this machine.

    Operations are counted as 2 for each weight that multiplies a token and each score of causal attention, twice.
    """
    c, n = model.config, min(_TOKENS, model.config.n_ctx)
    batch = model.read(Prompts(torch.arange(n)[None] % c.d_vocab, [n]))
    weights = multiplied_weights(model)
    in_weights = 2 * n * sum(weight.numel() for weight in weights)
    flop = in_weights + 2 * c.n_layers * c.n_heads * c.d_head * n * n
    with torch.inference_mode():
        # Taken in turns, so that what else the machine does disturbs both alike.
        seconds, product = _fastest(lambda: _timed(lambda: model.net(batch.ids)), lambda: _product_seconds(weights, n))
    gemm = in_weights / product
    share = flop / seconds / gemm
    finding = (
        f"{n / seconds:,.0f} tokens/s over {n} tokens in {model.identity.dtype}, {flop / seconds / 1e9:,.1f} GFLOP/s: "
        f"{share:.0%} of this machine's float32 products of the same shapes"
    )
    figures = {
        "tokens_per_s": n / seconds,
        "flop": flop,
        "flop_per_s": flop / seconds,
        "gemm_flop_per_s": gemm,
        "share": share,
    }
    return _speed("forward pass", share, finding, figures)


def check_generation(model: Model) -> Check:
    """Return the speed of generation at batch 1 as a share of what reading the weights once a token would allow."""
    deadline = time.perf_counter() + _BUDGET
    done = model.complete(
        [[1]], max_new_tokens=_NEW_TOKENS, stop_at_eos=False, should_stop=lambda: time.perf_counter() > deadline
    )
    rate = len(done[0].tokens) / (time.perf_counter() - deadline + _BUDGET)
    size = sum(weight.nbytes for weight in multiplied_weights(model))
    block = torch.ones(_READ_BYTES // 4)
    bandwidth = _READ_BYTES / _fastest(lambda: _timed(block.sum))[0]
    bound = bandwidth / size
    finding = (
        f"{rate:,.1f} tokens/s: {rate / bound:.0%} of the {bound:,.0f} that reading {size / 1e6:,.0f} MB of weights "
        f"for each token at {bandwidth / 1e9:,.0f} GB/s allows"
    )
    figures = {"tokens_per_s": rate, "bound_tokens_per_s": bound, "read_bytes_per_s": bandwidth, "share": rate / bound}
    return _speed("generation", rate / bound, finding, figures)


def multiplied_weights(model: Model) -> list[Tensor]:
    """Return the matrices that every token is multiplied by: those of the blocks, and the unembedding."""
    return [
        *(weight for weight in model.transformer.blocks.parameters() if weight.ndim == 2),
        model.transformer.unembed_weight,
    ]


def _speed(name: str, share: float, finding: str, figures: dict[str, float]) -> Check:
    if share >= _SLOW:
        return Check(name, True, finding, figures=figures)
    load = os.getloadavg()[0]
    busy = f"about {load:.0f} programs want this machine's time at once; " if load > allowed_cores() else ""
    step = f"{busy}try again when it is idle, or with a model large enough to keep it busy"
    return Check(name, False, finding, step, figures)


def _product_seconds(weights: list[Tensor], rows: int) -> float:
    total = 0.0
    for weight in weights:
        wide, x = weight.float(), torch.ones(rows, weight.shape[1])
        total += _timed(partial(F.linear, x, wide))
    return total


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _fastest(*measures: Callable[[], float]) -> list[float]:
    """Return the fewest seconds that each measure came to, taken in turns while the budget lasts, twice at least."""
    start, best, turns = time.perf_counter(), [math.inf] * len(measures), 0
    while turns < 2 or (turns < _MOST_TURNS and time.perf_counter() - start < _BUDGET):
        best = [min(known, measure()) for known, measure in zip(best, measures, strict=True)]
        turns += 1
    return best
