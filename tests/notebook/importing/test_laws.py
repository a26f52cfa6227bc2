"""What every import keeps, over generated pages: nothing is lost, every old anchor leads on, twice changes nothing."""

import gzip
import json
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.importing import pages
from glassbook.notebook.importing.cutting import MOVED
from notebook.importing.bringing import again, bring, everything, words_in_entries, words_of
from notebook.importing.strategies import BLOCKS, HEADINGS, INLINE, ITEMS, Words, fill, long_pages, page_of_everything

EXAMPLES = Path(os.environ.get("GLASSBOOK_DATA", "")) / "markdown" / "commonmark_spec_0.31.2.json.gz"
few = settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
_ADDRESS = re.compile(r"https://[\w.]+/[^\s)\"<>]*w\d{4}x[^\s)\"<>]*")
_ID = re.compile(r"(?:id|name)=\"(w\d{4}x)\"|\{#(w\d{4}x)\}")


@few
@given(long_pages())
def test_every_word_of_a_page_stands_in_exactly_one_entry(text):
    with TemporaryDirectory() as folder:
        brought = bring(Path(folder), text)
        before, after = words_of(text), words_in_entries(brought)
        # A note that two entries refer to stands in both; all else is there as often as before.
        assert {word: after[word] for word in before} == dict(before)
        assert set(after) == set(before)


@few
@given(long_pages())
def test_every_address_and_every_id_of_a_page_stands_in_the_text_of_one_entry(text):
    with TemporaryDirectory() as folder:
        brought = bring(Path(folder), text)
        bodies = "\n".join(MOVED.sub("", entry.body) for entry in brought.notebook.entries)
        assert sorted(_ADDRESS.findall(bodies)) == sorted(_ADDRESS.findall(text))
        named = [first or second for first, second in _ID.findall(text)]
        assert sorted(first or second for first, second in _ID.findall(bodies)) == sorted(named)


@few
@given(long_pages())
def test_every_page_is_rendered_without_a_fault_and_every_old_anchor_leads_to_a_place_that_is_there(text):
    with TemporaryDirectory() as folder:
        brought = bring(Path(folder), text)
        rendered = brought.rendered()
        page = next(entry for entry in brought.notebook.entries if entry.kind == "page" and entry.slug == "page")
        ids = rendered["pages/page.md"].anchors
        assert {first or second for first, second in _ID.findall(text)} <= ids
        leads = re.findall(r"\]\(\.\./([\w-]+/[^)#]+\.md)(?:#([^)]+))?\)", "".join(MOVED.findall(page.body)))
        for target, anchor in leads:
            assert target in rendered
            assert not anchor or anchor in rendered[target].anchors


@few
@given(long_pages())
def test_importing_twice_changes_no_byte_and_the_source_is_never_touched(text):
    with TemporaryDirectory() as folder:
        brought = bring(Path(folder), text)
        source, root = everything(Path(folder, "source")), everything(brought.root)
        report = again(brought, Path(folder, "source", "page.md"))
        assert set(report.states) == {"unchanged"}
        assert everything(brought.root) == root
        assert everything(Path(folder, "source")) == source


@pytest.mark.slow
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(long_pages())
def test_all_of_this_over_many_pages(text):
    test_every_word_of_a_page_stands_in_exactly_one_entry.hypothesis.inner_test(text)
    test_every_address_and_every_id_of_a_page_stands_in_the_text_of_one_entry.hypothesis.inner_test(text)
    test_importing_twice_changes_no_byte_and_the_source_is_never_touched.hypothesis.inner_test(text)
    rendered = test_every_page_is_rendered_without_a_fault_and_every_old_anchor_leads_to_a_place_that_is_there
    rendered.hypothesis.inner_test(text)


def test_a_page_of_every_construct_in_every_collection_keeps_the_laws_and_gives_every_kind_of_entry(tmp_path):
    text = page_of_everything()
    brought = bring(tmp_path, text)
    assert set(brought.report.counts) == {"page", "paper", "term", "log", "achievement", "meeting", "post", "project"}
    assert words_in_entries(brought) == words_of(text)
    assert brought.rendered()


