"""Continuations of the same beginnings under steering and beside it, and how fluent the unsteered model finds them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glassbook.models.generation import Completion
from glassbook.models.model import Model
from glassbook.steering.fluency import completion_perplexities
from glassbook.steering.vector_set import PerRow, Vectors
from glassbook.studies.activation_addition.bench import Bench

# As in the authors' post.
SAMPLING = {"temperature": 1.0, "top_p": 0.3, "frequency_penalty": 1.0}


@dataclass(frozen=True)
class Writer:
    """One way of having a model write: under a steering for each beginning, or behind an instruction."""

    steers: Sequence[Vectors | None]
    instruction: str = ""


def write(
    bench: Bench, openings: Sequence[str], writers: Mapping[str, Writer], score: Callable[[str], float]
) -> dict[str, object]:
    """Return columns `written_<writer>` (what `score` says of each continuation) and `surprise_<writer>`.

    The surprise is the log-perplexity of a continuation under the unsteered model, after its beginning without any
    instruction. Every writer draws with the same seed.
    """
    columns: dict[str, object] = {}
    for number, (name, writer) in enumerate(writers.items()):
        bench.cell.progress(number, len(writers), f"writing: {name}")
        done = _completed(bench, openings, writer)
        columns[f"written_{name}"] = [score(one.text) for one in done]
        columns[f"surprise_{name}"] = _surprise(bench.model, openings, done)
    return columns


def _completed(bench: Bench, openings: Sequence[str], writer: Writer) -> list[Completion]:
    return bench.model.complete(
        [writer.instruction + opening for opening in openings],
        steer=PerRow(writer.steers),
        prepend_bos=True,
        max_new_tokens=bench.settings.n_tokens,
        seed=bench.cell.seed,
        stop_at_eos=False,
        **SAMPLING,
    )


def _surprise(model: Model, openings: Sequence[str], done: Sequence[Completion]) -> NDArray[np.float64]:
    starts = [model.read(opening, prepend_bos=True).row(0) for opening in openings]
    return np.log(
        completion_perplexities(model, [(start, one.tokens) for start, one in zip(starts, done, strict=True)])
    )
