"""The parts of `glassbook features evaluate` that are measured when asked for: sparse probing and first-letter absorption."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.door import tell
from glassbook.cli.long_work import long_work
from glassbook.cli.output import print_heading, print_table
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.features import Dictionary
    from glassbook.features.metrics import Absorption, LetterAbsorption, Probing
    from glassbook.models.model import Model
    from glassbook.runs.record import Run

_MEANS = {
    "absorption_fraction": "absorption fraction",
    "full_absorption": "full absorption",
    "n_split_features": "split features",
    "split_f1": "F1 of split features",
    "probe_f1": "F1 of the probe",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What is measured besides, and on how much."""

    probing: Annotated[
        bool, typer.Option("--probing", help="Measure how well few features tell classes of texts, too.")
    ] = False
    absorption: Annotated[
        bool, typer.Option("--absorption", help="Measure how far first letters of words are absorbed, too.")
    ] = False
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXTS", help="What to probe on: books, another known set, or a file; else all at hand. Repeatable."
        ),
    ] = None
    texts: Annotated[int, typer.Option(min=8, help="Texts that each probe learns from; half as many test it.")] = 1000
    words: Annotated[int, typer.Option(min=1, help="Words that absorption is measured on.")] = 10_000


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured; None where it was not asked for."""

    probing: "Probing | None" = None
    absorption: "Absorption | None" = None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data, under the name of each part."""
        found = {"probing": self.probing, "absorption": self.absorption}
        return {name: one.to_dict() for name, one in found.items() if one is not None}

    def keep(self, folder: Path) -> list[str]:
        """Write each part beside the dictionary in a folder; return the files."""
        from glassbook.features.metrics.kept import ABSORPTION, PROBING, keep

        files = {"probing": PROBING, "absorption": ABSORPTION}
        return [str(keep(folder, files[name], found)) for name, found in self.to_dict().items()]

    def to_saebench(self, core: Path) -> list[str]:
        """Write each part as SAEBench's results beside the file of the core ones; return the files."""
        from glassbook.features.metrics.saebench import absorption_results, probing_results
        from glassbook.files.atomic import write_json

        documents = []
        if self.probing is not None:
            documents.append(probing_results(self.probing))
        if self.absorption is not None:
            documents.append(absorption_results(self.absorption))
        paths = [core.with_name(f"{core.stem}.{one['eval_type_id']}{core.suffix or '.json'}") for one in documents]
        for path, document in zip(paths, documents, strict=True):
            write_json(path, document)
        return list(map(str, paths))


def measure_parts(run: "Run", dictionary: "Dictionary", model: "Model", asked: Parts, site: Any, seed: int) -> Measured:
    """Return the parts that were asked for; the Run learns every number, and on which rows they rest."""
    try:
        return Measured(
            _probing(run, dictionary, model, asked, site, seed) if asked.probing else None,
            _absorption(run, dictionary, model, asked, site, seed) if asked.absorption else None,
        )
    except KeyboardInterrupt:
        tell("the measuring was not finished and nothing was written; the same command begins it again")
        raise


def print_parts(found: Measured) -> None:
    """Print a table for each part."""
    if found.probing is not None:
        _print_probing(found.probing)
    if found.absorption is not None:
        _print_absorption(found.absorption)


