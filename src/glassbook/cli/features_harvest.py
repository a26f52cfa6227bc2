"""`glassbook features harvest`: activations of a corpus at several Sites into a folder, in one pass."""

import shlex
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from glassbook.cli.door import tell
from glassbook.cli.long_work import long_work
from glassbook.cli.options import Device, Json, ModelName, Weights
from glassbook.cli.output import print_facts, print_json
from glassbook.cli.recording import COMMAND, Asked, Root, recorded
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.activations.store import ActivationStore, Harvest
    from glassbook.files.hashes import Progress as Report
    from glassbook.models.model import Model
    from glassbook.runs.record import Run
    from glassbook.text.corpora import Corpus

MODULES = ("glassbook.activations.store.harvesting", "glassbook.models.loading.opening")
"""The code whose import closure a harvest depends on."""

_GB = 1_000_000_000
_ENDED = {
    "tokens": "as many tokens as were asked for; more with a larger --tokens",
    "budget": "the folder may not grow further; more with a larger --max-gb",
    "corpus": "all of the corpus",
}

CorpusName = Annotated[
    str, typer.Argument(metavar="CORPUS", help="A known corpus, or a .txt or .jsonl file (plain, .gz, .xz).")
]


@dataclass(frozen=True, slots=True)
class What:
    """Which model is read, on which text, where."""

    model: ModelName
    corpus: CorpusName
    site: Annotated[list[str], typer.Option(metavar="SITE", help="L15.resid_post, L*.mlp_out, L3.H2.z; repeatable.")]
    out: Annotated[str, typer.Option(metavar="DIR", help="The folder, or an fsspec URL; a harvest there goes on.")]
    dtype: Annotated[str, typer.Option(help="Precision of the weights: float32, bfloat16, float16 or int8.")] = (
        "bfloat16"
    )
    values_dtype: Annotated[str | None, typer.Option(help="Precision of what is kept; else that of the weights.")] = (
        None
    )
    device: Device = "cpu"

    @property
    def kept_dtype(self) -> str:
        """Return the precision of what is kept."""
        return self.values_dtype or ("bfloat16" if self.dtype == "int8" else self.dtype)


@dataclass(frozen=True, slots=True)
class HowMuch:
    """When a harvest ends."""

    tokens: Annotated[int | None, typer.Option(min=1, help="Keep at least so many tokens; else the whole corpus.")] = (
        None
    )
    max_gb: Annotated[float | None, typer.Option(help="Write at most so many gigabytes (of 1,000 million bytes).")] = (
        None
    )

    @property
    def max_bytes(self) -> int | None:
        """Return the budget in bytes."""
        return None if self.max_gb is None else int(self.max_gb * _GB)


@dataclass(frozen=True, slots=True)
class Reading:
    """How text becomes contexts, and which of their positions are kept."""

    context: Annotated[int, typer.Option(min=2, help="Tokens that the model reads at a time.")] = 256
    documents: Annotated[
        str,
        typer.Option(metavar="FROM:TO", help="Only these documents of the corpus, from 0; 0:170 leaves the rest out."),
    ] = ":"
    one_document: Annotated[
        bool,
        typer.Option(
            "--one-document", help="End a context where its document ends, instead of going on with the next."
        ),
    ] = False
    mixed: Annotated[
        int, typer.Option(min=0, help="Contexts among which the next one is drawn; 0 keeps the order of the corpus.")
    ] = 4096
    no_start_token: Annotated[
        bool, typer.Option("--no-start-token", help="Put no document-start token before contexts and documents.")
    ] = False
    keep_start: Annotated[
        bool, typer.Option("--keep-start", help="Keep start tokens and first positions, which are attention sinks.")
    ] = False
    norm_multiple: Annotated[
        float, typer.Option(help="Leave out norms beyond so many times the median; 0 keeps all.")
    ] = 10.0
    batch_size: Annotated[int, typer.Option(min=1, help="Contexts in one pass.")] = 8
    seed: Annotated[int, typer.Option(help="Seed of the mixing.")] = 0


def harvest(what: What, how_much: HowMuch, reading: Reading, root: Root = None, as_json: Json = False) -> None:
    """Keep a model's activations on a corpus, at one or more Sites.

    Positions that would spoil a dictionary (start tokens, extreme norms) are left out and counted. Ctrl-C and crashes keep what
    was harvested: the same command goes on with it, and with larger --tokens or --max-gb it adds to it.
    """
    from glassbook.text.corpora import open_corpus

    settings, corpus = _settings(what, how_much, reading), open_corpus(what.corpus)
    model = Weights(what.model, what.dtype, what.device).open()
    model.sites(what.site)
    config = asdict(what) | asdict(how_much) | asdict(reading)
    with recorded(Asked("harvest", config, reading.seed, MODULES), model, root) as run:
        with run.part("harvest"):
            store, rate = _harvested(model, corpus, what, settings)
        _keep(run, store, rate)
    if as_json:
        print_json({"folder": store.folder, "run": run.id} | store.facts)
    else:
        print_facts(_told(store) | {"run": run.id})


