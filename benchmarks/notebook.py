"""What it costs to build a notebook: from nothing with and without search, after one edit, how it grows, and what pages weigh.

Every sample is a whole command, `glassbook build`, in a process of its own. `python benchmarks/notebook.py [--rounds 3]` keeps
the samples in `results/notebook.json` and prints them beside what was promised. The notebooks are made by rule: the same
entries every time.
"""

import argparse
import gzip
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import RESULTS

SIZES = (100, 1000, 3000)
PROMISED = 1000
BARS: dict[str, float | None] = {
    "from nothing, without the words' index": 10.0,
    "after one edit, without the words' index": 1.0,
    "from nothing": 20.0,
    "after one edit": None,
}
# An edit comes after a build of the same kind: pages with and without a search box are not the same pages.
NO_INDEX = ["--no-search"]
# As on anybody's machine, where compiled modules are kept.
AS_USERS = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
HEAVIEST_KB = 150
SEED = 5
FOLDERS = ("terms", "terms", "terms", "papers", "papers", "posts", "projects", "log")
SUBJECTS = (
    "attention",
    "residual",
    "sparse",
    "latent",
    "linear",
    "causal",
    "steering",
    "induction",
    "feature",
    "circuit",
    "gradient",
    "token",
)
THINGS = (
    "head",
    "stream",
    "code",
    "direction",
    "probe",
    "vector",
    "basis",
    "norm",
    "prior",
    "bound",
    "mask",
    "layer",
    "mixture",
    "kernel",
    "sample",
    "loss",
)
VERBS = (
    "reads",
    "writes",
    "moves",
    "explains",
    "bounds",
    "mixes",
    "hides",
    "sharpens",
    "removes",
    "predicts",
    "carries",
    "splits",
)
FORMULAS = (
    r"\mathbb{{E}}_{{q(z \mid x)}}[\log p(x \mid z)] - {n}\,\mathrm{{KL}}(q \,\|\, p)",
    r"\operatorname{{softmax}}\left(\frac{{Q K^\top}}{{\sqrt{{d_{{{n}}}}}}}\right) V",
    r"\lVert x - W_{{{n}}}^\top \operatorname{{ReLU}}(W x + b) \rVert_2^2 + \lambda \sum_i |f_i|",
    r"\sum_{{i=1}}^{{{n}}} \alpha_i v_i, \quad \alpha_i \ge 0",
)
COMMON = (r"x \in \mathbb{R}^d", r"h^{(l)}", r"\lambda", r"W_U", r"p(z)", r"\nabla_\theta L", r"10^{-4}", r"d_k")


