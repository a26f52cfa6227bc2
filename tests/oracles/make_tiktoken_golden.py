"""Write `tests/golden/gpt2_ids.json`: what tiktoken's GPT-2 encoding makes of the texts in `gpt2_texts.py`.

Needs tiktoken and GLASSBOOK_DATA (with `tokenizers/gpt2` and `text`), but no network: the encoding is put together from
the local merges by tiktoken's own loader and tiktoken's own pattern. `make oracles` runs it.
"""

import gzip
import hashlib
import json
import os
import sys
import tempfile
from array import array
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import ENDOFTEXT, r50k_pat_str

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.gpt2_texts import ODD_STRINGS, shared_texts, shipped_texts

GOLDEN = Path(__file__).parents[1] / "golden" / "gpt2_ids.json"


def local_gpt2(folder: Path) -> tiktoken.Encoding:
    """Return tiktoken's GPT-2 from the gzipped `vocab.bpe` and `encoder.json` in `folder`."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("vocab.bpe", "encoder.json"):
            Path(place, name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))
        ranks = data_gym_to_mergeable_bpe_ranks(f"{place}/vocab.bpe", f"{place}/encoder.json")
    special = {ENDOFTEXT: 50256}
    return tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens=special)


def summary(name: str, text: str, ids: list[int], shipped: bool) -> dict[str, Any]:
    """Return what the golden file keeps of one text."""
    words = array("I", ids)
    if sys.byteorder == "big":
        words.byteswap()
    return {
        "name": name,
        "shipped": shipped,
        "n_bytes": len(text.encode()),
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "n_ids": len(ids),
        "ids_sha256": hashlib.sha256(words.tobytes()).hexdigest(),
        "first_ids": ids[:50],
    }


def main() -> None:
    """Write the golden file."""
    data_folder = Path(os.environ["GLASSBOOK_DATA"])
    encoding = local_gpt2(data_folder / "tokenizers" / "gpt2")
    texts = [(name, text, True) for name, text in shipped_texts()]
    texts += [(name, text, False) for name, text in shared_texts(data_folder)]
    golden = {
        "oracle": f"tiktoken {version('tiktoken')}",
        "texts": [summary(name, text, encoding.encode_ordinary(text), shipped) for name, text, shipped in texts],
        "odd": [
            {
                "text": text,
                "ids": encoding.encode_ordinary(text),
                "ids_with_special": encoding.encode(text, allowed_special="all"),
            }
            for text in ODD_STRINGS
        ],
    }
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")
    total = sum(row["n_bytes"] for row in golden["texts"])
    print(f"{GOLDEN.name}: {len(golden['texts'])} texts of {total:,} bytes in all, {len(golden['odd'])} odd strings")


if __name__ == "__main__":
    main()