def _probing(run: "Run", dictionary: "Dictionary", model: "Model", asked: Parts, site: Any, seed: int) -> "Probing":
    from glassbook.features.metrics import ProbingSettings, sparse_probing
    from glassbook.features.metrics.labelled_texts import labelled_at_hand, list_labelled, load_labelled

    names = list(dict.fromkeys(asked.task or labelled_at_hand()))
    left = [] if asked.task else [name for name in list_labelled() if name not in names]
    if left:
        tell(f"not probed on, since their texts are not at hand: {', '.join(left)}")
    sets = [load_labelled(name) for name in names]
    for one in sets:
        run.note_data(one.name, one.sha256, len(one.texts), one.licence)
    settings = ProbingSettings(n_train=asked.texts, n_test=asked.texts // 2, seed=seed)
    with run.part("probing"), long_work("texts") as report:
        found = sparse_probing(dictionary, model, sets, site=site, settings=settings, progress=report)
    document = found.to_dict()
    run.save_json("probing", document)
    for given, means in document["mean_accuracy"].items():
        for k, accuracy in means.items():
            run.metric(f"probing-{given.replace(' ', '-')}-{k}", accuracy)
    return found


def _absorption(
    run: "Run", dictionary: "Dictionary", model: "Model", asked: Parts, site: Any, seed: int
) -> "Absorption":
    from glassbook.features.metrics import AbsorptionSettings, first_letter_absorption

    settings = AbsorptionSettings(n_words=asked.words, seed=seed)
    with run.part("absorption"), long_work("words") as report:
        found = first_letter_absorption(dictionary, model, site=site, settings=settings, progress=report)
    run.save_json("absorption", found.to_dict())
    for name in _MEANS:
        for mean, suffix in ((found.mean(name), ""), (found.mean(name, of_control=True), "-random-directions")):
            if mean is not None:
                run.metric(f"absorption-{name.replace('_', '-')}{suffix}", mean.estimate)
    return found


def _print_probing(found: "Probing") -> None:
    from glassbook.features.metrics.pooling import STREAM
    from glassbook.features.metrics.probing import ALL, FEATURES

    means: Mapping[str, Mapping[str, float | None]] = found.to_dict()["mean_accuracy"]
    ks = list(means[FEATURES])
    print()
    print_heading("sparse probing: accuracy on texts that no probe learned from; guessing is right at half")
    rows = []
    for one in found.tasks:
        few, whole = one.accuracy[FEATURES], one.accuracy[STREAM][ALL]
        shown = [f"{few[k].estimate:.3f}" if k in few else "" for k in ks]
        rows.append([one.task, str(one.n_test), *shown, f"{whole.estimate:.3f} ({whole.low:.3f} to {whole.high:.3f})"])
    features = [f"k = {k}" for k in ks]
    print_table(("task", "texts", *features, "whole stream (95 %)"), rows, right={"texts", *features})
    print()
    columns = [*features, "all"]
    table = [
        [f"mean, {given}", *("" if (value := mean.get(k)) is None else f"{value:.3f}" for k in (*ks, ALL))]
        for given, mean in means.items()
    ]
    print_table(("probe on", *columns), table, right=set(columns))


def _print_absorption(found: "Absorption") -> None:
    from glassbook.features.metrics.absorption import MEASURED

    print()
    measured = sum(one.state == MEASURED for one in found.letters)
    print_heading(f"first-letter absorption: {measured} of {len(found.letters)} letters could be measured")
    rows = [
        [one.letter, str(one.n_words), "" if one.probe_f1 is None else f"{one.probe_f1:.3f}", *_of_letter(one)]
        for one in found.letters
    ]
    names = ("words", "probe F1", "split", "their F1", "fraction", "full")
    print_table(("letter", *names, ""), rows, right=set(names))
    print()
    means = [
        [label, *("" if (one := found.mean(name, control)) is None else str(one) for control in (False, True))]
        for name, label in _MEANS.items()
    ]
    print_table(("mean over letters", "dictionary", "random directions"), means)
    told = sum(score is not None for score in found.shuffled.values())
    print(f"control: shuffled letters, {found.n_shuffled_able} of {told} probes able")


def _of_letter(one: "LetterAbsorption") -> list[str]:
    if one.absorption_fraction is None or one.full_absorption is None or one.split_f1 is None:
        return ["", "", "", "", one.state]
    split = ", ".join(map(str, one.split_features))
    return [split, f"{one.split_f1:.3f}", f"{one.absorption_fraction:.3f}", f"{one.full_absorption:.3f}", ""]


def check_asked(tokens: int, asked: Parts) -> None:
    """Raise InputError where nothing is to be measured."""
    if tokens == 0 and not (asked.probing or asked.absorption):
        raise InputError("with --tokens 0 nothing is left to measure; ask for --probing or --absorption")
