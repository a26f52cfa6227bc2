"""What a sweep works on: a direction at every layer, and items in two halves that no direction was made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from glassbook.core.errors import InputError, VectorError
from glassbook.core.seeds import generator
from glassbook.core.sites import Site
from glassbook.models.model import Model
from glassbook.steering.recipes import actadd_set, directions
from glassbook.steering.sweeps.settings import Pairs, Settings
from glassbook.steering.vector_set import Vectors, VectorSet, each_vector
from glassbook.steering.vectors import SteeringVector
from glassbook.tasks.contrast import ChoiceItem, ChoiceSet, ContrastSet, load_choices, load_contrast, split_half
from glassbook.text.corpora import open_corpus

T = TypeVar("T")
_TRAIT = "You are someone with this trait: {}. "
_FEWEST_ITEMS = 4
_ACTADD = "actadd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The direction at every layer, the items that the choice is made on, and those that it is reported on."""

    label: str
    vectors: Mapping[int, Vectors]
    choosing: tuple[Any, ...]
    reporting: tuple[Any, ...]
    instruction: str
    split: str


def gather(model: Model, pairs: Pairs, layers: Sequence[int], effect: object, settings: Settings) -> Material:
    """Return what the sweep works on; raise InputError or VectorError for what cannot be used, before anything is computed."""
    items, source, instruction = _items(model, pairs, effect, settings)
    if settings.instruction is not None:
        instruction = settings.instruction
    if len(items) < _FEWEST_ITEMS:
        raise InputError(f"{len(items)} items make no two halves; give at least {_FEWEST_ITEMS}")
    drawn = _drawn(items, settings.n_items, settings.seed, "items of a sweep")
    choosing, reporting = split_half(drawn, settings.seed)
    vectors, made = _vectors(model, pairs, layers, drawn, settings)
    split = (
        f"{made}; of {len(items)} items of {source}, {len(choosing)} chose the cell and {len(reporting)} others "
        f"report it, drawn with seed {settings.seed}"
    )
    return Material(
        label=_label(pairs, settings),
        vectors=vectors,
        choosing=tuple(choosing),
        reporting=tuple(reporting),
        instruction=instruction,
        split=split,
    )