def write_notebook(folder: Path, n: int) -> Path:
    """Write a notebook of `n` entries, each of about 3 KB with links, formulas, citations, a table, a list and code."""
    keys = [f"work{number}" for number in range(max(10, n // 5))]
    names = [f"{SUBJECTS[i % 12]}-{THINGS[i // 12 % 16]}-{i}" for i in range(n)]
    (folder / "entries").mkdir(parents=True)
    (folder / "glassbook.toml").write_text('[notebook]\ntitle = "Generated"\naddress = "https://example.org/notes/"\n')
    works = (
        f"@article{{{key},\n  title = {{On {names[i % n]}}},\n  author = {{Writer, W{i}}},\n  year = {{{1990 + i % 35}}}\n}}\n"
        for i, key in enumerate(keys)
    )
    (folder / "entries" / "refs.bib").write_text("\n".join(works))
    for number, name in enumerate(names):
        path = folder / "entries" / FOLDERS[number % len(FOLDERS)] / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(_entry(number, names, keys), encoding="utf-8")
    return folder


def _entry(number: int, names: list[str], keys: list[str]) -> str:
    draw = random.Random(SEED * 1_000_003 + number)
    kind = FOLDERS[number % len(FOLDERS)].removesuffix("s")
    own = {
        "term": f"level: {1 + number % 5}\naliases: [{names[number].replace('-', ' ')} again]",
        "paper": f"authors: [Ada Writer, Bo Writer]\nyear: {1990 + number % 35}\nstatus: read\ntopics: [steering]",
    }.get(kind, f"date: 2026-{1 + number % 12:02}-{1 + number % 28:02}")
    head = f"---\ntitle: {names[number].replace('-', ' ').capitalize()}\nkind: {kind}\n{own}\n"
    head += f"tags: [{SUBJECTS[number % 12]}, {THINGS[number % 16]}]\nsummary: {_sentence(draw)}\n---\n\n"
    parts = [_paragraph(draw, names, keys) for _ in range(6)]
    formula = draw.choice(FORMULAS).format(n=number)
    table = "| size | loss |\n|---|---|\n" + "".join(f"| {2**row} | {draw.random():.3f} |\n" for row in range(4))
    tasks = "".join(f"- {_sentence(draw)}\n" for _ in range(4))
    code = f"```python\ndef step(x, weights):\n    return x + {number} * weights.T @ (weights @ x)\n```"
    body = [parts[0], "## How it works", parts[1], f"$$\n{formula}\n$$", parts[2], "## What was seen", table, parts[3]]
    return head + "\n\n".join([*body, tasks, parts[4], "### In code", code, parts[5] + "[^1]", "[^1]: A note."]) + "\n"


def _paragraph(draw: random.Random, names: list[str], keys: list[str]) -> str:
    said = [_sentence(draw) for _ in range(5)]
    said[0] += f" See [[{draw.choice(names)}]]."
    said[1] += f" For ${draw.choice(COMMON)}$ it holds [@{draw.choice(keys)}]."
    return " ".join(said)


def _sentence(draw: random.Random) -> str:
    return f"The {draw.choice(SUBJECTS)} {draw.choice(THINGS)} {draw.choice(VERBS)} every {draw.choice(THINGS)}."


def measure(n: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every kind of build of a notebook of `n` entries, in samples, and print the last report's parts."""
    samples: dict[str, list[float]] = {name: [] for name in BARS}
    with tempfile.TemporaryDirectory() as place:
        notebook, out = write_notebook(Path(place, "notebook"), n), Path(place, "site")
        edited = sorted(notebook.glob("entries/terms/*.md"))[n // 4]
        for _ in range(rounds):
            for name in BARS:
                if name.startswith("from nothing"):
                    shutil.rmtree(notebook / ".glassbook", ignore_errors=True)
                    shutil.rmtree(out, ignore_errors=True)
                else:
                    edited.write_text(edited.read_text(encoding="utf-8") + "\nOne more sentence.\n", encoding="utf-8")
                samples[name].append(_build(name, notebook, out, *(NO_INDEX if name.endswith("index") else [])))
        if n == PROMISED:
            samples["kilobytes of the heaviest pages"] = [kb for kb, _ in _weights(out)[:5]]
    return samples


def _build(name: str, notebook: Path, out: Path, *options: str) -> float:
    command = [sys.executable, "-m", "glassbook.cli.app", "build", "--json"]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--notebook", str(notebook), "--out", str(out), *options],
        check=True,
        capture_output=True,
        env=AS_USERS,
    )
    seconds = time.perf_counter() - start
    report = json.loads(done.stdout)
    print(f"  {name:42} {seconds:7.2f} s  rendered {report['rendered']:5}  {report['seconds']}", flush=True)
    return round(seconds, 3)


def _weights(site: Path) -> list[tuple[float, str]]:
    """Return what each page weighs with all that it loads at once, in kilobytes compressed (fonts are so already)."""
    sizes: dict[Path, int] = {}
    found = []
    for page in sorted(site.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        named = re.findall(r'<(?:link rel="stylesheet"[^>]*?href|(?:script|img)[^>]*?src)="([^":/][^":]*)"', text)
        loaded = {(page.parent / name).resolve() for name in named}
        for sheet in [one for one in loaded if one.suffix == ".css"]:
            loaded |= _fonts(sheet, text)
        found.append((sum(_weight(one, sizes) for one in {page, *loaded}) / 1000, page.relative_to(site).as_posix()))
    return sorted(found, reverse=True)


def _fonts(sheet: Path, page: str) -> set[Path]:
    """Return the fonts of a style that a page like ours has letters for; checked once against what a browser fetched."""
    named = re.findall(r"url\(['\"]?([^)'\"]+\.woff2)", sheet.read_text(encoding="utf-8"))
    used = {
        "latin-ext": re.search("[\u0100-\u024f]", page),
        "italic": re.search("<em|<i>", page),
        "AMS": "mathbb" in page,
        "Main-Regular-others": False,
        **{f"Size{n}": f"size{n}" in page or (n < 3 and "op-symbol" in page) for n in range(1, 5)},
    }
    unused = [name for name, is_used in used.items() if not is_used]
    usual = ("source-serif", "Main-Regular", "Math-Italic", "Size", "AMS-Regular-letters")
    chosen = [name for name in named if any(one in name for one in usual) and not any(one in name for one in unused)]
    return {(sheet.parent / name).resolve() for name in chosen}


def _weight(path: Path, sizes: dict[Path, int]) -> int:
    if path not in sizes:
        data = path.read_bytes()
        sizes[path] = len(data) if path.suffix in (".woff2", ".png") else len(gzip.compress(data, 6))
    return sizes[path]


def main(rounds: int, sizes: list[int]) -> None:
    """Measure every size, keep the samples, and print them beside the bars."""
    kept = {}
    for n in sizes:
        print(f"{n} entries", flush=True)
        kept[str(n)] = measure(n, rounds if n == PROMISED else 1)
    if sizes == list(SIZES):
        told = json.dumps({"date": time.strftime("%Y-%m-%d"), "seconds": kept}, indent=1)
        (RESULTS / "notebook.json").write_text(told + "\n")
    print(table(kept))


def table(kept: dict[str, dict[str, list[float]]]) -> str:
    """Return the measurements as Markdown."""
    lines = [
        f"| build | {' | '.join(f'{n} entries' for n in kept)} | bar at {PROMISED} |",
        "|---" * (len(kept) + 2) + "|",
    ]
    for name, bar in BARS.items():
        cells = [f"{statistics.median(kept[n][name]):.2f} s ({min(kept[n][name]):.2f})" for n in kept]
        lines.append(f"| {name} | {' | '.join(cells)} | {f'{bar:g} s' if bar else '–'} |")
    heavy = kept.get(str(PROMISED), {}).get("kilobytes of the heaviest pages")
    return "\n".join(
        [*lines, *([f"\nThe heaviest page loads {max(heavy):.0f} KB; the bar is {HEAVIEST_KB}."] if heavy else [])]
    )


if __name__ == "__main__":
    asking = argparse.ArgumentParser(description=__doc__)
    asking.add_argument("--rounds", type=int, default=3)
    asking.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    asked = asking.parse_args()
    main(asked.rounds, asked.sizes)
