"""A model and a dictionary of it, as verbs open them: whether they belong together, and what is known of each feature."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from glassbook.cli.features_options import Pair
from glassbook.cli.options import Weights
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.features.belonging import check_belongs, trained_on
from glassbook.features.cards import Cards, has_cards, open_cards
from glassbook.features.dictionary import Dictionary
from glassbook.features.on_text import OnText, corpus_windows, on_text
from glassbook.features.opening import dictionary_folder, known_model, list_dictionaries, open_dictionary
from glassbook.features.splicing import SiteOrPair, edits_between, every_token, places_of
from glassbook.models.model import Model
from glassbook.runs.record import Run
from glassbook.text.corpora import open_corpus

if TYPE_CHECKING:
    from glassbook.features.labels import Labels

TEXT = "oz"
"""The corpus on which densities are counted where there are no cards, and weights in another precision are measured."""

_LABELS, _EVALUATION = "labels.json", "evaluation.json"


@dataclass(frozen=True, slots=True)
class Opened:
    """An open model, a dictionary that fits it, where it reads and writes, and what is kept beside it."""

    model: Model
    dictionary: Dictionary
    sites: tuple[Site, Site]
    is_own: bool
    names: "Names"
    recorded_variance: float | None

    def glance(self, run: Run) -> OnText:
        """Return what the dictionary does on a shipped text; the Run learns which rows were read."""
        found = on_text(self.model, self.dictionary, self.sites, corpus_windows(self.model, self.dictionary, TEXT))
        corpus = open_corpus(TEXT)
        run.note_data(corpus.name, corpus.sha256, found.n_tokens, corpus.licence)
        return found

    def measured_loss(self, run: Run) -> dict[str, Any] | None:
        """Return how much of the variance the dictionary explains on weights that are not its own; None where they are."""
        if self.is_own:
            return None
        ours, here = trained_on(self.dictionary), self.glance(run).explained_variance
        loss = None if self.recorded_variance is None else self.recorded_variance - here
        run.metric("explained-variance", here)
        return {
            "trained_on": f"{ours.label} ({ours.dtype})",
            "used_on": f"{self.model.identity.label} ({self.model.identity.dtype})",
            "text": TEXT,
            "explained_variance": here,
            "recorded_explained_variance": self.recorded_variance,
            "loss": loss,
        }


class Names:
    """What is known of features beside their dictionary: labels and cards, where there are any."""

    def __init__(self, labels: "Labels | None" = None, cards: Cards | None = None) -> None:
        self.labels, self.cards = labels, cards

    @classmethod
    def beside(cls, folder: Path | None) -> "Names":
        """Return what lies in the folder of a dictionary."""
        if folder is None:
            return cls()
        labels = None
        if (folder / _LABELS).is_file():
            from glassbook.features.labels import open_labels

            labels = open_labels(folder)
        return cls(labels, open_cards(folder) if has_cards(folder) else None)

    def label(self, feature: int) -> str:
        """Return what the feature stands for; nothing where it is not known."""
        if self.labels is None or feature not in self.labels:
            return ""
        return self.labels.label(feature).text

    def seen_at(self, feature: int, n: int = 3) -> str:
        """Return the tokens at which its card's top examples have the feature; nothing without a card."""
        if self.cards is None:
            return ""
        peaks = [self.cards.token_strings([one.tokens[one.peak]])[0] for one in self.cards.card(feature).top]
        return ", ".join(repr(token) for token in list(dict.fromkeys(peaks))[:n])

    def about(self, feature: int) -> str:
        """Return the label, or else at which tokens the feature is largest."""
        seen = self.seen_at(feature)
        return self.label(feature) or (f"at {seen}" if seen else "")


def open_pair(pair: Pair) -> Opened:
    """Return model and dictionary; raise GlassbookError where they are not to be had, or do not fit each other.

    A dictionary of other weights of the same model is warned of once, here.
    """
    dictionary = open_dictionary(pair.dictionary)
    sites = places_of(dictionary, asked_site(pair.site))
    model = Weights(model_of(pair.model, dictionary), pair.dtype, pair.device).open()
    is_own = check_belongs(dictionary, model.identity, pair.force)
    edits_between(model, dictionary, sites, lambda read, value, span: value, every_token)
    try:
        folder: Path | None = dictionary_folder(pair.dictionary)
    except InputError:
        # Other packages keep neither cards nor labels beside their dictionaries.
        folder = None
    variance = None if folder is None else _recorded_variance(folder / _EVALUATION)
    return Opened(model, dictionary.to(model.device), sites, is_own, Names.beside(folder), variance)


def model_of(named: str | None, dictionary: Dictionary) -> str:
    """Return which model to open for a dictionary: the one that was named, else the known one that it was trained on.

    Raises InputError where neither is to be had.
    """
    found = named if named is not None else known_model(dictionary)
    if found is None:
        ours = trained_on(dictionary)
        said = f"was trained on {ours.label}" if ours.lineage else "does not say which model it is of"
        raise InputError(f"the dictionary {said}, and that is no known model; name it with --model")
    return found


def say_loss(loss: dict[str, Any]) -> str:
    """Return in words what a dictionary explains on weights that are not its own."""
    said = f"explains {loss['explained_variance']:.3f} of the variance on {loss['text']} with these weights"
    if loss["loss"] is None:
        return f"{said}; how much with its own, {loss['trained_on']}, is not recorded beside it"
    less = round(loss["loss"], 3)
    compared = f"{abs(less):.3f} {'less' if less > 0 else 'more'} than" if less else "as much as"
    return f"{said}, {compared} was measured with its own, {loss['trained_on']}"


def check_yours(named: str) -> None:
    """Raise InputError for a dictionary that ships with the package: nothing is written beside it."""
    folder = dictionary_folder(named)
    if named in list_dictionaries() and folder != Path(named):
        raise InputError(
            f"'{named}' ships with the package and stays as it is; copy its folder '{folder}' and name the copy"
        )


def asked_site(given: Sequence[str] | None) -> SiteOrPair | None:
    """Return the Site, or the pair of them, that was asked for; raise InputError for more."""
    if not given:
        return None
    if len(given) > 2:
        raise InputError(f"{len(given)} Sites were given; a dictionary reads at one and writes at one")
    return given[0] if len(given) == 1 else (given[0], given[1])


def _recorded_variance(path: Path) -> float | None:
    """Return the explained variance that an evaluation beside the dictionary measured; None where there is none."""
    try:
        said = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    value = said.get("explained_variance") if isinstance(said, dict) else None
    return float(value) if isinstance(value, int | float) else None
