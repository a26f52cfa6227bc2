"""Write `tests/golden/sentencepiece.json`: a small SentencePiece BPE vocabulary with byte fallback and what it encodes.

Needs sentencepiece. The vocabulary is trained on the shipped "alice"; `tests/text/test_gguf_tokenizer.py` puts it into
GGUF metadata and expects the same ids. `make oracles` runs this.
"""

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import sentencepiece

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.gpt2_texts import ODD_STRINGS, shipped_texts

GOLDEN = Path(__file__).parents[1] / "golden" / "sentencepiece.json"
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # tokenizer.ggml.token_type


def train(text: str, folder: str) -> sentencepiece.SentencePieceProcessor:
    """Return a vocabulary made with the options of the Llama models."""
    Path(folder, "text").write_text(text, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=f"{folder}/text",
        model_prefix=f"{folder}/small",
        model_type="bpe",
        vocab_size=700,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        num_threads=1,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_file=f"{folder}/small.model")


def kind(model: sentencepiece.SentencePieceProcessor, number: int) -> int:
    """Return the token type under which a GGUF stores a piece."""
    if model.is_unknown(number):
        return UNKNOWN
    if model.is_control(number):
        return CONTROL
    return BYTE if model.is_byte(number) else NORMAL


def main() -> None:
    """Write the golden file."""
    texts = dict(shipped_texts())
    with tempfile.TemporaryDirectory() as folder:
        model = train(texts["alice"], folder)
    numbers = range(model.get_piece_size())
    strings = [*ODD_STRINGS, texts["willows"][:3_000]]
    golden = {
        "oracle": f"sentencepiece {version('sentencepiece')}",
        "tokens": [model.id_to_piece(number) for number in numbers],
        "scores": [model.get_score(number) for number in numbers],
        "types": [kind(model, number) for number in numbers],
        "strings": [{"text": text, "ids": model.encode(text)} for text in strings],
    }
    GOLDEN.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{GOLDEN.name}: {len(numbers)} pieces, {len(strings)} strings")


if __name__ == "__main__":
    main()
