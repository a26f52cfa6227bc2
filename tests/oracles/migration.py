"""The snippets of docs/migration.md: found on the page, run as programs, and what they leave behind in plain numbers.

A comment `<!-- same: a b -->` before a pair names what both of its programs must leave behind equal.
"""

import json
import math
import os
import re
import runpy
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
GOLDEN = Path(__file__).parents[1] / "golden"
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
FILES = ("transformer_lens", "nnsight", "steering")
MOST_VALUES = 600
# Equal is the same text and, for arrays, no value further off than this share of the array's largest.
TOLERANCE = 1e-4

_PAIR = re.compile(
    r"^<!-- same: (?P<names>[\w ]+) -->\n"
    r"```python (?P<peer>[\w-]+)\n(?P<theirs>.*?)^```\n\n"
    r"```python glassbook\n(?P<ours>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


def pairs(text: str) -> dict[str, dict[str, Any]]:
    """Return the pairs of a page by the peer's name: the names to compare, their program, ours."""
    found = {pair["peer"]: pair.groupdict() | {"names": pair["names"].split()} for pair in _PAIR.finditer(text)}
    return {peer: {key: pair[key] for key in ("names", "theirs", "ours")} for peer, pair in found.items()}


def left_behind(program: str, names: list[str]) -> dict[str, Any]:
    """Return what a program calls by these names, in plain values; it runs in a folder of its own, from a real file."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snippet.py"
        path.write_text(program)
        os.chdir(folder)
        try:
            found = runpy.run_path(str(path))
        finally:
            os.chdir(here)
    return {name: plain(found[name]) for name in names}


def plain(value: Any) -> Any:
    """Return text as it is, and an array as its shape, its largest magnitude and up to 600 of its values."""
    if isinstance(value, str):
        return value
    array = value.detach().numpy() if hasattr(value, "detach") else value
    flat = array.reshape(-1).astype("float64")
    every = math.ceil(flat.size / MOST_VALUES)
    largest = float(f"{abs(flat).max():.9g}")
    return {"shape": list(array.shape), "largest": largest, "values": [float(f"{x:.9g}") for x in flat[::every]]}


def difference(ours: Any, theirs: Any) -> float:
    """Return the largest difference as a share of the largest value; infinite for other texts or shapes."""
    if isinstance(theirs, str) or isinstance(ours, str) or ours["shape"] != theirs["shape"]:
        return 0.0 if ours == theirs else math.inf
    largest = max(abs(a - b) for a, b in zip(ours["values"], theirs["values"], strict=True))
    return max(largest, abs(ours["largest"] - theirs["largest"])) / theirs["largest"]


def golden(peers: Mapping[str, tuple[str, ...]], folder: str) -> dict[str, Any]:
    """Return what the peers' programs leave behind, with the versions of the packages that each ran on."""
    page, found = pairs(PAGE.read_text()), {}
    for peer, packages in peers.items():
        program = page[peer]["theirs"].replace(HUB_NAME, folder)
        results = left_behind(program, page[peer]["names"])
        found[peer] = {
            "versions": {name: version(name) for name in packages},
            "program": page[peer]["theirs"],
            "results": results,
        }
    return found


def stored() -> dict[str, Any]:
    """Return what all peers left behind, by the peer's name."""
    files = [json.loads((GOLDEN / f"migration_{name}.json").read_text()) for name in FILES]
    return {peer: found for file in files for peer, found in file.items()}


def compare(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, float]:
    """Return the difference of every result."""
    return {name: float(f"{difference(ours[name], value):.2g}") for name, value in theirs.items()}


def with_table(text: str, report: Mapping[str, Any]) -> str:
    """Return the page with the report as the table at its end."""
    head, rule, _ = text.partition("|---|---|---|---|\n")
    rows = []
    for peer, found in report.items():
        own, *others = found["versions"].items()
        beside = ", ".join(f"{name} {number.partition('+')[0]}" for name, number in others)
        rows.append(f"| {peer} | {own[1]} | {beside} | {max(found['differences'].values()):.1e} |\n")
    return head + rule + "".join(rows)
