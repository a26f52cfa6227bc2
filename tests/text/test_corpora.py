"""Corpora: where the documents come from, under which licence, and the checksum of what was read."""

import gzip
import hashlib
import json
import lzma
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassbook.core.errors import FileFormatError, InputError, SourceError
from glassbook.text.corpora import KNOWN, SHIPPED, Corpus, list_corpora, open_corpus
from oracles.gpt2_texts import SHIPPED as FOLDER
from oracles.make_shipped_texts import build

DATA = os.environ.get("GLASSBOOK_DATA")
documents = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=6)


def _sources() -> dict[str, list[str]]:
    lines = (FOLDER / "SOURCES.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[2:]}


def test_the_list_of_sources_is_true_of_the_bytes() -> None:
    rows = _sources()
    assert set(rows) == {path.name for path in FOLDER.iterdir()} - {"SOURCES.md"}
    for name, row in rows.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == row[-1], name
        assert all(row), f"{name} lacks a licence or an origin"


def test_the_shipped_books_say_who_wrote_them_when_and_under_which_licence() -> None:
    rows = _sources()
    for name, info in SHIPPED.items():
        assert rows[f"{name}.jsonl"][:5] == [info.title, info.author, str(info.year), info.licence, info.origin]


def test_the_shipped_books_are_small_and_whole_chapters() -> None:
    assert sum((FOLDER / f"{name}.jsonl").stat().st_size for name in SHIPPED) <= 400_000
    for name in SHIPPED:
        for chapter in open_corpus(name):
            assert chapter.endswith("\n") and chapter.strip()[-1] in ".!?'\"*", chapter[-40:]
            assert not any(line.startswith("#") or line != line.rstrip() for line in chapter.split("\n"))


@pytest.mark.skipif(not DATA, reason="GLASSBOOK_DATA names no data folder")
def test_the_recipe_rebuilds_the_shipped_books() -> None:
    for name, content in build(Path(str(DATA))).items():
        assert (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8") == content


@given(documents)
def test_the_checksum_is_of_the_documents_and_not_of_how_they_came(texts: list[str]) -> None:
    listed, read = open_corpus(texts), open_corpus(iter(texts))
    assert list(read) == texts
    assert listed.sha256 == read.sha256
    digest = hashlib.sha256()
    for text in texts:
        digest.update(len(text.encode()).to_bytes(8, "little") + text.encode())
    assert listed.sha256 == digest.hexdigest()


def test_the_checksum_tells_two_documents_from_one_and_one_order_from_another() -> None:
    assert len({open_corpus(texts).sha256 for texts in (["ab"], ["a", "b"], ["b", "a"], ["", "ab"])}) == 4


def test_the_same_rows_have_one_checksum_plain_or_packed(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": text}) + "\n" for text in ("one", "two 🙂", "")).encode()
    (tmp_path / "a.jsonl").write_bytes(rows)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(rows))
    (tmp_path / "a.jsonl.xz").write_bytes(lzma.compress(rows))
    found = [open_corpus(tmp_path / name) for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.xz")]
    assert {corpus.sha256 for corpus in found} == {open_corpus(["one", "two 🙂", ""]).sha256}
    assert (found[0].name, found[0].licence) == ("a.jsonl", "unknown")


def test_a_text_file_is_one_document_with_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\n")
    (tmp_path / "b.txt.xz").write_bytes(lzma.compress("één\n".encode()))
    assert list(open_corpus(tmp_path / "a.txt")) == ["one\r\ntwo\n"]
    assert list(open_corpus(str(tmp_path / "b.txt.xz"))) == ["één\n"]


def test_a_limit_takes_the_first_documents_and_is_part_of_the_checksum() -> None:
    whole, two = open_corpus("alice"), open_corpus("alice", limit=2)
    assert list(two) == list(whole)[:2]
    assert two.sha256 != whole.sha256
    assert list(open_corpus(two, limit=1)) == list(whole)[:1]
    assert list(open_corpus(two)) == list(two)


def test_a_corpus_is_read_as_often_as_wanted_save_an_iterator() -> None:
    corpus = open_corpus(["a", "b"])
    assert list(corpus) == list(corpus) == ["a", "b"]
    once = open_corpus(text for text in ("a", "b"))
    assert list(once) == ["a", "b"]
    with pytest.raises(InputError, match="give a list"):
        list(once)


@pytest.mark.parametrize("source", ["alise", "no such.txt", "Just some words."])
def test_a_name_that_is_nothing_is_refused_with_what_there_is(source: str) -> None:
    with pytest.raises(InputError, match="alice, oz, willows"):
        open_corpus(source)


@pytest.mark.parametrize(
    ("texts", "said"), [([], "no document"), ([3], "type int"), (["a", "\ud800"], "document 1"), ([b"a"], "type bytes")]
)
def test_what_is_no_text_is_refused_by_its_number(texts: list, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(Corpus(SHIPPED["alice"], lambda: texts))


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        open_corpus("alice", limit=0)


def test_a_row_without_text_is_refused_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n{"words": "none"}\n')
    with pytest.raises(FileFormatError, match="row 2"):
        list(open_corpus(tmp_path / "a.jsonl"))


def test_the_list_names_every_corpus_with_licence_and_origin() -> None:
    found = list_corpora()
    assert [info.name for info in found] == [*SHIPPED, *KNOWN]
    assert all(info.licence and info.origin for info in found)


@pytest.mark.skipif(not DATA, reason="GLASSBOOK_DATA names no data folder")
def test_a_known_corpus_is_read_from_the_data_folder() -> None:
    found = open_corpus("wikitext2_valid")
    assert [len(text) for text in found] == [1_120_192]
    assert "CC-BY-SA" in found.licence
    assert len(list(open_corpus("classic_books_young", limit=2))) == 2


def test_a_known_corpus_that_cannot_be_had_says_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSBOOK_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SourceError, match=r"classic_books_young\.jsonl\.xz"):
        open_corpus("classic_books_young")
