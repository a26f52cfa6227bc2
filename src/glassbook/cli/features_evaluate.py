"""`glassbook features evaluate`: how well a dictionary does on text, kept beside it and in a Run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.door import tell
from glassbook.cli.features_evaluate_parts import Measured, Parts, check_asked, measure_parts, print_parts
from glassbook.cli.features_options import DictionaryName, OfModel
from glassbook.cli.long_work import long_work
from glassbook.cli.options import Device, Json, Weights
from glassbook.cli.output import print_facts, print_json, print_table
from glassbook.cli.recording import Asked, Root, recorded
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.features import Dictionary
    from glassbook.features.evaluating import Evaluation, EvaluationSettings
    from glassbook.models.model import Model
    from glassbook.runs.record import Run

MODULES = (
    "glassbook.features.evaluating",
    "glassbook.features.metrics",
    "glassbook.models.loading.opening",
)
"""The code whose import closure an evaluation depends on."""

_SHARE, _COUNT = "{:.4f}".format, "{:.2f}".format
_SHOWN: dict[str, tuple[str, Any]] = {
    "l0": ("L0", _COUNT),
    "l1": ("L1", _COUNT),
    "explained_variance": ("explained variance", _SHARE),
    "explained_variance_by_token": ("explained variance, mean by token", _SHARE),
    "fvu": ("FVU", _SHARE),
    "mse": ("mean squared error", _COUNT),
    "cosine": ("cosine", _SHARE),
    "l2_ratio": ("L2 ratio", _SHARE),
    "relative_reconstruction_bias": ("relative reconstruction bias", _SHARE),
    "dead": ("dead (never active)", _SHARE),
    "dense": ("dense (at over a tenth of the tokens)", _SHARE),
    "ce": ("loss, as it is (nats)", _SHARE),
    "ce_spliced": ("loss, spliced", _SHARE),
    "ce_score": ("CE score, against zero", _SHARE),
    "ce_score_by_mean": ("CE score, against the mean", _SHARE),
    "kl_spliced": ("KL, spliced (nats)", _SHARE),
    "kl_score": ("KL score, against zero", _SHARE),
    "kl_score_by_mean": ("KL score, against the mean", _SHARE),
}
"""What people are shown, in this order, under which name."""


@dataclass(frozen=True, slots=True)
class Which:
    """Which dictionary, measured on which text."""

    dictionary: DictionaryName
    store: Annotated[
        str | None, typer.Option(metavar="DIR", help="A harvest to measure on; without it the model reads --corpus.")
    ] = None
    corpus: Annotated[str, typer.Option(metavar="CORPUS", help="What the model reads where there is no --store.")] = (
        "oz"
    )
    site: Annotated[
        list[str] | None,
        typer.Option(metavar="SITE", help="Where it reads, else where it was trained; twice for a transcoder."),
    ] = None
    model: OfModel = None
    dtype: Annotated[str | None, typer.Option(help="Precision of its weights; else as the dictionary knew it.")] = None
    device: Device = "cpu"
    force: Annotated[bool, typer.Option("--force", help="Use a dictionary of another model; the run says so.")] = False


@dataclass(frozen=True, slots=True)
class How:
    """How much is measured on."""

    tokens: Annotated[
        int,
        typer.Option(
            min=0, help="Tokens of the corpus (of a --store all are read); 0 measures only what is asked for besides."
        ),
    ] = 50_000
    loss_contexts: Annotated[
        int, typer.Option(min=0, help="Contexts in which the model's loss is taken; 0 for none.")
    ] = 16
    seed: Annotated[int, typer.Option(help="Seed of the contexts and intervals.")] = 0
    saebench: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the numbers there as SAEBench's core results, too; others beside."),
    ] = None

    def settings(self, force: bool) -> "EvaluationSettings":
        """Return the settings of the evaluation."""
        from glassbook.features.evaluating import EvaluationSettings

        return EvaluationSettings(tokens=self.tokens, loss_contexts=self.loss_contexts, seed=self.seed, force=force)


def evaluate(which: Which, how: How, parts: Parts, root: Root = None, as_json: Json = False) -> None:
    """Measure what a dictionary gives back, with how many features, and what it costs the model it is spliced into.

    Scores of the loss say which share of what ablating the activation costs the reconstruction saves. Intervals come from
    drawing contexts anew. With --probing and --absorption, also what few features tell, and whether the features of a word's
    first letter are silent where others speak for it, both beside random directions. The numbers are kept beside the
    dictionary, as evaluation.json, probing.json and absorption.json, if it lies in a folder of ours.
    """
    from glassbook.cli.features_opening import asked_site, model_of
    from glassbook.features import open_dictionary
    from glassbook.features.belonging import check_belongs, trained_on

    check_asked(how.tokens, parts)
    dictionary, site = open_dictionary(which.dictionary), asked_site(which.site)
    dtype = which.dtype or trained_on(dictionary).dtype or "float32"
    model = Weights(model_of(which.model, dictionary), dtype, which.device).open()
    dictionary.to(model.device)
    config = asdict(which) | asdict(how) | asdict(parts)
    with recorded(Asked("evaluate", config, how.seed, MODULES), model, root) as run:
        found = None
        if how.tokens:
            found = _measured(run, dictionary, model, which, how.settings(which.force), site)
        else:
            check_belongs(dictionary, model.identity, which.force)
        more = measure_parts(run, dictionary, model, parts, site, how.seed)
        files = _kept(which, found, more)
        if how.saebench is not None:
            files += _as_saebench(how.saebench, found, more)
    file = files[0] if found is not None and files else None
    document = (
        ({} if found is None else found.to_dict()) | more.to_dict() | {"file": file, "files": files, "run": run.id}
    )
    if as_json:
        print_json(document)
    else:
        _print(found, document)
        print_parts(more)


def _measured(
    run: "Run", dictionary: "Dictionary", model: "Model", which: Which, settings: "EvaluationSettings", site: Any
) -> "Evaluation":
    from glassbook.activations.store import open_store
    from glassbook.features.evaluating import evaluate as measure

    text = which.corpus if which.store is None else open_store(which.store)
    try:
        with run.part("evaluation"), long_work("tokens") as report:
            found = measure(dictionary, model, text, site=site, settings=settings, progress=report)
    except KeyboardInterrupt:
        tell("the evaluation was not finished and nothing was written; the same command begins it again")
        raise
    corpus = found.facts["corpus"]
    run.note_data(corpus["name"], corpus.get("sha256", ""), corpus.get("documents", 0), corpus["licence"])
    run.save_json("evaluation", found.to_dict() | {"densities": found.densities})
    for name, value in found.to_dict().items():
        if name in _SHOWN and value is not None:
            run.metric(name.replace("_", "-"), value)
    return found


def _kept(which: Which, found: "Evaluation | None", more: Measured) -> list[str]:
    """Write the numbers beside the dictionary; return where: nowhere where other packages' files lie, or it is shipped."""
    from glassbook.features import dictionary_folder, list_dictionaries
    from glassbook.features.evaluating import save_evaluation

    try:
        folder = dictionary_folder(which.dictionary)
    except InputError:
        return []
    if which.dictionary in list_dictionaries():
        return []
    written = [] if found is None else [str(save_evaluation(folder, found))]
    return written + more.keep(folder)


def _as_saebench(core: Path, found: "Evaluation | None", more: Measured) -> list[str]:
    from glassbook.features.metrics.saebench import core_results
    from glassbook.files.atomic import write_json

    if found is not None:
        write_json(core, core_results(found))
    return ([] if found is None else [str(core)]) + more.to_saebench(core)


def _print(found: "Evaluation | None", document: dict[str, Any]) -> None:
    facts = {}
    if found is not None:
        corpus = found.facts["corpus"]["name"]
        facts["on"] = f"{found.reconstruction.n_tokens:,} tokens of {corpus} at {found.facts['site']}"
        if found.in_model is not None:
            facts["loss"] = f"{found.in_model.n_predictions:,} predictions"
    if document["files"]:
        facts["files"] = ", ".join(document["files"])
    print_facts(facts | {"run": document["run"]})
    if found is None:
        return
    print()
    rows = [
        [label, spell(document[name]), _between(found, name)]
        for name, (label, spell) in _SHOWN.items()
        if document.get(name) is not None
    ]
    print_table(("metric", "value", "95 %"), rows, right={"value"})


def _between(found: "Evaluation", name: str) -> str:
    interval = found.intervals.get(name)
    return "" if interval is None else f"{interval.low:.4g} to {interval.high:.4g}"
