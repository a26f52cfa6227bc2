"""The pages of runs: where every measured number leads, and from where it can be measured again."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from glassbook.evidence.judging import say_bar
from glassbook.notebook.again import command_of, python_of, python_of_study
from glassbook.notebook.drafting import capitalized, weights_of
from glassbook.notebook.kept import KeptRun, Place
from glassbook.notebook.live import Measurements, claim_block
from glassbook.notebook.markdown import Heading
from glassbook.views.markup import data_table, element, join
from glassbook.views.numbers import spell

_ROWS_SHOWN, _MEMORY = 200, "memory_bytes"
_LOOKED_AT = element(
    "p",
    "Each build of this notebook looks whether the code and the bars are still those of the runs, and marks what is stale. "
    "Settings, data and weights are looked at by ",
    element("code", "glassbook verify"),
    ".",
)
_LOOKED_AT_CODE = element("p", "Each build of this notebook looks whether the code is still that of the run.")


@dataclass(frozen=True, slots=True)
class RunPage:
    """The page of one run, or of the runs of one study at one size: its address, what heads it, and its text."""

    address: str
    title: str
    summary: str
    date: str
    body: Markup
    contents: tuple[Heading, ...]


def run_pages(measured: Measurements) -> list[RunPage]:
    """Return a page for the kept results of every study at every size, and for every pinned run."""
    return [
        *(_of_place(place) for place in measured.places.values()),
        *(_of_run(run, run.id in measured.known.changed) for run in measured.runs.values()),
    ]


def _of_place(place: Place) -> RunPage:
    claims = [_claim(place, name) for name in place.judgements]
    seeds = list(place.records)
    first = place.records[seeds[0]]
    config = first["asked"]["config"]
    parts = [
        ("claims", "The claims", join(*claims)),
        ("again", "Measured again", _again(_commands(place, config), python_of_study(config, seeds[0]), _LOOKED_AT)),
        ("asked", "What was asked", _table(_flat(config.get("settings", {})), "What was asked")),
        ("on-what", "On what", _on_what(first)),
        ("runs", "The runs", _runs(place.records)),
    ]
    whole = f"Every claim of the study that was judged at size {place.size}, with what it rests on and how it was made."
    title = f"Runs of {place.study}, size {place.size}"
    return RunPage(place.address, title, whole, place.date, _body(parts), _contents(parts))


def _of_run(run: KeptRun, is_stale: bool) -> RunPage:
    record = run.record
    shown = [Markup(view.html()) for view in run.views().values()]
    parts = [
        ("outcome", "What came out", join(*(element("p", capitalized(said)) for said in run.outcome.values()))),
        ("numbers", "Every number", _metrics(run)),
        ("pictures", "Its pictures", join(*shown)),
        ("again", "Measured again", _again(command_of(record), python_of(record), _LOOKED_AT_CODE)),
        ("asked", "What was asked", _table(_asked(record), "What was asked")),
        ("on-what", "On what", _on_what(record)),
        ("cost", "What it cost", _cost(record)),
        ("files", "Its files", _table(run.checksums, "Checksums of its files", ("File", "SHA-256"))),
    ]
    kept = [part for part in parts if part[2]]
    stale = " The code that made it has changed since." if is_stale else ""
    summary = f"A run of kind {record['kind']}, {record['status']}.{stale}"
    return RunPage(run.address, run.id, summary, run.date, _body(kept), _contents(kept))


def _commands(place: Place, config: Mapping[str, Any]) -> str:
    """Return the commands that measure all seeds of a study as they were asked, and judge them."""
    weights = (config.get("settings") or {}).get("weights")
    given = {"--size": config["size"], "--only": config.get("only"), "--weights": weights}
    options = shlex.join([word for name, value in given.items() if value for word in (name, str(value))])
    return "\n".join(f"glassbook study {verb} {place.study} {options}" for verb in ("run", "report"))


def _again(commands: str, python: str, looked: Markup) -> Markup:
    return join(_code(commands), element("p", "or, in Python:"), _code(python), looked)


def _metrics(run: KeptRun) -> Markup | None:
    rows = [
        (name, _value(row["value"]), str(row.get("unit") or ""), "" if row.get("step") is None else str(row["step"]))
        for name, row in run.metrics.items()
    ]
    return data_table(("Metric", "Value", "Unit", "Step"), rows, "Every number") if rows else None


def _value(value: Any) -> str:
    return spell(value) if isinstance(value, int | float) else str(value)


def _claim(place: Place, name: str) -> Markup:
    """Return one claim with its paper, baseline, control and every seed, under the id that numbers lead to."""
    claim, judged = place.claim(name)
    rows = {
        "why this verdict": judged.because,
        "bar": f"{claim.direction} {say_bar(claim.bar)}",
        f"baseline: {claim.baseline.says}": spell(judged.baseline.estimate),
        f"control that should fail: {claim.control.says}": spell(judged.control.estimate),
        **{f"seed {seed}": spell(value) for seed, value in judged.each_seed.items()},
    }
    if claim.paper and claim.paper.checked and claim.paper.value is not None:
        said = f"{spell(claim.paper.value)} ({', '.join(part for part in (claim.paper.where, claim.paper.setting) if part)})"
        rows = {"the paper": said, **rows}
    more = element("details", element("summary", "Paper, bar, control and every seed"), _table(rows, f"Behind {name}"))
    return element("div", claim_block(place, claim, judged, "#again", "h3"), more, id=name, class_="claim-whole")


def _asked(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"seed": record["asked"]["seed"], **_flat(record["asked"]["config"])}


def _on_what(record: Mapping[str, Any]) -> Markup:
    """Return weights, data, code, versions and machine of a run."""
    weights, hardware = record.get("weights") or {}, record.get("hardware") or {}
    rows = {
        "weights": weights_of(record),
        "fingerprint of the weights": weights.get("fingerprint", ""),
        **{f"data: {row['name']}": f"{_count(row['rows'])}, {row['sha256']}" for row in record.get("data") or ()},
        "hash of the code": (record.get("code") or {}).get("sha256", ""),
        **{f"version of {name}": version for name, version in (record.get("versions") or {}).items()},
        **{str(name).replace("_", " "): value for name, value in hardware.items() if name != _MEMORY},
        "memory": f"{hardware[_MEMORY] / 1e9:.1f} GB" if hardware.get(_MEMORY) else "",
    }
    return _table(rows, "On what")


def _runs(records: Mapping[int, Mapping[str, Any]]) -> Markup:
    rows = [
        (str(seed), str(record["id"]), str(record["started"])[:19], _minutes(record))
        for seed, record in records.items()
    ]
    return data_table(("Seed", "Run", "Begun", "Took"), rows, "The runs")


def _cost(record: Mapping[str, Any]) -> Markup | None:
    cost = record.get("cost")
    if not cost:
        return None
    parts = [cost["total"] | {"part": "in all"}, *cost["parts"]]
    rows = [(str(one.get("part")), f"{one['wall_s']:.1f}", f"{one.get('cpu_s') or 0:.1f}") for one in parts]
    return data_table(("Part", "Wall, s", "Processor, s"), rows, "What the run cost")


def _minutes(record: Mapping[str, Any]) -> str:
    cost = record.get("cost")
    return f"{cost['total']['wall_s'] / 60:.1f} min" if cost else ""


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested settings as one row each, named by their way: `optimizer.lr`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        way = f"{before}{name}"
        found |= _flat(value, f"{way}.") if isinstance(value, Mapping) else {way: value}
    return found


def _table(rows: Mapping[str, Any], label: str, heads: tuple[str, str] = ("What", "Value")) -> Markup:
    said = [(name, _said(value)) for name, value in rows.items() if value not in ("", None, [], {})]
    return data_table(heads, said[:_ROWS_SHOWN], label) if said else Markup("")


def _count(rows: int) -> str:
    return f"{spell(rows)} row{'' if rows == 1 else 's'}"


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return str(value)


def _code(text: str) -> Markup:
    return element("div", element("pre", element("code", text), tabindex="0"), class_="code")


def _body(parts: Sequence[tuple[str, str, Markup | None]]) -> Markup:
    return join(*(join(element("h2", heading, id=name), content) for name, heading, content in parts))


def _contents(parts: Sequence[tuple[str, str, Markup | None]]) -> tuple[Heading, ...]:
    return tuple(Heading(2, name, heading) for name, heading, _ in parts)
