"""The claims of a study: the paper's number beside ours, the bar, the baseline, the control that should fail, the verdict."""

from collections.abc import Sequence

import msgspec
from markupsafe import Markup

from glassbook.views.markup import data_table, element, fold, join, note, scroll_box
from glassbook.views.numbers import Number, is_drawable, spell
from glassbook.views.view import VIEWS, View, empty, plain

SIGNS = {
    "replicated": "✓",
    "direction only": "↗",
    "not replicated": "✗",
    "inconclusive": "≈",
    "not testable": "○",
}
"""The sign of each verdict, which stands beside its words."""

NO_VERDICT = "no verdict"


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A number with the ends of its interval; `says` names what it is an estimate of."""

    value: Number
    low: Number = None
    high: Number = None
    says: str = ""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))

    def __str__(self) -> str:
        if not is_drawable(self.low) or not is_drawable(self.high):
            return spell(self.value)
        return f"{spell(self.value)} [{spell(self.low)}, {spell(self.high)}]"


class ClaimRow(msgspec.Struct, frozen=True, kw_only=True):
    """One claim: what it says, what the paper and we found, and what both are held against.

    `paper` is the paper's number in words; `seeds` and `each_seed` are the seeds and their values. An empty verdict is none.
    """

    id: str
    says: str
    unit: str
    paper: str
    setting: str
    ours: Estimate
    bar: str
    baseline: Estimate
    control: Estimate
    n_items: int
    items: str
    seeds: Sequence[int] = ()
    each_seed: Sequence[Number] = ()
    verdict: str = ""
    because: str = ""
    headline: bool = False

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            msgspec.structs.force_setattr(self, name, plain(getattr(self, name)))

    @property
    def outcome(self) -> str:
        """Return the verdict, or that there is none."""
        return self.verdict or NO_VERDICT


@VIEWS.add("claim-table")
class ClaimTable(View, frozen=True, kw_only=True, tag="claim-table"):
    """Claims, a row each, in the order given; every seed stands in the fold beneath."""

    claims: Sequence[ClaimRow]
    level: float = 0.95

    def body(self) -> Markup:
        if not self.claims:
            return empty("no claim was judged")
        heads = ("Claim", "Verdict", "Paper", "Ours", "Bar", "Baseline", "Control, which should fail")
        top = element("tr", *(element("th", head, scope="col") for head in heads))
        lines = [_line(row) for row in self.claims]
        table = element("table", element("thead", top), element("tbody", *lines), class_="claim-rows")
        return join(
            scroll_box(table, self.title or "Claims"),
            element("p", self.finding(), class_="finding"),
            note(f"In brackets: {100 * self.level:g}\u00a0% intervals over seeds and items."),
            self._reasons(),
            self._seeds(),
        )

    def finding(self) -> str:
        """Return how many claims have which verdict, in words."""
        outcomes = [row.outcome for row in self.claims]
        counts = [f"{outcomes.count(one)} {one}" for one in (*SIGNS, NO_VERDICT) if one in outcomes]
        others = sum(one not in (*SIGNS, NO_VERDICT) for one in outcomes)
        counts += [f"{others} of another verdict"] if others else []
        return f"{len(outcomes)} claim{'s' if len(outcomes) != 1 else ''}: {', '.join(counts)}."

    def _reasons(self) -> Markup:
        rows = [(row.says, row.outcome, row.because) for row in self.claims]
        return fold("Why these verdicts", data_table(("Claim", "Verdict", "Because"), rows, "Reasons of the verdicts"))

    def _seeds(self) -> Markup:
        seeds = sorted({seed for row in self.claims for seed in row.seeds})
        rows = []
        for row in self.claims:
            values = dict(zip(row.seeds, row.each_seed, strict=False))
            found = (spell(values[seed]) if seed in values else "—" for seed in seeds)
            rows.append((row.says, *found, _count(row)))
        columns = ("Claim", *(f"seed {seed}" for seed in seeds), "Items")
        return fold("Every seed", data_table(columns, rows, "Every seed of every claim"))


def _line(row: ClaimRow) -> Markup:
    unit = element("span", row.unit, class_="unit") if row.unit else None
    setting = element("span", row.setting, class_="unit") if row.setting else None
    kind = row.outcome.replace(" ", "-") if row.verdict in SIGNS else "none"
    symbol = element("span", f"{SIGNS.get(row.verdict, '–')} ", aria_hidden="true")
    return element(
        "tr",
        element("th", row.says, scope="row", class_="claim headline" if row.headline else "claim"),
        element("td", element("span", symbol, row.outcome, class_=f"outcome {kind}")),
        element("td", row.paper, setting),
        element("td", str(row.ours), unit),
        element("td", row.bar),
        *(element("td", str(one), element("span", one.says, class_="unit")) for one in (row.baseline, row.control)),
    )


def _count(row: ClaimRow) -> str:
    return f"{spell(row.n_items)} {row.items}"
