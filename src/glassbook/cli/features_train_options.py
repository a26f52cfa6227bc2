"""What a training of dictionaries is asked: the options, and the dictionaries that every combination of them makes."""

import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Device
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.features import Wanted

SAVED_IN = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Read:
    """Whose activations are learned from."""

    out: Annotated[str, typer.Option(metavar="DIR", help="A new folder for the dictionary, or for one folder of each.")]
    site: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SITE",
            help="L15.resid_post; a transcoder: what it reads, then what it writes. A --store with one Site needs none.",
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="A known name (smollm2-135m), a folder, a .gguf file, or a hub id."),
    ] = None
    corpus: Annotated[
        str | None, typer.Argument(metavar="CORPUS", help="A known corpus, or a .txt or .jsonl file (plain, .gz, .xz).")
    ] = None
    store: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="What `features harvest` left, instead of MODEL and CORPUS.")
    ] = None
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Learn from so many; else all of a store, or 200,000 of a corpus.")
    ] = None
    batch_size: Annotated[int, typer.Option(min=1, help="Tokens in a step.")] = 4096
    context: Annotated[int, typer.Option(min=2, help="Tokens of a corpus that the model reads at a time.")] = 256
    documents: Annotated[str, typer.Option(metavar="FROM:TO", help="Only these documents of the corpus, from 0.")] = ":"
    dtype: Annotated[str, typer.Option(help="Precision of the model: float32, bfloat16, float16 or int8.")] = "bfloat16"
    device: Device = "cpu"


@dataclass(frozen=True, slots=True)
class Dictionaries:
    """Which dictionaries; options that are given more than once are combined, and all learn from one pass."""

    features: Annotated[list[int], typer.Option(min=1, help="How many features; repeatable.")]
    kind: Annotated[
        list[str] | None, typer.Option(help="topk, batchtopk, matryoshka-batchtopk, jumprelu, ...; repeatable.")
    ] = None
    k: Annotated[
        list[int] | None, typer.Option(min=1, help="Active features a token, in kinds that have a k; repeatable.")
    ] = None
    sparsity: Annotated[
        list[float] | None, typer.Option(help="Weight of the penalty, in kinds that have one; repeatable.")
    ] = None
    seed: Annotated[list[int] | None, typer.Option(help="Seed of the first weights; repeatable.")] = None
    setting: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A setting of the kind, such as norms=unit; repeatable."),
    ] = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How every one of them learns; what is not given is as the recipe has it."""

    lr: Annotated[float | None, typer.Option(help="Highest rate; else by features and steps.")] = None
    warmup_share: Annotated[float | None, typer.Option(help="Share of the steps up to the rate; else 0.05.")] = None
    decay_share: Annotated[float | None, typer.Option(help="Share of the steps down to 0; else 0.2.")] = None
    sparsity_warmup_share: Annotated[float | None, typer.Option(help="Share up to the penalty; else 0.05.")] = None
    clip: Annotated[float | None, typer.Option(help="Longest gradient, 0 for any; else 1.")] = None
    betas: Annotated[
        tuple[float, float] | None, typer.Option(help="Adam's; else 0.5 0.95, under a penalty 0.9 0.999.")
    ] = None
    first_length: Annotated[
        float | None, typer.Option(help="Of directions that settle, 0 for none that do; else 0.1, under a penalty 0.")
    ] = None
    first_encoder: Annotated[
        float | None, typer.Option(help="How long encoder rows are at first; else 0.3, under a penalty 1.")
    ] = None
    center: Annotated[str | None, typer.Option(help="What is taken off: mean, or median (geometric).")] = None
    mend: Annotated[str | None, typer.Option(help="What dead features get: auxk, resample or keep.")] = None
    aux_weight: Annotated[float | None, typer.Option(help="Weight of the loss that AuxK adds; else 1/32.")] = None
    dead_share: Annotated[float | None, typer.Option(help="Dead after this share without a token; else 0.1.")] = None
    precision: Annotated[str | None, typer.Option(help="Of the encoder's product: float32 or bfloat16.")] = None
    compile: Annotated[bool, typer.Option("--compile", help="Compile the objective, for a GPU.")] = False

    def training(self) -> dict[str, Any]:
        """Return what was given, as a training takes it."""
        given = {name: value for name, value in asdict(self).items() if value is not None and value is not False}
        if "precision" in given:
            given["dtype"] = given.pop("precision")
        for name, known in (("center", ("mean", "median")), ("mend", ("auxk", "resample", "keep"))):
            if given.get(name, known[0]) not in known:
                raise InputError(f"--{name} {given[name]} is unknown; choose {' or '.join(known)}")
        return given


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept, and how often."""

    save_dtype: Annotated[str, typer.Option(help="Precision of what is saved: float32, bfloat16 or float16.")] = (
        "float32"
    )
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between checkpoints; else a twentieth of all.")
    ] = None
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Learn in each process that torchrun started, as one.")
    ] = False


def dictionaries_of(asked: Dictionaries, training: dict[str, Any]) -> "dict[str, Wanted]":
    """Return every combination by the name of its folder; raise InputError for options that no kind has a use for."""
    from glassbook.features import Wanted

    seeds, settings = asked.seed or [0], _settings(asked.setting or ())
    found, used = {}, set[str]()
    for kind, n_features, seed in product(asked.kind or ["batchtopk"], asked.features, seeds):
        own = {name: value for name, value in settings.items() if name in _parameters(kind)}
        used |= set(own)
        for name, k, sparsity in _strengths(kind, own, asked):
            used.add(name)
            given = training | {"seed": seed} | ({} if sparsity is None else {"sparsity": sparsity})
            end = (f"-seed{seed}" if len(seeds) > 1 else "") + (f"-{name}{k or sparsity}" if name else "")
            found[f"{kind}-{n_features}{end}"] = Wanted(
                n_features=n_features, kind=kind, k=k, settings=own, training=given
            )
    given_names = {*settings, *(["k"] if asked.k else []), *(["sparsity"] if asked.sparsity else [])}
    if idle := sorted(given_names - used):
        raise InputError(f"no dictionary that is asked for has '{idle[0]}'; leave it out or name a kind that does")
    return found


def _strengths(
    kind: str, settings: dict[str, Any], asked: Dictionaries
) -> Sequence[tuple[str, int | None, float | None]]:
    """Return what sets how many features of a kind are active: each k, each weight of the penalty, or nothing."""
    from glassbook.features import DICTIONARIES
    from glassbook.features.transcoder import Transcoder

    inner = kind
    if issubclass(DICTIONARIES.find(kind), Transcoder):
        inner = str(settings.get("activation", "batchtopk"))
    if asked.k and "k" in _parameters(inner):
        return [("k", k, None) for k in asked.k]
    if asked.sparsity and (inner == "jumprelu" or DICTIONARIES.find(inner).penalty > 0):
        return [("sparsity", None, sparsity) for sparsity in asked.sparsity]
    return [("", None, None)]


def _parameters(kind: str) -> list[str]:
    """Return the names of the settings that a kind has."""
    from glassbook.features import DICTIONARIES

    return list(inspect.signature(DICTIONARIES.find(kind)).parameters)[3:]


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Return settings by name, their values read as JSON where they are JSON and as words where not."""
    found = {}
    for one in given:
        name, is_there, value = one.partition("=")
        if not name or not is_there:
            raise InputError(f"'{one[:40]}' is no setting; write NAME=VALUE, such as norms=unit")
        try:
            found[name.replace("-", "_")] = json.loads(value)
        except json.JSONDecodeError:
            found[name.replace("-", "_")] = value
    return found
