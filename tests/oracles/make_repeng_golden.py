"""Write `tests/golden/repeng_sentiment.gguf` and `repeng.json`: a control vector that repeng trained, and what it does there.

Needs repeng and the folder of the default model (dequantized to float32), but no network:
`python make_repeng_golden.py <folder>`. `make oracles` runs it.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from golden_text import compact
from repeng import ControlModel, ControlVector, DatasetEntry
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
PAIRS = ROOT / "src" / "glassbook" / "tasks" / "data" / "sentiment_contrast.jsonl"
TEXT = "When I asked about the school play, my aunt called it"
# One direction alone says which block it touches; all of them together say that they add up.
CASES = {"none": ([], 0.0), "1": ([1], 30.0), "14": ([14], 30.0), "29": ([29], 30.0), "all": (range(1, 30), 4.0)}
EVERY = 769


def main(folder: str) -> None:
    """Train, export, read back, and write both files."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json", pad_token="<|endoftext|>")
    net = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    pairs = [json.loads(line) for line in PAIRS.read_text().splitlines()]
    # repeng draws its principal components from numpy's global generator.
    np.random.seed(0)
    vector = ControlVector.train(net, tokenizer, [DatasetEntry(**pair) for pair in pairs])
    path = GOLDEN / "repeng_sentiment.gguf"
    vector.export_gguf(path)
    assert ControlVector.import_gguf(path) == vector
    ids = tokenizer(TEXT, add_special_tokens=False).input_ids
    control = ControlModel(net, range(net.config.num_hidden_layers))
    found = {
        "made_by": {name: version(name) for name in ("repeng", "transformers", "torch", "gguf")},
        "text": TEXT,
        "ids": ids,
        "every": EVERY,
        "cases": [
            {"layers": list(layers), "strength": strength, "logits": steered(control, vector, ids, layers, strength)}
            for layers, strength in CASES.values()
        ],
    }
    (GOLDEN / "repeng.json").write_text(compact(found))


def steered(
    control: ControlModel, vector: ControlVector, ids: list[int], layers: list[int] | range, strength: float
) -> list[float]:
    """Return every so many logits after the last token, with the directions of `layers` alone."""
    raw = {layer: torch.zeros(control.config.hidden_size) for layer in control.layer_ids}
    raw |= {layer: strength * torch.from_numpy(vector.directions[layer].copy()) for layer in layers}
    control.set_raw_control(raw)
    with torch.inference_mode():
        return [round(x, 4) for x in control(torch.tensor([ids])).logits[0, -1, ::EVERY].tolist()]


if __name__ == "__main__":
    main(sys.argv[1])
