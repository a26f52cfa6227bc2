"""`glassbook features cards`: what is known of each feature of a dictionary, kept beside it and shown on a page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.door import tell
from glassbook.cli.long_work import long_work
from glassbook.cli.options import Device, Json, Weights
from glassbook.cli.output import print_facts, print_json
from glassbook.cli.recording import Asked, Root, recorded
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.activations.store import ActivationStore
    from glassbook.features import Dictionary
    from glassbook.features.cards import Cards, CardSettings
    from glassbook.models.model import Model
    from glassbook.runs.record import Run

MODULES = ("glassbook.features.cards.making", "glassbook.features.cards.ablating", "glassbook.models.loading.opening")
"""The code whose import closure cards depend on."""

_MOST_SHOWN = 12
"""Features on a page where none are named: those that are active at about as many tokens as the middle one."""
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Which:
    """Of which dictionary, on which tokens, and which features the page shows."""

    dictionary: Annotated[str, typer.Argument(metavar="DICTIONARY", help="A folder with a dictionary.")]
    store: Annotated[str, typer.Option(metavar="DIR", help="What glassbook features harvest left: a folder or URL.")]
    feature: Annotated[list[int] | None, typer.Option(metavar="N", help="Show this feature; repeatable.")] = None
    all: Annotated[bool, typer.Option("--all", help="Show every feature that is ever active.")] = False
    model: Annotated[str, typer.Option(help="The model that was harvested from.")] = "smollm2-135m"
    dtype: Annotated[str | None, typer.Option(help="Precision of its weights; else that of the harvest.")] = None
    device: Device = "cpu"


@dataclass(frozen=True, slots=True)
class Holding:
    """What cards hold, and the memory that making them may take."""

    top: Annotated[int, typer.Option(min=1, help="Examples with the largest activations.")] = 12
    samples: Annotated[int, typer.Option(min=0, help="Examples of each even interval of activation.")] = 2
    before: Annotated[int, typer.Option(min=0, help="Tokens shown before the one that was chosen.")] = 16
    after: Annotated[int, typer.Option(min=0, help="Tokens shown after it.")] = 7
    ablate: Annotated[
        int, typer.Option(min=0, help="Top examples on which the shown features are ablated, by exact passes.")
    ] = 0
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0
    max_gb: Annotated[float, typer.Option(help="Memory for it (of 1,000 million bytes), weights left out.")] = 1.0

    def settings(self) -> "CardSettings":
        """Return the settings of the cards; raise InputError for what makes none."""
        from glassbook.features.cards import CardSettings

        kept = {name: value for name, value in asdict(self).items() if name not in ("ablate", "max_gb")}
        return CardSettings(**kept, memory_bytes=int(self.max_gb * 1000 * _MB))


def cards(which: Which, holding: Holding, root: Root = None, as_json: Json = False) -> None:
    """Make the cards of all features in one pass over a harvest, keep them beside the dictionary, and write a page.

    A card has density and histogram, the top examples and samples of every interval of activation, the tokens that the feature
    speaks for, and the features and neurons nearest to it. Nothing is kept of cards that were cut short by Ctrl-C.
    """
    from glassbook.activations.store import open_store
    from glassbook.features.files import is_dictionary, load_dictionary

    settings = holding.settings()
    if not is_dictionary(which.dictionary):
        raise InputError(f"'{which.dictionary}' is no folder with a dictionary; cards are kept beside one")
    dictionary, store = load_dictionary(which.dictionary), open_store(which.store)
    _check_features(which.feature or (), dictionary.n_features)
    model = Weights(which.model, which.dtype or store.identity.dtype or "float32", which.device).open()
    with recorded(Asked("cards", asdict(which) | asdict(holding), holding.seed, MODULES), model, root) as run:
        made = _made(run, (model, dictionary, store), settings, which.dictionary)
        shown = _shown(made, which)
        if holding.ablate:
            made = _ablated(run, made, (model, dictionary, store), shown, holding.ablate, which.dictionary)
        page = _keep(run, model, made, shown)
    document = {"folder": str(Path(which.dictionary) / "cards"), "page": str(page), "run": run.id, "shown": len(shown)}
    if as_json:
        print_json(document | {"features": made.n_features, "tokens": made.n_tokens, "dead": _dead(made)})
    else:
        counted = f"{made.n_features:,} features over {made.n_tokens:,} tokens, {_dead(made):,} of them never active"
        print_facts({name: str(value) for name, value in document.items()} | {"cards": counted})


def _check_features(features: Sequence[int], n_features: int) -> None:
    for feature in features:
        if not 0 <= feature < n_features:
            raise InputError(f"there is no feature {feature}; they run from 0 to {n_features - 1:,}")


Parts = tuple["Model", "Dictionary", "ActivationStore"]


def _made(run: "Run", parts: Parts, settings: "CardSettings", folder: str) -> "Cards":
    """Return the cards, made and kept beside the dictionary all or nothing."""
    from glassbook.features.cards import make_cards, open_cards, save_cards

    try:
        with run.part("cards"), long_work("tokens") as report:
            save_cards(folder, make_cards(*parts, settings, report))
    except KeyboardInterrupt:
        tell("the cards were not finished and nothing was written; the same command begins them again")
        raise
    return open_cards(folder)


def _ablated(run: "Run", made: "Cards", parts: Parts, shown: Sequence[int], examples: int, folder: str) -> "Cards":
    from glassbook.features.cards import open_cards, save_cards, with_ablation

    with run.part("ablation"):
        save_cards(folder, with_ablation(made, *parts, shown, examples))
    return open_cards(folder)


def _shown(made: "Cards", which: Which) -> list[int]:
    """Return the features that the page shows."""
    active = made.counts.nonzero()[0]
    if which.feature:
        return list(dict.fromkeys(which.feature))
    if which.all:
        return [int(feature) for feature in active]
    middle = active[made.counts[active].argsort(kind="stable")]
    first = max(0, (len(middle) - _MOST_SHOWN) // 2)
    return sorted(int(feature) for feature in middle[first : first + _MOST_SHOWN])


def _dead(made: "Cards") -> int:
    return int((made.counts == 0).sum())


def _keep(run: "Run", model: "Model", made: "Cards", shown: Sequence[int]) -> Path:
    """Write what was made of which rows, the pictures and the page into the Run; return the page's path."""
    from glassbook.cli.steering_run import costs, making
    from glassbook.features.cards.showing import cards_page
    from glassbook.views.page import Making

    corpus = made.facts["corpus"]
    run.note_data(corpus["name"], corpus.get("sha256", ""), corpus.get("documents", 0), corpus["licence"])
    run.save_json("cards", made.facts)
    for name, value in _numbers(made).items():
        run.metric(name, value)
    facts = {"Model": model.identity.label, "Site": made.facts["site"], "Run": run.id}
    return run.save_report(cards_page(made, shown, facts, Making(dict(making(run, model)), costs(run))))


def _numbers(made: "Cards") -> dict[str, Any]:
    return {"features": made.n_features, "tokens": made.n_tokens, "never-active": _dead(made)}
