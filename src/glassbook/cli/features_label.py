"""`glassbook features label`: what each feature stands for, with the scores of whoever judges, kept beside the dictionary."""

import shlex
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.door import tell
from glassbook.cli.features_options import DictionaryName, OfModel
from glassbook.cli.long_work import long_work
from glassbook.cli.options import Device, Json, Weights
from glassbook.cli.output import print_facts, print_json, print_table
from glassbook.cli.recording import COMMAND, Asked, Root, recorded
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from glassbook.activations.store import ActivationStore
    from glassbook.features import Dictionary
    from glassbook.features.labels import Labelling, Labels, LabelSettings
    from glassbook.features.labels.judging import Judge
    from glassbook.files.hashes import Progress as Report
    from glassbook.models.model import Model
    from glassbook.runs.record import Run

MODULES = (
    "glassbook.features.labels.labelling",
    "glassbook.features.labels.model_judge",
    "glassbook.features.labels.background",
)
"""The code whose import closure labels depend on."""

WAYS = ("detection", "fuzzing")
_NAMES = {"told": "labels", "shuffled": "control: shuffled text", "other": "control: another feature's label"}
_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Which:
    """Of which dictionary, and on which text labels must hold."""

    dictionary: DictionaryName
    store: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="A harvest to take ordinary text from; without it the model reads --corpus."),
    ] = None
    corpus: Annotated[str, typer.Option(metavar="CORPUS", help="What the model reads where there is no --store.")] = (
        "alice"
    )
    feature: Annotated[list[int] | None, typer.Option(metavar="N", help="Label this feature; repeatable.")] = None
    model: OfModel = None
    dtype: Annotated[str, typer.Option(help="Precision of its weights.")] = "float32"
    device: Device = "cpu"


@dataclass(frozen=True, slots=True)
class How:
    """Who judges, and how labels are made."""

    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A model to score labels by; else their rules are run.")
    ] = None
    judged: Annotated[
        int | None,
        typer.Option(min=1, help="Labels that are scored, evenly from among all; else all, or 24 by a model."),
    ] = None
    bar: Annotated[float, typer.Option(help="Balanced accuracy that a rule needs to be kept.")] = 0.7
    passages: Annotated[int, typer.Option(min=64, help="Passages of ordinary text.")] = 4096
    seed: Annotated[int, typer.Option(help="Seed of halves, passages and controls.")] = 0

    def settings(self) -> "LabelSettings":
        """Return the settings of the labels; raise InputError for what makes none."""
        from glassbook.features.labels import LabelSettings

        judged = self.judged if self.judged is not None or self.judge is None else 24
        return LabelSettings(bar=self.bar, judged=judged, seed=self.seed)


def label(which: Which, how: How, root: Root = None, as_json: Json = False) -> None:
    """Say of each feature what it stands for: a word, a place, a run of words, a script, a kind of text; or that nothing fits.

    Each label is a rule, chosen on half of the card's examples and scored on the other: by detection (which passages is the
    feature active in?) and fuzzing (which tokens?), beside shuffled text and another feature's label. A judge's figures are
    shown only if it can tell planted features of one word. Ctrl-C keeps what was scored: the same command goes on.
    """
    from glassbook.cli.features_opening import check_yours, model_of
    from glassbook.features import dictionary_folder, load_dictionary
    from glassbook.features.labels import RuleJudge, open_labels, save_labels

    check_yours(which.dictionary)
    settings, folder = how.settings(), dictionary_folder(which.dictionary)
    dictionary = load_dictionary(folder)
    name = model_of(which.model, dictionary)
    model = Weights(name, which.dtype, which.device).open()
    with recorded(Asked("label", asdict(which) | asdict(how), how.seed, MODULES), model, root) as run:
        labelling, facts = _labelling(run, (model, dictionary), which, how.passages, settings)
        judge = RuleJudge() if how.judge is None else _judge(how.judge, which, (name, model))
        labels = _made(run, labelling, judge, _features(which, dictionary), folder, facts)
        save_labels(folder, labels)
        _journal(folder, labels.facts).end()
        _keep(run, open_labels(folder))
    document = {"file": str(folder / "labels.json"), "run": run.id, "labels": len(labels), "kinds": labels.counts()}
    if as_json:
        print_json(document | _figures(labels))
    else:
        _print(labels, document)


def _features(which: Which, dictionary: "Dictionary") -> list[int]:
    for feature in which.feature or ():
        if not 0 <= feature < dictionary.n_features:
            raise InputError(f"there is no feature {feature}; they run from 0 to {dictionary.n_features - 1:,}")
    return list(dict.fromkeys(which.feature)) if which.feature else list(range(dictionary.n_features))


