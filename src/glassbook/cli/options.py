"""Arguments and options that several verbs share, each said once.

Options that belong together are one dataclass; `opened_up` lets a verb take it as one parameter.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from glassbook.cli.output import progress

if TYPE_CHECKING:
    from glassbook.models.model import Model

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A known name (smollm2-135m, bookworm), a folder, a .gguf file, or a hub id owner/name."
    ),
]
PromptText = Annotated[str, typer.Argument(metavar="PROMPT", help="The text to read; - reads it from standard input.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Dtype = Annotated[str, typer.Option(help="Precision of the weights: float32, bfloat16, float16 or int8.")]
Device = Annotated[str, typer.Option(help="Where the model runs: cpu, or cuda where there is a GPU.")]
Bos = Annotated[
    bool | None,
    typer.Option("--bos/--no-bos", help="Begin with the document-start token, or not; else the tokenizer's policy."),
]


@dataclass(frozen=True, slots=True)
class Weights:
    """Which model a verb opens, and how."""

    model: ModelName
    dtype: Dtype = "float32"
    device: Device = "cpu"

    def open(self) -> "Model":
        """Return the open model, with a bar on stderr while it is fetched and read."""
        from glassbook.models.loading.opening import open_model

        with progress() as report:
            return open_model(place_of(self.model), dtype=self.dtype, device=self.device, progress=report)


def place_of(model: str) -> str | Path:
    """Return the folder of a model that ships beside its dictionaries; any other model as it was named."""
    from glassbook.models.loading.naming import find_known

    if find_known(model) or not model.isidentifier() or Path(model).exists():
        return model
    from glassbook.features.opening import list_models, shipped_model

    return shipped_model(model) if model in list_models() else model


@dataclass(frozen=True, slots=True)
class Writing:
    """How a model's continuation is drawn: the options of generation."""

    max_new_tokens: Annotated[int, typer.Option(help="How many tokens to write at most.")] = 64
    temperature: Annotated[
        float, typer.Option(help="0 takes the best token; 1 draws from the model's distribution.")
    ] = 0.0
    top_k: Annotated[int, typer.Option(help="Draw from the k most probable tokens only; 0 is off.")] = 0
    top_p: Annotated[float, typer.Option(help="Draw from the fewest tokens with this much probability; 1 is off.")] = (
        1.0
    )
    min_p: Annotated[float, typer.Option(help="Leave out tokens below this share of the best one; 0 is off.")] = 0.0
    frequency_penalty: Annotated[float, typer.Option(help="Off a token's logit for each time it was written.")] = 0.0
    presence_penalty: Annotated[float, typer.Option(help="Off the logit of every token written before.")] = 0.0
    repetition_penalty: Annotated[float, typer.Option(help="Divides positive logits of tokens seen; 1 is off.")] = 1.0
    stop: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Stop before this text; repeatable.")] = None
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0

    def checked(self) -> dict[str, Any]:
        """Return the options as `Model.complete` takes them.

        Raises InputError for a value that cannot be used, so that no model is opened for nothing.
        """
        from glassbook.models.sampling import Sampling

        given = asdict(self) | {"stop": tuple(self.stop or ())}
        Sampling(**given)
        return given


def opened_up(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a verb as typer reads it: a parameter that is a dataclass becomes one option for each of its fields."""
    hints = get_type_hints(verb, include_extras=True)
    hints.pop("return", None)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
        for own in inspect.signature(verb).parameters.values()
        for name, hint, default in _options(own, hints[own.name])
    ]

    @functools.wraps(verb)
    def opened(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        verb(**given)

    opened.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    opened.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return opened


def _options(own: inspect.Parameter, hint: Any) -> list[tuple[str, Any, Any]]:
    """Return name, type and default of every option that one parameter stands for."""
    if not is_dataclass(hint):
        return [(own.name, hint, own.default)]
    hints = get_type_hints(hint, include_extras=True)
    none = inspect.Parameter.empty
    return [
        (field.name, hints[field.name], none if field.default is MISSING else field.default) for field in fields(hint)
    ]