def _settings(what: What, how_much: HowMuch, reading: Reading) -> "Harvest":
    """Return the settings of the harvest; raise InputError for what cannot be, before a model is opened for nothing."""
    from glassbook.activations.store import Harvest, Policy

    policy = Policy(
        start_token=False if reading.no_start_token else None,
        drop_start=not reading.keep_start,
        norm_multiple=reading.norm_multiple or None,
    )
    return Harvest(
        tokens=how_much.tokens,
        context=reading.context,
        dtype=what.kept_dtype,
        max_bytes=how_much.max_bytes,
        batch_size=reading.batch_size,
        packed=not reading.one_document,
        documents=read_range(reading.documents),
        mixed=reading.mixed,
        seed=reading.seed,
        policy=policy,
    )


def read_range(text: str) -> tuple[int, int | None]:
    """Return start and stop of a range such as `0:170`, `170:` or `:`; raise InputError for any other text."""
    start, colon, stop = text.partition(":")
    if not colon or not all(part.isdecimal() or not part for part in (start, stop)):
        raise InputError(f"'{text[:40]}' is no range of documents; write FROM:TO, such as 0:170 or 170:")
    return int(start or 0), int(stop) if stop else None


class Pace:
    """Tokens a second between the first report of the harvest itself and the last."""

    def __init__(self, report: "Report") -> None:
        self._report = report
        self._label, self._moments = "", list[tuple[float, int]]()

    def __call__(self, label: str, done: int, total: int) -> None:
        """Pass a report on."""
        # Of the work under way the first moment and the last one are kept.
        if label != self._label:
            self._label, self._moments = label, []
        self._moments[1:] = [(time.monotonic(), done)]
        self._report(label, done, total)

    @property
    def rate(self) -> float:
        """Return tokens a second; 0 where fewer than two passes were made."""
        if len(self._moments) < 2:
            return 0.0
        (start, before), (end, after) = self._moments
        return (after - before) / (end - start) if end > start else 0.0


def _harvested(model: "Model", corpus: "Corpus", what: What, settings: "Harvest") -> "tuple[ActivationStore, float]":
    """Return the store, and tokens a second; say how to go on where Ctrl-C ends it."""
    from glassbook.activations.store import harvest as begin

    try:
        with long_work("tokens") as report:
            pace = Pace(report)
            store = begin(model, corpus, what.site, what.out, settings, pace)
    except KeyboardInterrupt:
        tell(f"what was harvested into {what.out} is kept; go on with: {shlex.join(COMMAND.get())}")
        raise
    return store, pace.rate


def _keep(run: "Run", store: "ActivationStore", rate: float) -> None:
    """Record which rows were read, what is there now, and how fast it came."""
    facts = store.facts
    corpus, counts = facts["corpus"], facts["counts"]
    run.note_data(corpus["name"], corpus["sha256"], corpus["documents"], corpus["licence"])
    run.save_json("store", {"folder": store.folder} | facts)
    run.metric("tokens", counts["tokens"])
    run.metric("bytes", counts["bytes"], "bytes")
    if rate:
        run.metric("tokens-per-second", rate, "1/s")


def _told(store: "ActivationStore") -> dict[str, str]:
    """Return what people read of a store."""
    facts = store.facts
    counts, corpus = facts["counts"], facts["corpus"]
    left_out = f"{counts['left_out']['start']:,} at the start of contexts and documents"
    for site, n in counts["left_out_at"].items():
        if limit := facts["sites"][site]["largest_norm"]:
            left_out += f", {n:,} of a norm beyond {limit:g} at {site}"
    read = "1 document" if corpus["documents"] == 1 else f"{corpus['documents']:,} documents"
    return {
        "folder": store.folder,
        "weights": store.identity.label,
        "Sites": ", ".join(f"{site} (width {store.width(site)})" for site in store.sites),
        "tokens": f"{store.n_tokens:,} in {store.n_contexts:,} contexts of {facts['settings']['context']}",
        "corpus": f"{read} of {corpus['name']} read, licence {corpus['licence']}",
        "left out": left_out,
        "size": f"{counts['bytes'] / _GB:,.3f} GB in {facts['settings']['dtype']}",
        "ended": _ENDED[counts["ended"]],
    }
