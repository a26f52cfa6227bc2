"""All examples of the CommonMark specification 0.31.2: read bare, read with all that we add, and on a whole page."""

import gzip
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it.renderer import RendererHTML

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown.parser import commonmark, notebook_parser
from notebook.markdown.known import page

# The specification is CC BY-SA 4.0, which our own licence does not allow us to carry along.
EXAMPLES = Path(os.environ.get("GLASSBOOK_DATA", "")) / "markdown" / "commonmark_spec_0.31.2.json.gz"

# What an addition of ours means to read in another way.
READ_OTHERWISE = {
    548: "[[foo]] is a link to an entry",
    559: "[[*foo* bar]] is a link to an entry",
    590: "[[foo]] is a link to an entry",
}
# What a page shows otherwise, beside those.
SHOWN_OTHERWISE = {
    **READ_OTHERWISE,
    **dict.fromkeys((170, 172, 176, 178), "scripts and styles are no text"),
    173: "a style that never ends is a fault",
    501: "a link to a place that the page lacks is a fault",
    626: "a comment is no text",
    180: "a processing instruction is no text",
    **dict.fromkeys((572, 573, 576, 577, 584, 585, 586, 588, 589, 591), "the title of a picture alone is its caption"),
}


@pytest.fixture(scope="module")
def examples() -> list[dict[str, str]]:
    if not os.environ.get("GLASSBOOK_DATA") or not EXAMPLES.exists():
        pytest.skip("GLASSBOOK_DATA names no folder that holds markdown/commonmark_spec_0.31.2.json.gz")
    return json.loads(gzip.decompress(EXAMPLES.read_bytes()))


def test_the_parser_passes_all_652_examples_of_commonmark(examples: list[dict[str, str]]) -> None:
    assert len(examples) == 652
    wrong = [example["example"] for example in examples if commonmark().render(example["markdown"]) != example["html"]]
    assert wrong == []


def test_with_all_that_we_add_only_the_named_examples_are_read_otherwise(examples: list[dict[str, str]]) -> None:
    parser = notebook_parser()
    wrong = set()
    for example in examples:
        env: dict[str, object] = {}
        html = RendererHTML(parser).render(parser.parse(example["markdown"], env), parser.options, env)
        if html.replace("<blockquote></blockquote>", "<blockquote>\n</blockquote>") != example["html"]:
            wrong.add(example["example"])
    assert wrong == set(READ_OTHERWISE)


def test_a_page_shows_the_words_of_every_example_but_the_named_ones(examples: list[dict[str, str]]) -> None:
    wrong = set()
    for example in examples:
        try:
            shown = page(example["markdown"], lenient=True).html
        except NotebookError:
            shown = "<p>a fault</p>"
        if _words(shown) != _words(example["html"]):
            wrong.add(example["example"])
    assert wrong <= set(SHOWN_OTHERWISE), sorted(wrong - set(SHOWN_OTHERWISE))
    assert set(SHOWN_OTHERWISE) <= wrong, sorted(set(SHOWN_OTHERWISE) - wrong)


def _words(html: str) -> str:
    parser = _Words()
    # Left out: what a page adds around headings and code.
    parser.feed(re.sub(r'<a class="anchor".*?</a>|<div class="code-bar">.*?</div>', "", html))
    parser.close()
    return "".join("".join(parser.words).split())


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)
