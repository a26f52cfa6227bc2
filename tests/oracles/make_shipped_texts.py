"""Rebuild the three texts in `src/glassbook/text/data` from the shared set of classic books.

Run with GLASSBOOK_DATA naming the data folder: `python tests/oracles/make_shipped_texts.py`. Each line of a file is one
chapter: its heading as `title`, what follows as `text`, without Markdown's marks and without blanks at line ends.
"""

import json
import lzma
import os
import re
from dataclasses import dataclass
from pathlib import Path

SOURCE = "text/classic_books_young.jsonl.xz"
TARGET = Path(__file__).parents[2] / "src" / "glassbook" / "text" / "data"


@dataclass(frozen=True)
class Excerpt:
    """One book, how its chapters are headed, and how many of them are taken."""

    title: str
    heading: str
    n_chapters: int


EXCERPTS = {
    "alice": Excerpt("Alice's Adventures in Wonderland", r"^## +(.+)$", 8),
    "oz": Excerpt("The Wonderful Wizard of Oz", r"^### +(\d+\. .+)$", 11),
    "willows": Excerpt("The Wind in the Willows", r"^## +(.+)$", 4),
}


def rows(excerpt: Excerpt, book: str) -> str:
    """Return the JSON lines of the first chapters of `book`."""
    parts = re.split(excerpt.heading, book, flags=re.MULTILINE)[1:]
    lines = []
    for title, text in list(zip(parts[::2], parts[1::2], strict=True))[: excerpt.n_chapters]:
        plain = re.sub(r"^#+ +", "", re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
        row = {"title": title.strip(), "text": plain.strip() + "\n"}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines)


def build(data_folder: Path) -> dict[str, str]:
    """Return what each shipped file should hold, by name."""
    with lzma.open(data_folder / SOURCE, "rt", encoding="utf-8") as stream:
        books = {row["title"]: row["text"] for row in map(json.loads, stream)}
    return {name: rows(excerpt, books[excerpt.title]) for name, excerpt in EXCERPTS.items()}


if __name__ == "__main__":
    for name, content in build(Path(os.environ["GLASSBOOK_DATA"])).items():
        (TARGET / f"{name}.jsonl").write_text(content, encoding="utf-8")
        print(f"{name}.jsonl: {len(content.encode()):,} bytes")
