"""Write RESULTS.md from the samples in results/: `python benchmarks/results.py`."""

import json
from pathlib import Path

import dictionary_frontier
import dictionary_quality
import notebook
import planted_recovery
import startup
from harness import RESULTS, table

HEAD = """# Results

Medians over interleaved rounds, each contender in a process and an environment of its own, with the smallest and largest
sample. Ratios compare medians of one run. How to repeat: `make bench` (see README.md beside this file).

"""
TITLES = {
    "forward": "Forward pass, SmolLM2-135M (dequantized Q4_1), logits of every position",
    "capture": "Capture of residual streams, SmolLM2-135M, 64 x 128 tokens in batches of 16",
    "sweep": "Stage 1 of a sweep, SmolLM2-135M, 16 layers x 4 strengths x 32 A/B items",
    "training": "A step of training, from the same weights on the same tokens",
    "generation": "Generation, SmolLM2-135M, 128 greedy tokens after a prompt of 16",
    "dictionaries": "A step of training a sparse dictionary, batches of 4,096 rows",
    "text_to_dictionary": "From text to a trained dictionary, SmolLM2-135M, L14.resid_post, TopK 576 -> 4,608, k = 32",
    "cards": "Cards of features from a stored harvest",
}
MEASURED = {
    dictionary_quality: "Dictionaries: held-out FVU at equal data, width, k and steps (each contender at its best rate)",
    dictionary_frontier: "Dictionaries: L0 against held-out FVU, L15.resid_post of SmolLM2-135M, one seed, 512,000 rows",
    planted_recovery: "Dictionaries: share of planted atoms recovered (mean over seeds, smallest to largest)",
}
"""What has tables of its own and is no timing."""


def main() -> None:
    parts = [HEAD]
    for name, title in TITLES.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            data = json.loads(path.read_text())
            parts.append(
                f"## {title}\n\n{data['threads']} threads, {data['processor']}, {data['date']}.\n\n{table(path)}\n\n"
            )
    path = RESULTS / "startup.json"
    if path.exists():
        parts.append(f"## Beginning\n\n{startup.table(json.loads(path.read_text()))}\n")
    path = RESULTS / "notebook.json"
    if path.exists():
        parts.append(f"\n## Building a notebook\n\n{notebook.table(json.loads(path.read_text())['seconds'])}\n")
    for script, title in MEASURED.items():
        if script.KEPT.exists():
            parts.append(f"\n## {title}\n\n{script.table(json.loads(script.KEPT.read_text()))}\n")
    notes = Path(__file__).parent / "NOTES.md"
    if notes.exists():
        parts.append(f"\n{notes.read_text()}")
    (Path(__file__).parent / "RESULTS.md").write_text("".join(parts))


if __name__ == "__main__":
    main()
