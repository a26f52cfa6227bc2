"""What a training is asked: the options, a TOML file beneath them, and the configuration that both make."""

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from glassbook.core.errors import InputError

Count = Annotated[int, msgspec.Meta(ge=1)]
Rate = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]

TextName = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", help="A .txt or .jsonl file (plain, .gz, .xz), or the name of a known corpus."),
]


class TrainingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the weights depend on; the defaults are a small network that a laptop trains in minutes."""

    text: str
    architecture: str = "gpt2"
    n_layers: Count = 4
    d_model: Count = 128
    n_heads: Count = 4
    context: Count = 64
    tokenizer: str = "character"
    d_vocab: Count = 1024
    steps: Count = 2000
    batch: Count = 12
    lr: Rate = 1e-3
    min_lr: NotNegative | None = None
    warmup: Annotated[int, msgspec.Meta(ge=0)] | None = None
    weight_decay: NotNegative = 0.1
    clip: NotNegative = 1.0
    accumulate: Count = 1
    dtype: str = "float32"
    device: str = "cpu"
    seed: int = 0
    evaluate_every: Count | None = None
    checkpoint_every: Count | None = None
    name: str = ""
    out: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """The network and how it reads text; what is not given stands in the configuration's file, or is the default."""

    architecture: Annotated[str | None, typer.Option(help="gpt2 or llama; by default gpt2.")] = None
    n_layers: Annotated[int | None, typer.Option(help="Blocks; by default 4.")] = None
    d_model: Annotated[int | None, typer.Option(help="Width of the residual stream; by default 128.")] = None
    n_heads: Annotated[int | None, typer.Option(help="Heads of each block; by default 4.")] = None
    context: Annotated[int | None, typer.Option(help="Tokens that the network can read; by default 64.")] = None
    tokenizer: Annotated[
        str | None,
        typer.Option(help="character, byte-bpe (learned from the text), gpt2, or a model whose own is used."),
    ] = None
    d_vocab: Annotated[int | None, typer.Option(help="Tokens that byte-bpe learns at most; by default 1024.")] = None


@dataclass(frozen=True, slots=True)
class Learning:
    """How it learns."""

    steps: Annotated[int | None, typer.Option(help="Steps in all; by default 2000.")] = None
    batch: Annotated[int | None, typer.Option(help="Windows in a batch; by default 12.")] = None
    lr: Annotated[float | None, typer.Option(help="The highest learning rate; by default 0.001.")] = None
    min_lr: Annotated[float | None, typer.Option(help="The last learning rate; by default a tenth of lr.")] = None
    warmup: Annotated[int | None, typer.Option(help="Steps up to lr; by default a twentieth of all.")] = None
    weight_decay: Annotated[float | None, typer.Option(help="AdamW's, on matrices alone; by default 0.1.")] = None
    clip: Annotated[float | None, typer.Option(help="Longest gradient, 0 for any; by default 1.")] = None
    accumulate: Annotated[int | None, typer.Option(help="Read a batch in so many parts, to save memory.")] = None
    dtype: Annotated[str | None, typer.Option(help="Precision of products: float32 or bfloat16.")] = None
    device: Annotated[str | None, typer.Option(help="cpu, or cuda where there is a GPU.")] = None
    seed: Annotated[int | None, typer.Option(help="Seed of the weights and of the windows drawn; by default 0.")] = None


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept, and how often."""

    name: Annotated[str | None, typer.Option(help="What the model is called; by default as its folder.")] = None
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="A new folder for the model; by default inside the run.")
    ] = None
    evaluate_every: Annotated[int | None, typer.Option(help="Steps between looks at the validation text.")] = None
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None


@dataclass(frozen=True, slots=True)
class Starting:
    """How the training begins, or goes on."""

    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A TOML file with any of these options; others win over it.")
    ] = None
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a training that was stopped, or latest.")
    ] = None
    distributed: Annotated[
        str | None, typer.Option(metavar="KIND", help="ddp or fsdp2: learn in each process that torchrun started.")
    ] = None


def read_config(text: str | None, groups: tuple[Any, ...], file: Path | None) -> TrainingConfig:
    """Return the configuration that the options and the file beneath them make.

    Raises InputError for a field that is unknown, missing or out of its range, in the file or among the options.
    """
    given = {name: value for group in groups for name, value in asdict(group).items() if value is not None}
    given |= {"text": text} if text is not None else {}
    beneath = _read_file(file) if file else {}
    if "text" in beneath and file and text is None and (file.parent / str(beneath["text"])).is_file():
        # A file is named as seen from the configuration that names it.
        beneath["text"] = str(file.parent / str(beneath["text"]))
    return as_config(beneath | given, f"'{file}'" if file else "what was asked")


def as_config(fields: dict[str, Any], place: str) -> TrainingConfig:
    """Return the configuration of these fields; raise InputError that names the field which cannot be used."""
    if "text" not in fields:
        raise InputError("no text was given to train on; name a .txt or .jsonl file or a known corpus")
    for name in fields:
        if name not in TrainingConfig.__struct_fields__:
            near = get_close_matches(name, TrainingConfig.__struct_fields__, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise InputError(
                f"{place} has the unknown field '{name}'; {hint}known: {', '.join(TrainingConfig.__struct_fields__)}"
            )
    try:
        return msgspec.convert(fields, type=TrainingConfig)
    except msgspec.ValidationError as fault:
        what, _, where = str(fault).partition(" - at `$.")
        raise InputError(f"{where.rstrip('`')} cannot be used ({what.lower()}); mend it in {place}") from None


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return msgspec.toml.decode(file.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        raise InputError(f"there is no configuration '{file}'; give the path of a TOML file") from None
    except (msgspec.MsgspecError, UnicodeError) as fault:
        raise InputError(f"the configuration '{file}' is no TOML ({fault}); mend it") from None