def read_layers(model: Model, pairs: Pairs, layers: Sequence[int] | None) -> list[int]:
    """Return the layers to sweep over, lowest first; None means those of a set, else a seventh to two thirds of the depth.

    Raises InputError for an empty range, SiteError for a layer that the model does not have.
    """
    n = model.config.n_layers
    if layers is None:
        held = {vector.site.layer for vector in pairs} if isinstance(pairs, VectorSet) else set()
        layers = [layer for layer in held if layer is not None] or range(n // 7, max(n // 7 + 1, 2 * n // 3))
    found = sorted(set(layers))
    if not found:
        raise InputError(
            f"the range of layers is empty; give some of 0 to {n - 1}, such as range({n // 7}, {2 * n // 3})"
        )
    for layer in found:
        model.sites(Site("resid_post", layer))
    return found


def text_windows(model: Model, texts: str | Sequence[str], n_windows: int, window: int) -> list[list[int]]:
    """Return windows of ids, as long as the context allows, spread evenly over a corpus or given texts."""
    if model.tokenizer is None:
        raise InputError(f"{model.identity.name} has no tokenizer, so its cost on text cannot be measured")
    length = min(window, model.config.n_ctx - 2)
    ids = [token for text in open_corpus(texts) for token in model.tokenizer.encode(text)]
    n = min(n_windows, len(ids) // length)
    if n < 2:
        raise InputError(f"{len(ids)} tokens of text do not fill two windows of {length}; give more text")
    step = len(ids) // n
    return [ids[i * step : i * step + length] for i in range(n)]


def _items(model: Model, pairs: Pairs, effect: object, settings: Settings) -> tuple[list[Any], str, str]:
    """Return the items, what they are called, and the instruction that belongs to them."""
    given = settings.items
    if effect == "perplexity-ratio":
        if given is None or isinstance(given, Path | ChoiceSet):
            raise InputError(
                "the perplexity ratio needs texts about the topic; give items=[text, ...] or a corpus name"
            )
        windows = text_windows(model, given, settings.n_items, settings.window)  # type: ignore[arg-type]
        return windows, given if isinstance(given, str) else "the texts given", ""
    if given is None or isinstance(given, str | Path):
        given = _choices_of(pairs, given)
    if isinstance(given, ChoiceSet):
        return list(given.items), f"“{given.name}”", given.instruction or _trait(given.name)
    if effect == "choice-log-odds" and not all(isinstance(item, ChoiceItem) for item in given):
        raise InputError(
            "log-odds are of choices; give items as ChoiceItem(prompt, positive, negative), or another effect"
        )
    return list(given), "those given", ""


def _choices_of(pairs: Pairs, given: str | Path | None) -> ChoiceSet:
    """Return the choices of a name, or those that go with the pairs' own; raise InputError where there are none."""
    if given is not None:
        return load_choices(given)
    name = pairs.name if isinstance(pairs, ContrastSet) else pairs
    if isinstance(name, str) and (name == "sentiment" or "/" in name) and not Path(name).is_file():
        return load_choices(name)
    raise InputError("no items go with these pairs by name; give items=, such as 'sentiment', a file, or ChoiceItems")


def _trait(name: str) -> str:
    """Return what one would write to have a model-written evaluation answered in favor of its behavior."""
    folder, _, behavior = name.partition("/")
    return _TRAIT.format(behavior.replace("-", " ")) if folder in ("persona", "risk") and behavior else ""


def _vectors(
    model: Model, pairs: Pairs, layers: Sequence[int], items: Sequence[Any], settings: Settings
) -> tuple[dict[int, Vectors], str]:
    """Return the direction at every layer, as the settings let it act, and what it was made from."""
    if isinstance(pairs, SteeringVector | VectorSet):
        found, made = _ready(model, pairs, layers, settings.together), "the direction was given"
    else:
        positives, negatives, made = _texts(pairs, items, settings)
        found = _made(model, positives, negatives, layers, settings)
    changes: dict[str, Any] = {"operator": settings.operator, "positions": settings.positions}
    changes = {name: value for name, value in changes.items() if value is not None}
    vectors: dict[int, Vectors] = {layer: one.with_(**changes) for layer, one in found.items()}
    for layer, one in vectors.items():
        model.edits_of(one)
        if one.norm == 0:
            raise VectorError(f"the direction at layer {layer} is zero: both sides of the pairs read alike there")
    return vectors, made


def _made(
    model: Model, positives: Sequence[str], negatives: Sequence[str], layers: Sequence[int], settings: Settings
) -> dict[int, Vectors]:
    """Return the direction at every layer that the texts give."""
    sites = model.sites([f"L{layer}.{settings.site}" for layer in layers])
    if settings.direction != _ACTADD:
        vectors = directions(model, positives, negatives, sites, settings.direction)
    elif len(positives) == len(negatives) == 1:
        vectors = actadd_set(model, positives[0], negatives[0], sites)
    else:
        raise InputError(
            f"ActAdd is made from one text on each side, not {len(positives)} and {len(negatives)}; give one pair"
        )
    return {vector.site.layer: vector for vector in vectors if vector.site.layer is not None}


def _ready(model: Model, vectors: Vectors, layers: Sequence[int], together: bool) -> dict[int, Vectors]:
    """Return vectors that were given by layer: one moved from layer to layer, those of a set each at its own, or all at once."""
    if isinstance(vectors, SteeringVector):
        if vectors.site.layer is None:
            raise VectorError(f"a vector at {vectors.site} has no layer to be swept over; give one at a layer's Site")
        moved = (vectors.with_(site=_moved(vectors.site, layer)) for layer in layers)
        return {layer: one for layer, one in zip(layers, moved, strict=True) if model.sites(one.site)}
    kept = vectors.at(layers)
    by_layer = {vector.site.layer: vector for vector in kept if vector.site.layer is not None}
    if together:
        return {min(by_layer): kept}
    lacking = [layer for layer in layers if layer not in by_layer]
    if lacking:
        raise VectorError(f"the set has no vector at layer {lacking[0]}; it has them at layers {sorted(by_layer)}")
    return {layer: by_layer[layer] for layer in layers}


def _moved(site: Site, layer: int) -> Site:
    text = str(site).partition(".")[2]
    return Site.parse(f"L{layer}.{text}")


def _texts(pairs: Any, items: Sequence[Any], settings: Settings) -> tuple[list[str], list[str], str]:
    """Return positives and negatives without any text that an item would also ask for, and how many they are."""
    if isinstance(pairs, tuple):
        positives, negatives = list(pairs[0]), list(pairs[1])
        return positives, negatives, f"the direction was made from {len(positives)} and {len(negatives)} texts given"
    found = pairs if isinstance(pairs, ContrastSet) else load_contrast(pairs)
    asked = {
        item.prompt + option
        for item in items
        if isinstance(item, ChoiceItem)
        for option in (item.positive, item.negative)
    }
    free = [pair for pair in found.pairs if not asked.intersection(pair)]
    if not free:
        raise InputError(
            f"every pair of '{found.name}' is among the items; lower n_items, so that some are left for the direction"
        )
    drawn = _drawn(free, settings.n_pairs, settings.seed, "pairs of a sweep")
    made = (
        f"the direction was made from {len(drawn)} of the {len(found.pairs)} pairs of “{found.name}”, "
        f"none of them among the items"
    )
    return [one for one, _ in drawn], [other for _, other in drawn], made


def _drawn(rows: Sequence[T], most: int, seed: int, purpose: str) -> list[T]:
    """Return at most `most` of the rows, in their order, drawn by the seed."""
    if len(rows) <= most:
        return list(rows)
    order = torch.randperm(len(rows), generator=generator(seed, purpose))[:most]
    return [rows[i] for i in sorted(order.tolist())]


def _label(pairs: Pairs, settings: Settings) -> str:
    if isinstance(pairs, SteeringVector | VectorSet):
        made = each_vector(pairs)[0].made.get("recipe", "vector")
        return f"the given {made}"
    name = (
        pairs.name if isinstance(pairs, ContrastSet) else "the pairs given" if isinstance(pairs, tuple) else str(pairs)
    )
    return f"{settings.direction} of {name}"
