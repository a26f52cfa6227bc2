"""What a training of dictionaries shows: curves over the steps, quality over sparsity, and its page."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glassbook.cli.features_train_run import Training
from glassbook.cli.steering_run import costs, making_on
from glassbook.features import Trained
from glassbook.features.frontier import FrontierPoint, SparsityFrontier, frontier_chart
from glassbook.runs.record import Run
from glassbook.views.line_chart import LineChart, Series
from glassbook.views.page import Making, Section, render_page
from glassbook.views.table import Table
from glassbook.views.view import View

_CURVES = {
    "fvu": (
        "Variance unexplained",
        "FVU",
        "The share of a batch's variance that the reconstruction misses; 0 is perfect.",
    ),
    "l0": ("Active features", "features a token", "How many features are active on a token, on average."),
    "dead": (
        "Dead features",
        "share",
        "The share of features that no token has activated for the window of the recipe.",
    ),
    "loss": ("Loss", "loss", "What is minimized, over the variance; comparable within one kind only."),
}
"""What is drawn over the steps: title, axis and what it means."""


def curves(trained: Mapping[str, Trained]) -> dict[str, LineChart]:
    """Return a chart of each metric, with a curve for each dictionary that was trained by steps."""
    found = {}
    for metric, (title, axis, meaning) in _CURVES.items():
        series = [
            Series(name=name, x=one.history.steps(metric), y=one.history.values(metric))
            for name, one in trained.items()
            if metric in one.history.columns and not one.dictionary.is_reference
        ]
        if series:
            found[metric] = LineChart(title=title, caption=meaning, series=series, x_label="step", y_label=axis)
    return found


def frontier(trained: Mapping[str, Trained]) -> LineChart | None:
    """Return what remains unexplained at how many active features, a curve a kind and width; None for one dictionary."""
    points = [
        FrontierPoint(
            name=name,
            group=f"{one.dictionary.kind}, {one.dictionary.n_features:,} features",
            l0=one.history.last("l0"),
            fvu=one.history.last("fvu"),
        )
        for name, one in trained.items()
        if "fvu" in one.history.columns and not one.dictionary.is_reference
    ]
    told = [point for point in points if math.isfinite(point.l0) and math.isfinite(point.fvu)]
    if len(told) < 2:
        return None
    width = next(iter(trained.values())).dictionary.d_out
    return frontier_chart(SparsityFrontier(told, width), "after its last step, on the last batch")


def result(name: str, one: Trained, place: Path) -> dict[str, Any]:
    """Return what is said of one dictionary, as plain data; metrics are those of the last step."""
    made = one.dictionary
    last = {
        metric: one.history.last(metric)
        for metric in ("fvu", "l0", "dead", "loss")
        if metric in one.history.columns and not made.is_reference
    }
    shape = {"kind": made.kind, "n_features": made.n_features, "settings": made.settings}
    return {"name": name, "folder": str(place)} | shape | last


def table(results: Sequence[Mapping[str, Any]]) -> Table:
    """Return the dictionaries as rows."""
    rows = [[one["name"], one["n_features"], one.get("fvu"), one.get("l0"), one.get("dead")] for one in results]
    return Table(
        title="What came out",
        caption="Metrics of the last step's batch; of text held back they are measured by glassbook features evaluate.",
        columns=["dictionary", "features", "FVU", "L0", "dead share"],
        rows=rows,
    )


def keep_page(
    run: Run, training: Training, trained: Mapping[str, Trained], results: Sequence[Mapping[str, Any]]
) -> Path:
    """Write the charts and the page into the Run; return the page's path."""
    views: dict[str, View] = {"results": table(results), **curves(trained)}
    if (found := frontier(trained)) is not None:
        views["frontier"] = found
    for name, view in views.items():
        run.save_view(name, view)
    feed = training.feed
    where = " and ".join(str(feed.asked[name]) for name in ("site", "site_out") if name in feed.asked)
    what = "A dictionary" if len(trained) == 1 else f"{len(trained)} dictionaries"
    facts = {
        "Model": feed.weights.label,
        "Site": where,
        "Tokens": f"{feed.asked['tokens']:,} in {feed.steps:,} steps",
        "Corpus": f"{training.data['name']}, licence {training.data['licence']}",
        "Run": run.id,
    }
    order = ("results", "frontier", *_CURVES)
    page = render_page(
        f"{what} of {where}",
        f"{what} learned from {feed.asked['tokens']:,} activations of {feed.weights.label} at {where}.",
        [
            Section("What came out", views=[views[name] for name in order[:2] if name in views]),
            Section("How it went", views=[views[name] for name in order[2:] if name in views]),
        ],
        facts,
        Making(making_on(run, feed.weights), costs(run)),
    )
    return run.save_report(page)
