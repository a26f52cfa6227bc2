"""Makes the default dictionary: BatchTopK on the middle of SmolLM2-135M's residual stream, and all that is known of it.

GLASSBOOK_DATA=DIR python scripts/default_dictionary.py WORK

Every step is a command of ours. What is done lies in the folder WORK, so that a call that was cut short goes on; the last step
copies what ships into the package. On one core it takes about two hours, most of them the harvest.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import split

from shipping import run, ship, train

MODEL, SITE = "smollm2-135m", "L15.resid_post"
CORPUS = "classic_books"
LEARNED = split("--documents 0:170 --tokens 4000000")
HELD_OUT = split("--documents 170: --tokens 100000")
KIND = split("--kind batchtopk --features 4608 --k 32")
# The store is read five times, since reading a text takes much longer than learning from it.
LEARNING = split(f"--tokens {10_000 * 2048} --batch-size 2048 --lr 1e-3")
MEASURED = split("--loss-contexts 32")
PARTS = split("--tokens 0 --probing --absorption")
CARDS = split("--top 8 --samples 1")


def harvest(out: str, part: Sequence[str]) -> None:
    """Keep the activations of a part of the corpus, contexts mixed over all of it."""
    run("features", "harvest", MODEL, CORPUS, "--site", SITE, "--out", out, "--mixed", "120000", *part)


def main(work: Path) -> None:
    """Make everything in `work`, going on where an earlier call was cut short."""
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    os.environ["GLASSBOOK_RUNS"] = "runs"
    harvest("harvest", LEARNED)
    harvest("held-out", HELD_OUT)
    made = train("dictionary", "--store", "harvest", "--site", SITE, *KIND, *LEARNING)
    if not (made / "evaluation.json").exists():
        run("features", "evaluate", str(made), "--store", "held-out", "--model", MODEL, *MEASURED)
    if not (made / "absorption.json").exists():
        run("features", "evaluate", str(made), "--model", MODEL, *PARTS)
    if not (made / "cards").exists():
        run("features", "cards", str(made), "--store", "held-out", "--model", MODEL, *CARDS)
    if not (made / "labels.json").exists():
        run("features", "label", str(made), "--store", "held-out", "--model", MODEL)
    ship(made, f"{MODEL}/{SITE}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
