"""`glassbook features cards`: what is known of each feature of a dictionary, kept beside it and shown on a page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.door import tell
from glassbook.cli.features_options import DictionaryName, OfModel
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
_MOST_ON_A_PAGE = 400
"""A card takes some 10 kB."""
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Which:
    """Of which dictionary, on which tokens, and which features the page shows."""

    dictionary: DictionaryName
    store: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Make them anew from what glassbook features harvest left: a folder or URL."),
    ] = None
    feature: Annotated[list[int] | None, typer.Option(metavar="N", help="Show this feature; repeatable.")] = None
    all: Annotated[bool, typer.Option("--all", help="Show every feature that is ever active.")] = False
    model: OfModel = None
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
    """Show the cards of features on a page; with --store, first make those of all features in one pass over a harvest.

    A card has density and histogram, the top examples and samples of every interval of activation, the tokens that the feature
    speaks for, and the features and neurons nearest to it. Cards are kept beside their dictionary; nothing is kept of such that
    were cut short by Ctrl-C.
    """
    from glassbook.cli.features_opening import model_of
    from glassbook.features import dictionary_folder, load_dictionary
    from glassbook.features.belonging import trained_on
    from glassbook.features.cards import open_cards

    settings, folder = holding.settings(), dictionary_folder(which.dictionary)
    dictionary, store = load_dictionary(folder), _store(which, holding, folder)
    _check_shown(which, dictionary.n_features)
    dtype = which.dtype or (trained_on(dictionary) if store is None else store.identity).dtype or "float32"
    model = Weights(model_of(which.model, dictionary), dtype, which.device).open()
    with recorded(Asked("cards", asdict(which) | asdict(holding), holding.seed, MODULES), model, root) as run:
        made = open_cards(folder) if store is None else _made(run, (model, dictionary, store), settings, folder)
        shown = _shown(made, which)
        if store is not None and holding.ablate:
            made = _ablated(run, made, (model, dictionary, store), shown, holding.ablate, folder)
        page = _keep(run, model, made, shown, _labels(folder))
    document = {"folder": str(folder / "cards"), "page": str(page), "run": run.id, "shown": len(shown)}
    if as_json:
        print_json(document | {"features": made.n_features, "tokens": made.n_tokens, "dead": _dead(made)})
    else:
        counted = f"{made.n_features:,} features over {made.n_tokens:,} tokens, {_dead(made):,} of them never active"
        print_facts({name: str(value) for name, value in document.items()} | {"cards": counted})


def _store(which: Which, holding: Holding, folder: Path) -> "ActivationStore | None":
    """Return the harvest that cards are made from; None where those that are kept are shown.

    Raises InputError where there are none, or something is asked that only a harvest can tell.
    """
    from glassbook.activations.store import open_store
    from glassbook.cli.features_opening import check_yours
    from glassbook.features.cards import has_cards

    if which.store is not None:
        check_yours(which.dictionary)
        return open_store(which.store)
    if not has_cards(folder):
        raise InputError(
            f"'{which.dictionary}' has no cards yet; give the harvest that they are to be made from by --store"
        )
    if holding.ablate:
        raise InputError("features are ablated on the text of a harvest; give it by --store")
    return None


def _check_shown(which: Which, n_features: int) -> None:
    for feature in which.feature or ():
        if not 0 <= feature < n_features:
            raise InputError(f"there is no feature {feature}; they run from 0 to {n_features - 1:,}")
    n = n_features if which.all else len(which.feature or ())
    if n > _MOST_ON_A_PAGE:
        raise InputError(f"{n:,} cards are too many for one page; name at most {_MOST_ON_A_PAGE} of them by --feature")


def _labels(folder: Path) -> dict[int, str]:
    """Return what features stand for, where labels are kept beside the dictionary."""
    from glassbook.features.labels import has_labels, open_labels

    return {label.feature: label.text for label in open_labels(folder)} if has_labels(folder) else {}


Parts = tuple["Model", "Dictionary", "ActivationStore"]


def _made(run: "Run", parts: Parts, settings: "CardSettings", folder: Path) -> "Cards":
    """Return the cards, made and kept beside the dictionary all or nothing."""
    from glassbook.features.cards import make_cards, open_cards, save_cards

    try:
        with run.part("cards"), long_work("tokens") as report:
            save_cards(folder, make_cards(*parts, settings, report))
    except KeyboardInterrupt:
        tell("the cards were not finished and nothing was written; the same command begins them again")
        raise
    return open_cards(folder)


def _ablated(run: "Run", made: "Cards", parts: Parts, shown: Sequence[int], examples: int, folder: Path) -> "Cards":
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


def _keep(run: "Run", model: "Model", made: "Cards", shown: Sequence[int], labels: dict[int, str]) -> Path:
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
    how = Making(dict(making(run, model)), costs(run))
    return run.save_report(cards_page(made, shown, facts, how, labels))


def _numbers(made: "Cards") -> dict[str, Any]:
    return {"features": made.n_features, "tokens": made.n_tokens, "never-active": _dead(made)}