# A heading that becomes a title leaves the text, so the loss of its words cannot be planted there.
_TITLE = '<span id="nov-2023-feb-2024">{0} & {1}</span>'
PLANTED = [
    *INLINE,
    *BLOCKS,
    *(f"- {item}" for item in ITEMS),
    *(f"# {heading}" for heading in HEADINGS if heading != _TITLE),
]


@pytest.mark.parametrize("pattern", PLANTED)
def test_control_a_planted_loss_of_any_construct_is_refused_and_nothing_is_written(tmp_path, monkeypatch, pattern):
    lost = fill(pattern, Words())
    text = f"Before.\n\n{lost}\n\nAfter.\n"
    assert bring(tmp_path / "kept", text).report.counts["page"] == 1
    word = next(iter(words_of(lost)), lost)
    _plant(monkeypatch, lambda line: "" if word in line and "moved" not in line else line)
    with pytest.raises(NotebookError, match="would not keep the law"):
        bring(tmp_path / "lost", text)
    assert not (tmp_path / "lost" / "notebook" / "entries").exists()


@pytest.mark.parametrize(
    ("mark", "worse"),
    [
        ("*", ""),
        ("**", "*"),
        ("`", ""),
        ("](https", "](http"),
        ("![", "["),
        ("$", ""),
        ("id=", "class="),
        ("<!--", "<!-- not"),
        ("[^n]", ""),
        ("<br>", ""),
        ("w0001x", "w0002x"),
    ],
)
def test_control_what_is_lost_without_a_word_is_refused_too(tmp_path, monkeypatch, mark, worse):
    text = (
        '*a* **b** `c` [d](https://e.org) ![f](https://g.org/h.png) $i$ <span id="j">k</span> <!-- l --> m[^n]<br> w0001x\n\n'
        "[^n]: note\n"
    )
    bring(tmp_path / "kept", text)
    _plant(monkeypatch, lambda line: line.replace(mark, worse))
    with pytest.raises(NotebookError, match="would not keep the law"):
        bring(tmp_path / "lost", text)


def _plant(monkeypatch, change) -> None:
    real = pages.cut

    def careless(*arguments: object, **options: object) -> list[str]:
        return ["\n".join(map(change, body.split("\n"))) for body in real(*arguments, **options)]

    monkeypatch.setattr(pages, "cut", careless)


def test_control_what_stands_twice_is_refused_too(tmp_path, monkeypatch):
    real = pages.cut
    monkeypatch.setattr(pages, "cut", lambda *given, **options: [body + body for body in real(*given, **options)])
    with pytest.raises(NotebookError, match="more than once"):
        bring(tmp_path, "One sentence.\n")


def test_control_an_old_id_that_would_lead_nowhere_is_refused(tmp_path, monkeypatch):
    real = pages.cut

    def careless(*arguments: object, **options: object) -> list[str]:
        return [body.replace('<a id="meeting-with-a-friend"></a>', "") for body in real(*arguments, **options)]

    monkeypatch.setattr(pages, "cut", careless)
    with pytest.raises(NotebookError, match="meeting-with-a-friend would lead nowhere"):
        bring(tmp_path, "# Page\n\n## People\n\n### Meeting with a friend\n\nGood.\n")


@pytest.mark.slow
@pytest.mark.skipif(
    not EXAMPLES.is_file(), reason="GLASSBOOK_DATA names no folder that holds the examples of CommonMark"
)
def test_every_example_of_commonmark_is_imported_without_a_loss(tmp_path):
    examples = [row["markdown"] for row in json.loads(gzip.decompress(EXAMPLES.read_bytes()))]
    examples = [text for text in examples if text.strip() and not text.startswith(("---", "+++"))]
    files: dict[str, str | bytes] = {f"pages/{number}.md": text for number, text in enumerate(examples)}
    assert bring(tmp_path, files, "pages").report.counts["page"] == len(examples) > 600
