"""The page of a reading: which features are active where, and what makes the next token likely."""

from glassbook.circuits import ActiveFeatures, Agreement, Attribution
from glassbook.cli.features_opening import Names, Opened
from glassbook.cli.steering_run import costs, making
from glassbook.runs.record import Run
from glassbook.views.heat_map import HeatMap
from glassbook.views.page import Making, Section, Verdict, render_page
from glassbook.views.table import Cell, Table
from glassbook.views.token_strip import TokenStrip
from glassbook.views.view import View

_STRIPS = 3
_MOST_COLUMNS = 64
_GOOD = 0.9
"""From this correlation on, and with every sign right, the gradient may stand for ablation."""

Why = tuple[Attribution, Agreement]


def reading_views(opened: Opened, found: ActiveFeatures, why: Why | None, top: int) -> dict[str, View]:
    """Return every picture under the name that a Run keeps it by."""
    strongest = found.strongest(top)
    views: dict[str, View] = {"active-features": active_map(opened.names, found, strongest)}
    for place, feature in enumerate(strongest[:_STRIPS]):
        views[f"feature-{place}"] = feature_strip(opened.names, found, feature)
    if why is not None:
        asked, agreement = why
        views["attribution-by-token"] = score_strip(opened, found, asked)
        views["attribution"] = score_table(opened.names, agreement)
        largest = [one.feature for one in agreement.largest[:top]]
        views["attribution-map"] = score_map(opened.names, found, asked, largest)
    return views


def reading_page(run: Run, opened: Opened, views: dict[str, View], why: Why | None) -> str:
    """Return the page of a reading."""
    scored = [view for name, view in views.items() if name.startswith("attribution")]
    read = [view for name, view in views.items() if not name.startswith("attribution")]
    sections = [Section("Active features", "The first tokens of a text may be of a kind not learned from.", read)]
    if why is not None:
        told = "Scores are gradient times value, summed over tokens; exact is what ablating the feature takes away."
        sections.insert(0, Section("What makes the token likely", told, scored))
    model = opened.model.identity
    facts = {"Model": model.label, "Precision": model.dtype, "Site": str(opened.sites[1]), "Run": run.id}
    lead = "Which features of a dictionary are active at each token of a text, and what they do to what follows."
    made = Making(making(run, opened.model), costs(run))
    return render_page("Features of a text", lead, sections, facts, made, None if why is None else verdict(why[1]))


def verdict(agreement: Agreement) -> Verdict:
    """Return whether the gradient may stand for ablation here."""
    if agreement.correlation >= _GOOD and agreement.same_sign == 1:
        return Verdict("held", agreement.say())
    return Verdict("unclear" if agreement.correlation > 0 else "not held", agreement.say())


def active_map(names: Names, found: ActiveFeatures, features: list[int]) -> HeatMap:
    """Return the strongest features by token."""
    shown = slice(0, _MOST_COLUMNS)
    return HeatMap(
        title="The strongest features, token by token",
        caption=f"Values of the {len(features)} features with the largest value anywhere; {found.l0:.1f} are active at a token.",
        row_axis="feature",
        column_axis="token",
        rows=[_named(names, feature) for feature in features],
        columns=list(found.strings[shown]),
        values=[
            [None if unseen else value for value, unseen in zip(found.along(feature), found.unseen, strict=True)][shown]
            for feature in features
        ],
        decimals=1,
    )


def feature_strip(names: Names, found: ActiveFeatures, feature: int) -> TokenStrip:
    """Return one feature's value under every token."""
    seen = zip(found.along(feature), found.unseen, strict=True)
    return TokenStrip(
        title=f"Feature {_named(names, feature)}",
        caption="Its value at every token of a kind that the dictionary learned from.",
        tokens=found.strings,
        values=[None if unseen else value for value, unseen in seen],
        value_name="value",
    )


def score_strip(opened: Opened, found: ActiveFeatures, asked: Attribution) -> TokenStrip:
    """Return what the features of each token add to the measure."""
    token = opened.model.to_string([asked.question.token])
    measured = f"{asked.measured:.3f} nats" + ("" if asked.question.against is None else " of log-odds")
    missed = float(asked.error_scores.sum())
    return TokenStrip(
        title=f"What the features of each token add to {token!r}",
        caption=f"The measure is {measured}; what the dictionary misses adds {missed:+.3f}, by the same gradient.",
        tokens=found.strings,
        values=asked.by_token,
        value_name="summed scores",
        unit="nats",
    )


def score_table(names: Names, agreement: Agreement) -> Table:
    """Return every feature that was compared, with its score and its exact effect."""
    rows: list[list[Cell]] = [
        [str(one.feature), names.about(one.feature), one.score, one.exact, one.miss, group]
        for group, side in (("largest scores", agreement.largest), ("drawn", agreement.others))
        for one in side
    ]
    return Table(
        title="Scores beside exact ablation",
        caption=agreement.say(),
        columns=["Feature", "About", "Score", "Exact", "Score less exact", "Chosen as"],
        units=["", "", "nats", "nats", "nats", ""],
        rows=rows,
    )


def score_map(names: Names, found: ActiveFeatures, asked: Attribution, features: list[int]) -> HeatMap:
    """Return where the features with the largest scores have them."""
    shown = slice(-_MOST_COLUMNS, None)
    return HeatMap(
        title="Where the scores come from",
        caption="Gradient times value of each feature at each token; blue makes the token likelier.",
        row_axis="feature",
        column_axis="token",
        rows=[_named(names, feature) for feature in features],
        columns=list(found.strings[shown]),
        values=[asked.scores[:, feature].tolist()[shown] for feature in features],
        unit="nats",
        decimals=3,
    )


def _named(names: Names, feature: int) -> str:
    label = names.label(feature)
    return f"{feature} ({label})" if label else str(feature)
