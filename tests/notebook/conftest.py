"""A small notebook to work on."""

from pathlib import Path

import pytest

FILES = {
    "glassbook.toml": '[notebook]\ntitle = "Small"\n',
    "entries/terms/residual-stream.md": (
        "---\ntitle: Residual stream\nkind: term\naliases: [stream, the stream]\nlevel: 2\n"
        "definition: The sum that every part reads and writes.\n---\n\nSee [[attention heads]] and [@one2020].\n"
    ),
    "entries/terms/attention-head.md": (
        "---\ntitle: Attention head\nkind: term\nlevel: 3\ndefinition: One of the parallel attentions.\n---\n\n"
        "## How it works\n\nIt reads from the [[residual stream|stream]].\n"
    ),
    "entries/posts/hello.md": "# Hello\n\nA post without front matter.\n",
    "entries/meetings/secret.md": "---\ntitle: Secret talk\nkind: meeting\nprivate: true\n---\n\nNobody reads this.\n",
    "entries/assets/dot.png": "not really a picture",
    "entries/refs.bib": "@article{one2020,\n  title = {One},\n  author = {Someone, Some},\n  year = {2020},\n}\n",
}


def write_files(root: Path, files: dict[str, str]) -> Path:
    """Write texts into files below a folder and return the folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return the folder of a small notebook: two terms, a post, a private meeting, a picture and one reference."""
    return write_files(tmp_path / "small", FILES)
