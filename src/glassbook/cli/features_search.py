"""`glassbook features search`: features by words, by token, or by what a text activates."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.features_options import DictionaryName, OfModel
from glassbook.cli.options import Device, Json, Weights
from glassbook.cli.output import print_facts, print_json, print_table
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.features.cards import Cards
    from glassbook.features.labels import Found, Labels, Searcher


@dataclass(frozen=True, slots=True)
class Question:
    """Where is searched, and for what."""

    dictionary: DictionaryName
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="Words of labels, and of text at the peaks.")
    ] = None
    text: Annotated[str | None, typer.Option(help="What does this text activate? The model reads it.")] = None
    token: Annotated[str | None, typer.Option(help="A token by its exact text, with the blank before it.")] = None
    most: Annotated[int, typer.Option(min=1, help="Features that are listed.")] = 12
    model: OfModel = None
    dtype: Annotated[str, typer.Option(help="Precision of its weights.")] = "float32"
    device: Device = "cpu"

    @property
    def way(self) -> str:
        """Return how is searched; raise InputError unless one thing is asked for."""
        given = {"words": self.words or None, "text": self.text, "token": self.token}
        asked = [name for name, value in given.items() if value is not None]
        if len(asked) != 1:
            raise InputError("give one thing to search for: WORDS, --text or --token")
        if not given[asked[0]]:
            raise InputError(f"the --{asked[0]} to search for is empty; give at least one character")
        return asked[0]


def search(question: Question, as_json: Json = False) -> None:
    """List the features that have to do with some words, with a token, or with what a text is about; ranked as is said."""
    from glassbook.features import dictionary_folder
    from glassbook.features.cards import open_cards
    from glassbook.features.labels import Searcher, has_labels, open_labels
    from glassbook.features.labels.searching import RANKED

    way, folder = question.way, dictionary_folder(question.dictionary)
    cards = open_cards(folder)
    labels = open_labels(folder) if has_labels(folder) else None
    searcher = Searcher(cards, labels)
    found = _found(question, way, searcher, cards)
    shown = [_document(one, labels, searcher) for one in found[: question.most]]
    if as_json:
        print_json({"ranked_by": RANKED[way], "found": len(found), "features": shown})
        return
    counted = f"{len(found):,} {'feature' if len(found) == 1 else 'features'}"
    print_facts({"found": counted, "ranked by": RANKED[way]})
    if shown:
        print()
        rows = [[str(one["feature"]), one["label"], one["why"], ", ".join(one["peaks"])] for one in shown]
        print_table(("feature", "label", "why", "words at the peaks"), rows)


def _found(question: Question, way: str, searcher: "Searcher", cards: "Cards") -> "list[Found]":
    from glassbook.cli.features_opening import model_of
    from glassbook.features import open_dictionary
    from glassbook.features.labels import features_on_text

    if way == "words":
        return searcher.words(" ".join(question.words or ()))
    if way == "token":
        return searcher.token(question.token or "")
    dictionary = open_dictionary(question.dictionary)
    model = Weights(model_of(question.model, dictionary), question.dtype, question.device).open()
    return features_on_text(dictionary, model, question.text or "", cards)


def _document(found: "Found", labels: "Labels | None", searcher: "Searcher") -> dict[str, Any]:
    """Return a feature that was found as plain data."""
    one = labels.label(found.feature) if labels is not None and found.feature in labels else None
    return asdict(found) | {
        "kind": one.kind if one else None,
        "label": one.text if one else "",
        "peaks": searcher.peak_words(found.feature),
    }
