"""Labelled texts: parts that share no text, and one sentence about everything else."""

import json

import pytest

from glassbook.core.errors import FileFormatError, InputError, SourceError
from glassbook.features.metrics.labelled_texts import BOOKS, TEST, TRAIN, labelled_at_hand, list_labelled, load_labelled
from glassbook.sources.known import known
from glassbook.sources.labelled import LABELLED, LICENCE


def written(path, rows) -> str:
    """Return the path of a JSON-lines file of rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_the_books_are_at_hand_and_no_passage_is_in_both_parts():
    books = load_labelled(BOOKS)
    assert BOOKS in labelled_at_hand() and books.names == ["alice", "oz", "willows"]
    parts = {part: {books.texts[i] for name in books.names for i in books.places(name, part)} for part in (TRAIN, TEST)}
    assert not parts[TRAIN] & parts[TEST] and min(map(len, parts.values())) > 200
    assert all(len(books.places(name, part)) >= 40 for name in books.names for part in (TRAIN, TEST))
    assert load_labelled(BOOKS).sha256 == books.sha256


def test_a_file_without_parts_is_cut_by_its_texts_alone(tmp_path):
    rows = [{"text": f"text {number}", "label": number % 2} for number in range(60)]
    first = load_labelled(written(tmp_path / "one.jsonl", rows))
    again = load_labelled(written(tmp_path / "two.jsonl", rows[::-1] + rows[:7]))
    told = [dict(zip(one.texts, one.parts, strict=True)) for one in (first, again)]
    assert told[0] == told[1] and set(told[0].values()) == {TRAIN, TEST}
    assert first.classes[:2] == ("0", "1") and first.sha256 != again.sha256


def test_its_own_parts_are_kept_and_what_is_learned_from_is_not_tested_on(tmp_path):
    rows = [
        {"text": f"{part} {number}", "label": f"is {number % 2}", "split": part}
        for part in (TRAIN, TEST, "dev")
        for number in range(6)
    ]
    found = load_labelled(written(tmp_path / "own.jsonl", [*rows, {**rows[0], "split": TEST}]))
    assert len(found.texts) == 12 and set(found.parts) == {TRAIN, TEST}
    assert found.places("is 1", TEST) == [7, 9, 11]


def test_what_is_no_set_of_two_classes_is_refused(tmp_path, monkeypatch):
    one = [{"text": f"text {number}", "label": "a"} for number in range(30)]
    with pytest.raises(InputError, match="one class, 'a'"):
        load_labelled(written(tmp_path / "one.jsonl", one))
    with pytest.raises(InputError, match="no text"):
        load_labelled(written(tmp_path / "none.jsonl", []))
    with pytest.raises(InputError, match="0 texts of the class 'b' in its test part"):
        rows = [{"text": f"{i}", "label": "ab"[i % 2], "split": TRAIN} for i in range(8)]
        load_labelled(
            written(
                tmp_path / "few.jsonl",
                [*rows, *({**r, "text": "t" + r["text"], "label": "a", "split": TEST} for r in rows)],
            )
        )
    for wrong in ({"label": 1}, {"text": 3, "label": 1}, ["text", "label"]):
        with pytest.raises(FileFormatError, match="row 1 of"):
            load_labelled(written(tmp_path / "wrong.jsonl", [wrong]))
    with pytest.raises(InputError, match="known: books"):
        load_labelled("nowhere")
    monkeypatch.delenv("GLASSBOOK_DATA", raising=False)
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SourceError, match="put the file at"):
        load_labelled("subjectivity")


def test_sets_that_may_not_be_passed_on_say_so_and_nobody_fetches_them():
    assert set(LABELLED) < set(list_labelled())
    for name in LABELLED:
        assert known(name).licence == LICENCE and known(name).url is None