def _labelling(
    run: "Run", parts: "tuple[Model, Dictionary]", which: Which, n_passages: int, settings: "LabelSettings"
) -> "tuple[Labelling, dict[str, Any]]":
    """Return what makes labels, and of which text it knows."""
    from glassbook.features import dictionary_folder
    from glassbook.features.cards import open_cards
    from glassbook.features.cards.directions import texts
    from glassbook.features.labels import Labelling, Lexicon, read_background

    model, dictionary = parts
    cards = open_cards(dictionary_folder(which.dictionary))
    ids = list(range(model.config.d_vocab))
    lexicon = Lexicon(dict(zip(ids, texts(model, ids), strict=True)))
    shown = int(cards.facts["settings"]["before"]) + 1 + int(cards.facts["settings"]["after"])
    with (
        run.part("ordinary text"),
        long_work("passages") as report,
        _opened(which, parts, n_passages * shown, report) as store,
    ):
        store.check_weights(model.identity)
        background = read_background(dictionary, store, lexicon, shown, n_passages, settings.seed, report)
        corpus = store.facts["corpus"]
    run.note_data(corpus["name"], corpus.get("sha256", ""), corpus.get("documents", 0), corpus["licence"])
    facts = {"text": corpus, "passages": len(background), "cards": cards.facts, "features": which.feature}
    return Labelling(cards, background, settings), facts


@contextmanager
def _opened(
    which: Which, parts: "tuple[Model, Dictionary]", n_tokens: int, report: "Report"
) -> "Iterator[ActivationStore]":
    """Yield the harvest that was named, or one made for now of the corpus."""
    import tempfile

    from glassbook.activations.store import Harvest, harvest, open_store

    if which.store is not None:
        yield open_store(which.store)
        return
    model, dictionary = parts
    tokens, context = min(n_tokens, 100_000), min(256, model.config.n_ctx or 256)
    with tempfile.TemporaryDirectory() as folder:
        site = dictionary.facts["site"]
        yield harvest(model, which.corpus, site, folder, Harvest(tokens=tokens, context=context), report)


def _judge(name: str, which: Which, own: tuple[str, "Model"]) -> "Judge":
    """Return a model that scores; the dictionary's own is not opened twice."""
    from glassbook.features.labels import ModelJudge

    return ModelJudge(own[1] if name == own[0] else Weights(name, which.dtype, which.device).open())


def _journal(folder: "Path", facts: dict[str, Any]) -> Any:
    from glassbook.features.labels import Journal
    from glassbook.files.hashes import hash_json

    return Journal(folder, hash_json(facts))


def _made(
    run: "Run", labelling: "Labelling", judge: "Judge", features: Sequence[int], folder: "Path", facts: dict[str, Any]
) -> "Labels":
    """Return the labels; say how to go on where Ctrl-C ends the scoring."""
    from glassbook.features.labels import make_labels

    facts |= {"settings": labelling.settings.asked(), "judge": judge.name}
    try:
        with run.part("labels"), long_work("features") as report:
            journal = _journal(folder, facts)
            made = make_labels(labelling, features, judge, report, journal)
    except KeyboardInterrupt:
        tell(f"the labels that were scored are kept; go on with: {shlex.join(COMMAND.get())}")
        raise
    made.facts = facts
    return made


def _figures(labels: "Labels") -> dict[str, Any]:
    """Return the scores over all labels as plain data: nothing of a scorer that is not able."""
    from glassbook.features.labels import NOT_ABLE

    ability = labels.scorer.ability
    told = {"detection": asdict(ability.detection.accuracy), "fuzzing": asdict(ability.fuzzing.accuracy)}
    scores = {
        way: {name: asdict(one) for name, one in labels.overall(way).items()} if labels.is_able(way) else NOT_ABLE
        for way in WAYS
    }
    tried = labels.of_all_rules()
    return {
        "scorer": labels.scorer.name,
        "told_of_planted_features": told,
        "all_rules": tried and asdict(tried),
        **scores,
    }


def _keep(run: "Run", labels: "Labels") -> None:
    run.save_json("labels", {"facts": labels.facts, "kinds": labels.counts()} | _figures(labels))
    for kind, n in labels.counts().items():
        run.metric(f"labels-{kind}", n)
    for way in WAYS:
        for name, one in labels.overall(way).items():
            run.metric(f"{way}-{name}", one.estimate)


def _print(labels: "Labels", document: dict[str, Any]) -> None:
    """Print where labels are, how good they are beside their controls, and some of them."""
    from glassbook.features.labels import NOT_ABLE

    ability = labels.scorer.ability
    planted = f"detection {ability.detection.accuracy.estimate:.2f}, fuzzing {ability.fuzzing.accuracy.estimate:.2f}"
    facts = {
        "file": document["file"],
        "run": document["run"],
        "labels": ", ".join(f"{n:,} {kind}" for kind, n in labels.counts().items() if n),
        "scorer": f"{labels.scorer.name}; of planted features it tells {planted}",
    }
    if (tried := labels.of_all_rules()) is not None:
        facts["all rules"] = f"detection {tried} over every feature's best rule, kept or not"
    for way in WAYS:
        told = "; ".join(f"{_NAMES[name]} {one}" for name, one in labels.overall(way).items())
        facts[way] = told if labels.is_able(way) else NOT_ABLE
    print_facts(facts)
    print()
    print_table(("feature", "kind", "label", *WAYS), [_row(labels, one.feature) for one in list(labels)[:_MOST_SHOWN]])


def _row(labels: "Labels", feature: int) -> list[str]:
    one = labels.label(feature)
    scores = ["" if one.rule is None else labels.score_text(feature, way) for way in WAYS]
    return [str(feature), one.kind, one.text, *scores]
