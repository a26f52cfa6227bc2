"""Make the golden answer that `glassbook doctor` compares the default model with, by transformers on the same weights.

    python tests/oracles/make_doctor_golden.py FOLDER

FOLDER is the default model's GGUF file, dequantized to float32, as a Hugging Face folder. Writes
src/glassbook/cli/data/doctor_golden.json: a prompt, its ids, and the five largest logits of the next token.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

PROMPT = "The Eiffel Tower stands in the city of"
TARGET = Path(__file__).parents[2] / "src/glassbook/cli/data/doctor_golden.json"


def main(folder: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    ids = tokenizer(PROMPT, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        top = model(torch.tensor([ids])).logits[0, -1].topk(5)
    golden = {
        "model": "smollm2-135m",
        "made_by": f"transformers {transformers.__version__}, eager attention, float32",
        "prompt": PROMPT,
        "prompt_tokens": ids,
        "top_tokens": top.indices.tolist(),
        "top_logits": [round(value, 5) for value in top.values.tolist()],
    }
    TARGET.write_text(json.dumps(golden, indent=2) + "\n", encoding="utf-8")
    print([tokenizer.decode([token]) for token in golden["top_tokens"]], golden["top_logits"])


if __name__ == "__main__":
    main(sys.argv[1])
