"""Write `tests/golden/smollm2_resid.json`: the residual stream of the default model on one sentence, by transformers.

Needs transformers and the folder of SmolLM2-135M-Instruct (dequantized from the packaged GGUF to float32), but no
network: `python make_smollm2_golden.py <folder>`. `make oracles` runs it.
"""

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "smollm2_resid.json"
TEXT = "The lighthouse keeper wrote in her log that the storm had passed before"
POSITIONS = [0, 6, -1]


def main(folder: str) -> None:
    """Write the file."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    net = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    ids = tokenizer(TEXT, add_special_tokens=False).input_ids
    post: list[torch.Tensor] = []
    for block in net.model.layers:
        # The list that transformers returns ends with the normed stream, so the blocks themselves are asked.
        block.register_forward_hook(lambda _, __, out: post.append(out[0] if isinstance(out, tuple) else out))
    with torch.inference_mode():
        logits = net(torch.tensor([ids])).logits[0]
    top = logits[-1].topk(5)
    found = {
        "made_by": {name: version(name) for name in ("transformers", "torch")},
        "text": TEXT,
        "ids": ids,
        "positions": POSITIONS,
        "resid_post_norms": [[round(x, 4) for x in value[0, POSITIONS].norm(dim=-1).tolist()] for value in post],
        "last_top_ids": top.indices.tolist(),
        "last_top_logits": [round(x, 4) for x in top.values.tolist()],
        "argmax": logits.argmax(-1).tolist(),
    }
    text = re.sub(r"\[[^\[\]{}]*\]", lambda flat: " ".join(flat[0].split()), json.dumps(found, indent=1))
    GOLDEN.write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
