"""Makes the small model that ships with the package, and a transcoder for the MLP of each of its layers.

GLASSBOOK_DATA=DIR python scripts/small_model.py WORK

Every step is a command of ours. What is done lies in the folder WORK, so that a call that was cut short goes on; the last step
copies what ships into the package. On one core it takes about an hour.
"""

import json
import os
import sys
from pathlib import Path
from shlex import split

from shipping import keep_record, run, ship, train

import glassbook as gb

NAME, CORPUS = "bookworm", "classic_books_young"
N_LAYERS, CONTEXT = 4, 256
NETWORK = split(f"--architecture llama --n-layers {N_LAYERS} --d-model 128 --n-heads 4 --context {CONTEXT}")
TEXT = split("--tokenizer byte-bpe --d-vocab 4096")
LEARNING = split(f"--steps 5000 --batch 8 --lr 3e-3 --evaluate-every 500 --checkpoint-every 250 --name {NAME}")
# A training keeps back the last tenth of its documents; transcoders never see them either.
READ = split("--dtype float32 --values-dtype bfloat16 --mixed 120000")
LEARNED = split("--documents 0:55 --tokens 1000000")
HELD_OUT = split("--documents 55: --tokens 60000")
KIND = split("--kind skip-transcoder --features 2048 --k 16")
MEASURED = split("--store held-out --model model --loss-contexts 40")
FED = split(f"--tokens {4500 * 2048} --batch-size 2048")


def trained_model() -> Path:
    """Return the folder of the trained model in float16, with the record of its Run beside it."""
    told, folder = Path("training.json"), Path("model")
    if not told.exists():
        begun = any(Path("runs").glob("*-train-*"))
        said = run("train", *(["--resume", "latest"] if begun else [CORPUS, *NETWORK, *TEXT, *LEARNING]), "--json")
        told.write_text(said)
    done = json.loads(told.read_text())
    if not folder.exists():
        gb.save_model(gb.open_model(done["model"], dtype="float16"), folder)
    keep_record(folder, gb.runs.read_run(Path("runs", done["run"])))
    return folder


def transcoder(layer: int) -> Path:
    """Return the folder of the transcoder of one layer, measured on books that no training read."""
    sites = ["--site", f"L{layer}.resid_mid", "--site", f"L{layer}.mlp_out"]
    made = train(f"L{layer}.mlp_out", "--store", "harvest", *sites, *KIND, *FED)
    if not (made / "evaluation.json").exists():
        run("features", "evaluate", str(made), *MEASURED)
    return made


def main(work: Path) -> None:
    """Make everything in `work`, going on where an earlier call was cut short."""
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    os.environ["GLASSBOOK_RUNS"] = "runs"
    ship(trained_model(), f"{NAME}/model")
    sites = ["--site", "L*.resid_mid", "--site", "L*.mlp_out"]
    for out, part in (("harvest", LEARNED), ("held-out", HELD_OUT)):
        run("features", "harvest", "model", CORPUS, *sites, "--out", out, *READ, *part)
    for layer in range(N_LAYERS):
        ship(transcoder(layer), f"{NAME}/L{layer}.mlp_out")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
