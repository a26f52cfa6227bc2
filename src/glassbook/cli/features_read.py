"""`glassbook features read`: the active features of a text, and which of them make a next token likely."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.features_options import Pair
from glassbook.cli.options import Bos, Json
from glassbook.cli.output import print_facts, print_heading, print_json, print_table, printable, progress
from glassbook.cli.reading import read_prompt
from glassbook.cli.recording import Asked, Root, recorded
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.circuits import ActiveFeatures, Agreement, Attribution
    from glassbook.cli.features_opening import Names, Opened
    from glassbook.files.hashes import Progress
    from glassbook.runs.record import Run

MODULES = ("glassbook.circuits", "glassbook.models.loading.opening")
"""The code whose import closure a reading depends on."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a text."""

    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text to read; - reads it from standard input.")]
    token: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Which features make this next token likely? Mind its space.")
    ] = None
    against: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Measure log-odds against this token, not log-probability.")
    ] = None
    top: Annotated[int, typer.Option(min=1, help="Features shown for each token, and ablated with --token.")] = 8
    others: Annotated[
        int, typer.Option(min=0, help="Features ablated besides, drawn among those of smaller score.")
    ] = 20
    bos: Bos = None
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0


def read(pair: Pair, reading: Reading, root: Root = None, as_json: Json = False) -> None:
    """Show the active features of a text, token by token; with --token, which of them make that next token likely.

    Scores are gradient times value, with the dictionary spliced in and what it misses added again; beside each stands what
    ablating the feature takes away, measured exactly. Tokens of a kind that the dictionary never learned from are marked.
    """
    from glassbook.cli.features_opening import open_pair, say_loss

    if reading.against is not None and reading.token is None:
        raise InputError("--against measures the log-odds of a token; give it by --token")
    text = read_prompt(reading.text)
    opened = open_pair(pair)
    _check_tokens(opened, reading)
    config = asdict(pair) | asdict(reading) | {"text": text}
    with (
        recorded(Asked("features-read", config, reading.seed, MODULES), opened.model, root) as run,
        progress() as report,
    ):
        loss = opened.measured_loss(run)
        found, why = _carried_out(opened, reading, text, run, report)
        page = _keep(run, opened, reading, (found, why))
    document = _document(opened.names, found, why) | {"weights": loss, "run": run.id, "report": str(page)}
    if as_json:
        print_json(document)
        return
    _print_tokens(opened.names, found, reading.top)
    if why is not None:
        _print_scores(opened.names, *why)
    if loss is not None:
        typer.echo(f"The dictionary {say_loss(loss)}.")
    print_facts({"run": run.id, "report": str(page)})


Why = tuple["Attribution", "Agreement"]


def _check_tokens(opened: "Opened", reading: Reading) -> None:
    """Raise InputError for what is no single token, before a Run is begun."""
    for token in (reading.token, reading.against):
        if token is not None:
            opened.model.to_single_token(token)


def _carried_out(
    opened: "Opened", reading: Reading, text: str, run: "Run", report: "Progress"
) -> "tuple[ActiveFeatures, Why | None]":
    from glassbook.circuits import active_features, attribute, check_attribution

    how: dict[str, Any] = {"site": opened.sites, "prepend_bos": reading.bos, "force": True}
    with run.part("read the features"):
        found = active_features(opened.model, opened.dictionary, text, **how)
    if reading.token is None:
        return found, None
    with run.part("attribute"):
        asked = attribute(opened.model, opened.dictionary, text, reading.token, against=reading.against, **how)
    with run.part("ablate exactly"):
        agreement = check_attribution(asked, reading.top, reading.others, seed=reading.seed, progress=report)
    run.metric("measured", asked.measured, "nats")
    run.metric("correlation-with-ablation", agreement.correlation)
    if agreement.worst is not None:
        run.metric("worst-disagreement", agreement.worst.miss, "nats")
    return found, (asked, agreement)


def _keep(run: "Run", opened: "Opened", reading: Reading, results: "tuple[ActiveFeatures, Why | None]") -> Any:
    """Write numbers, pictures and page into the Run; return the page's path."""
    from glassbook.cli.features_read_report import reading_page, reading_views

    found, why = results
    run.metric("l0", found.l0)
    run.save_json("reading", _document(opened.names, found, why))
    views = reading_views(opened, found, why, reading.top)
    for name, view in views.items():
        run.save_view(name, view)
    return run.save_report(reading_page(run, opened, views, why))


def _document(names: "Names", found: "ActiveFeatures", why: "Why | None") -> dict[str, Any]:
    """Return every number as plain data, with what is known of the features that are named."""
    document = found.to_dict()
    shown = {feature for one in found.features for feature, _ in one}
    document["labels"] = {str(feature): names.label(feature) for feature in sorted(shown) if names.label(feature)}
    if why is not None:
        asked, agreement = why
        document["attribution"] = {
            "token": asked.question.token,
            "against": asked.question.against,
            "measured": asked.measured,
            "by_token": asked.by_token,
            "error_by_token": asked.error_scores.tolist(),
            "features": [asdict(one) for one in asked.totals],
            "checked": agreement.to_dict(),
        }
    return document


def _print_tokens(names: "Names", found: "ActiveFeatures", top: int) -> None:
    rows = zip(found.strings, found.features, found.explained, found.unseen, strict=True)
    for text, features, explained, unseen in rows:
        kind = "of a kind not learned from" if unseen else f"{explained:.0%} explained"
        print_heading(f"{text!r}: {len(features)} features, {kind}")
        for feature, value in features[:top] if not unseen else ():
            typer.echo(printable(f"  {feature:>7}  {value:8.2f}  {names.about(feature)}".rstrip()))


def _print_scores(names: "Names", asked: "Attribution", agreement: "Agreement") -> None:
    typer.echo()
    unit = "log-probability" if asked.question.against is None else "log-odds"
    print_heading(f"What makes it likely: {unit} {asked.measured:.3f} nats")
    rows = [
        [str(one.feature), f"{one.score:+.4f}", f"{one.exact:+.4f}", names.about(one.feature)]
        for one in agreement.largest
    ]
    if rows:
        print_table(["feature", "score", "exact", "about"], rows, right=("feature", "score", "exact"))
    typer.echo(printable(agreement.say()))
