"""What it costs to begin: imports, help, process start to first generated token, and what is installed."""

import json
import statistics
import subprocess
import sys
import time

from harness import HOME, RESULTS

PYTHON = str(HOME / "venvs" / "glassbook" / "bin" / "python")
FIRST_TOKEN = """
import glassbook as gb
model = gb.open_model("smollm2-135m", dtype="{dtype}")
print(next(model.stream("Once upon a time", max_new_tokens=1)))
"""
COMMANDS = {
    "python, nothing imported": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import glassbook": ["-c", "import glassbook"],
    "import torch and the model rooms": [
        "-c",
        "import torch, glassbook; glassbook.models, glassbook.activations, glassbook.steering, glassbook.open_model",
    ],
    "glassbook --help": ["-m", "glassbook.cli.app", "--help"],
    "first token, float32": ["-c", FIRST_TOKEN.format(dtype="float32")],
    "first token, bfloat16": ["-c", FIRST_TOKEN.format(dtype="bfloat16")],
}
CLOSURE = """
import importlib.metadata as m, json, os, re
from packaging.requirements import Requirement
plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
have = {plain(d.metadata["Name"]): d for d in m.distributions()}
def walk(name, seen):
    if name in have and name not in seen:
        seen.add(name)
        for text in have[name].requires or []:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                walk(plain(need.name), seen)
    return seen
size = lambda name: sum(os.path.getsize(p) for f in have[name].files or [] if os.path.exists(p := f.locate()))
torch = walk("torch", set())
rest = walk("glassbook", set()) - torch
direct = [r for r in have["glassbook"].requires if "extra ==" not in r]
total = {name: round(sum(map(size, found)) / 1e6, 1) for name, found in (("rest", rest), ("torch", torch))}
print(json.dumps({"direct": len(direct), "packages": len(rest) - 1} | total))
"""


def main(rounds: int) -> None:
    """Time every command `rounds` times, interleaved, after one warm-up; print and keep the medians."""
    samples: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([PYTHON, *arguments], check=True, capture_output=True)
            if number:
                samples[name].append(time.perf_counter() - start)
    RESULTS.mkdir(exist_ok=True)
    installed = json.loads(subprocess.run([PYTHON, "-c", CLOSURE], check=True, capture_output=True, text=True).stdout)
    kept = {"date": time.strftime("%Y-%m-%d"), "seconds": samples, "installed": installed}
    (RESULTS / "startup.json").write_text(json.dumps(kept, indent=1) + "\n")
    print(table(kept))


def table(kept: dict) -> str:
    """Return the measurements as Markdown."""
    lines = ["| what | median s (min to max) |", "|---|---|"]
    for name, seconds in kept["seconds"].items():
        lines.append(f"| {name} | {statistics.median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f}) |")
    found = kept["installed"]
    packages = f"{found['packages']} packages, {found['direct']} direct dependencies"
    lines.append(
        f"| installed beside torch and its own needs ({found['torch']} MB) | {found['rest']} MB in {packages} |"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
