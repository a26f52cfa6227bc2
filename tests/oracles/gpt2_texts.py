"""The texts on which our GPT-2 tokenizer meets tiktoken's: shipped ones, ones in GLASSBOOK_DATA, odd strings."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "src" / "glassbook" / "text" / "data"

ODD_STRINGS = [
    "",
    " ",
    "  ",
    "\n",
    "\n\n\n",
    "\t\t x",
    "\r\n",
    "a",
    " a",
    "a ",
    "a  b",
    "   leading and trailing   ",
    "Hello world",
    "I'm, you're, he'd, we'll, they've, it's, don't",
    "I'M YOU'RE DON'T",
    "it’s",
    "'s's'S",
    "1234567890",
    "3.14159e-10",
    "1 000 000,00 €",
    "½ ² Ⅷ ٣",
    "x=1;y=x**2#z",
    "def f(x):\n    return x  # twice\n",
    "<|endoftext|>",
    "before<|endoftext|>after",
    "<|endoftext",
    "<|im_start|>user",
    "\x00",
    "a\x00b\x01\x7f",
    "\u200b\u200d\ufeff",
    "\u00a0\u2003\u3000x",
    "\u2028\u2029\x85",
    "naïve café, Ärger, œuvre",
    "e\u0301 against \u00e9",
    "Привет, мир!",
    "שלום עולם",
    "مرحبا بالعالم",
    "你好,世界。",
    "こんにちは世界",
    "안녕하세요",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "🙂🙃👩‍👩‍👧‍👦🏳️‍🌈",
    "\U0010ffff\ufffe",
    "Ġ Ċ ĉ",
    "a" * 300,
    "ab" * 200,
    " " * 129,
    "!?" * 50 + "...",
    "https://example.org/a_b?c=%20&d=[1]",
]


def shipped_texts() -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the books in the package."""
    for name in ("alice", "oz", "willows"):
        lines = (SHIPPED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        yield name, "\n".join(json.loads(line)["text"] for line in lines)


def shared_texts(data_folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of pieces of the shared data: verse, encyclopedia, human rights in 56 languages."""
    for name in ("tinyshakespeare", "wikitext2_valid"):
        yield name, gzip.decompress((data_folder / "text" / f"{name}.txt.gz").read_bytes()).decode()[:400_000]
    packed = (data_folder / "text" / "udhr_multilingual.jsonl.gz").read_bytes()
    rows = gzip.decompress(packed).decode().splitlines()
    yield "udhr_multilingual", "\n".join(json.loads(row)["text"][:5_000] for row in rows[::7])
