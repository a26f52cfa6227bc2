"""Rebuilds the golden files of the tests with the peers, each in an environment of its own under .oracles/.

`python scripts/oracles/run.py [NAME ...]` runs every `tests/oracles/make_NAME.py`, or only those named. A script whose
input is not at hand is left out with one sentence, and the exit status is then 1.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glassbook.sources.obtain import obtain_default_gguf

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".oracles"
SHIPPED = ("src/glassbook/cli/data", "src/glassbook/text/data")

Input = Literal["nothing", "data folder", "model folder", "model file"]


@dataclass(frozen=True, slots=True)
class Oracle:
    """Which environment a script runs in (None: the project's own, to compare ours), and what it must be handed."""

    environment: str | None
    needs: Input = "nothing"


ORACLES: dict[str, Oracle] = {
    "shipped_texts": Oracle("tokenizers", "data folder"),
    "tiktoken_golden": Oracle("tokenizers", "data folder"),
    "sentencepiece_golden": Oracle("tokenizers"),
    "smollm2_tokenizer_golden": Oracle("peers", "model folder"),
    "smollm2_golden": Oracle("peers", "model folder"),
    "doctor_golden": Oracle("peers", "model folder"),
    "site_golden": Oracle("peers", "model folder"),
    "repeng_golden": Oracle("steering", "model folder"),
    "llama_control_golden": Oracle("llama", "model file"),
    "migration_transformer_lens": Oracle("peers", "model folder"),
    "migration_nnsight": Oracle("nnsight", "model folder"),
    "migration_steering": Oracle("steering", "model folder"),
    "migration_report": Oracle(None),
    "stats_golden": Oracle("stats"),
    "dictionaries_ours": Oracle(None),
    "dictionaries_sae_lens": Oracle("sae_lens"),
    "evaluation_sae_lens": Oracle("sae_lens"),
    "dictionaries_dictionary_learning": Oracle("dictionary_learning"),
    "dictionaries_sparsify": Oracle("sparsify"),
    "dictionaries_neuronpedia": Oracle("sae_lens"),
}
NEEDS_TORCH = ("peers", "nnsight", "steering", "sae_lens", "dictionary_learning", "sparsify")


def python_of(environment: str | None) -> Path:
    """Return the Python of an environment, made first where it is missing or its packages have changed."""
    if environment is None:
        return Path(sys.executable)
    folder, wanted = HOME / environment, (Path(__file__).parent / f"{environment}.txt")
    python, stamp = folder / "bin" / "python", folder / "packages.txt"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return python
    print(f"Making the environment .oracles/{environment} …", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    subprocess.run([*install, "--constraint", str(ROOT / "constraints.txt"), "pip"], check=True)
    if environment in NEEDS_TORCH:
        subprocess.run([str(python), str(ROOT / "scripts" / "install_torch.py")], check=True)
    subprocess.run([*install, "--no-deps", "--requirement", str(wanted)], check=True)
    stamp.write_text(wanted.read_text())
    return python


def model_folder() -> Path:
    """Return the default model as a Hugging Face folder in float32, dequantized once by transformers."""
    folder = HOME / "smollm2-135m"
    if not (folder / "tokenizer_config.json").exists():
        print("Dequantizing the default model with transformers …", flush=True)
        script = Path(__file__).parent / "dequantize.py"
        subprocess.run([str(python_of("peers")), str(script), str(obtain_default_gguf()), str(folder)], check=True)
    make_readable_for_transformers_4(folder)
    return folder


def make_readable_for_transformers_4(folder: Path) -> None:
    """Say in the folder what transformers 4 looks for elsewhere than 5, in terms that both read.

    Without the base of the rotary angles at the top, transformers 4 takes another one, and says nothing.
    """
    config, words = (json.loads((folder / name).read_text()) for name in ("config.json", "tokenizer_config.json"))
    config["rope_theta"] = config["rope_parameters"]["rope_theta"]
    words |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]}
    for name, said in (("config.json", config), ("tokenizer_config.json", words)):
        (folder / name).write_text(json.dumps(said, indent=2) + "\n")


def arguments(needs: Input) -> list[str]:
    """Return what a script is handed on its command line."""
    if needs == "model file":
        return [str(obtain_default_gguf())]
    return [str(model_folder())] if needs == "model folder" else []


def run(name: str) -> bool:
    """Run one script and return whether it could be run; raise CalledProcessError where it fails."""
    oracle = ORACLES[name]
    if oracle.needs == "data folder" and not os.environ.get("GLASSBOOK_DATA"):
        print(f"{name} is left out: it reads open text sets; name their folder in GLASSBOOK_DATA.", flush=True)
        return False
    place = f".oracles/{oracle.environment}" if oracle.environment else "the project's own environment"
    print(f"Running make_{name}.py in {place} …", flush=True)
    script = ROOT / "tests" / "oracles" / f"make_{name}.py"
    command = [str(python_of(oracle.environment)), str(script), *arguments(oracle.needs)]
    # Some peers write sets as they come, which one seed of the hashes keeps in order.
    said = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONHASHSEED": "0"}
    subprocess.run(command, check=True, env={**os.environ, **said})
    return True


def main(names: Sequence[str]) -> int:
    """Run the named scripts, or all, and say which golden files changed."""
    unknown = [name for name in names if name not in ORACLES]
    if unknown:
        print(f"There is no oracle '{unknown[0]}'; there are {', '.join(ORACLES)}.", file=sys.stderr)
        return 2
    done = [run(name) for name in names or ORACLES]
    changed = subprocess.run(["git", "-C", str(ROOT), "diff", "--stat", "--", "tests/golden", *SHIPPED], check=False)
    return 0 if all(done) and changed.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
