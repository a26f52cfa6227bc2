"""What the scripts that make shipped files share: commands of ours, trainings with their records, the copy into the package."""

import shutil
import subprocess
import sys
from pathlib import Path

import glassbook as gb
from glassbook.files.atomic import write_json
from glassbook.files.hashes import hash_json
from glassbook.runs.keeping import kept_record

DATA = Path(__file__).resolve().parents[1] / "src" / "glassbook" / "features" / "data"


def run(*words: str) -> str:
    """Return what a command of ours printed; its progress goes where this script's goes."""
    print("$ glassbook", *words, file=sys.stderr, flush=True)
    return subprocess.run(
        [sys.executable, "-m", "glassbook.cli", *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def train(out: str, *words: str) -> Path:
    """Return the folder of a dictionary in float16, trained unless it is there, with the record of its Run beside it."""
    folder = Path(out)
    if not folder.exists():
        run("features", "train", "--out", out, "--save-dtype", "float16", *words)
    if not (folder / "run.json").exists():
        made = gb.runs.read_run(Path("runs", gb.features.load_dictionary(folder).facts["run"]))
        keep_record(folder, made)
    return folder


def keep_record(folder: Path, made: gb.runs.StoredRun) -> None:
    """Write what is kept of a Run into a folder that ships; where things lay is nobody's business but the maker's."""
    record = kept_record(made.record)
    asked = record["asked"]
    asked["config"]["out"] = Path(asked["config"]["out"]).name
    asked["sha256"] = hash_json([record["kind"], asked["config"], asked["seed"]])
    write_json(folder / "run.json", record)


def ship(folder: Path, name: str) -> None:
    """Replace what ships under a name by a folder."""
    place = DATA / name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)
