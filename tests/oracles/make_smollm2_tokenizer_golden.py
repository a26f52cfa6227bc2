"""Write `tests/golden/smollm2_ids.json`: what transformers makes of texts with the tokenizer of SmolLM2-135M-Instruct.

Needs transformers and the model's Hugging Face folder:
`python tests/oracles/make_smollm2_tokenizer_golden.py SmolLM2-135M-Instruct`. (transformers can open the GGUF file too,
but then cuts words as GPT-2 does, whatever the file says: "½ ²" gets other ids than those of the model's training.)
"""

import hashlib
import json
import sys
from array import array
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.gpt2_texts import ODD_STRINGS, shipped_texts

GOLDEN = Path(__file__).parents[1] / "golden" / "smollm2_ids.json"
CHAT = [
    {"role": "user", "content": "What is 12 × 12?"},
    {"role": "assistant", "content": "144."},
    {"role": "user", "content": "And in Roman numerals?"},
]


def main() -> None:
    """Write the golden file."""
    tokenizer = AutoTokenizer.from_pretrained(Path(sys.argv[1]))

    def encode(text: str, plain: bool = True) -> list[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=plain)["input_ids"]
        return ids

    def digest(ids: list[int]) -> str:
        words = array("I", ids)
        if sys.byteorder == "big":
            words.byteswap()
        return hashlib.sha256(words.tobytes()).hexdigest()

    golden: dict[str, Any] = {"oracle": f"transformers {version('transformers')}", "texts": [], "odd": []}
    for name, text in shipped_texts():
        ids = encode(text)
        golden["texts"].append({"name": name, "n_ids": len(ids), "ids_sha256": digest(ids), "first_ids": ids[:50]})
    for text in ODD_STRINGS:
        golden["odd"].append({"text": text, "ids": encode(text), "ids_with_special": encode(text, plain=False)})
    rendered = tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=False)
    golden["chat"] = {"messages": CHAT, "text": rendered, "ids": encode(rendered, plain=False)}
    GOLDEN.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{GOLDEN.name}: {len(golden['texts'])} texts, {len(golden['odd'])} odd strings")


if __name__ == "__main__":
    main()
