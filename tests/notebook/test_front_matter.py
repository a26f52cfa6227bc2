"""Front matter comes back as it was written, and what cannot be read is told with its line."""

import datetime

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.front_matter import join_front_matter, split_front_matter

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30)
VALUE = st.recursive(
    TEXT | st.integers() | st.booleans() | st.dates() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
BODY = st.text(st.characters(codec="utf-8", exclude_characters="\r\ufeff", exclude_categories=("Cs",))).map(str.strip)


@given(st.dictionaries(TEXT, VALUE, max_size=5), BODY)
@example({}, "---\nA line, then text")
@example({"a": "2308.10248", "b": "no", "c": "012", "d": "12:30", "e": "2026-11-23", "f": "", "g": "~"}, "Body")
def test_fields_and_body_come_back_as_they_were_written(fields, body):
    found, text, line = split_front_matter(join_front_matter(fields, body))
    assert (found, list(found), text) == (fields, list(fields), body)
    assert join_front_matter(fields, body).split("\n")[line - 1 :] == body.split("\n") or not body


@pytest.mark.parametrize(
    "written, read",
    [
        ("1312.6110", "1312.6110"),
        ("012", "012"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("no", "no"),
        ("<<", "<<"),
        ("2023", 2023),
        ("-4", -4),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("2026-11-23", datetime.date(2026, 11, 23)),
        ("2026-11-23 10:11:12", datetime.datetime(2026, 11, 23, 10, 11, 12)),
        ("'2026-11-23'", "2026-11-23"),
        ("[no, 1.0, {on: off}]", ["no", "1.0", {"on": "off"}]),
    ],
)
def test_a_value_is_what_its_writer_sees(written, read):
    (found,) = split_front_matter(f"---\nvalue: {written}\n---\n")[0].values()
    assert (found, type(found)) == (read, type(read))


def test_a_text_without_fields_is_all_body():
    assert split_front_matter("# Title\n\nText.") == ({}, "# Title\n\nText.", 1)
    assert split_front_matter("") == ({}, "", 1)
    assert split_front_matter("---\n---\n\nText.") == ({}, "Text.", 4)


@pytest.mark.parametrize("begin", ["\ufeff", ""])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_byte_order_mark_and_other_line_ends_change_nothing(begin, end):
    text = begin + end.join(["---", "title: One", "date: 2026-11-23", "---", "", "Body", "more"])
    assert split_front_matter(text) == ({"title": "One", "date": datetime.date(2026, 11, 23)}, "Body\nmore", 6)


@pytest.mark.parametrize(
    "rows, line, said",
    [
        ("title: One\ntitle: Two", 3, "'title' stands twice"),
        ("title: One\ntags: [a, b", 3, "not YAML"),
        ("title: a: b", 2, "not YAML"),
        ("title: !!python/object/apply:os.system [ls]", 2, "asks for more than plain values"),
        ("a: &a [x]\nb: *a", 3, "'*a' repeats"),
        ("date: 2026-13-45", 2, "'2026-13-45' is no date"),
        ("- one\n- two", 2, "holds no fields"),
        ("{a: b}: c", 2, "not YAML"),
        ("title: \x07", 1, "not YAML"),
        ("one: 1\ntitle: a: b", 3, "put a value that holds a colon in quotes"),
        ("one: 1\ntitle: @b", 3, "put the value in quotes"),
        ("one: 1\n1: one\n'1': two", 4, "'1' stands twice"),
        ("one: {a: 1, a: 2}", 2, "'a' stands twice"),
        ("day: !!binary aGk=", 2, "asks for more than plain values"),
        ("one: 1\ntext: !own x", 3, "asks for more than plain values"),
        ("one: 1\nmany: " + "[" * 100_000, 3, "lists lie 16 deep"),
        ("many:\n  " + "- " * 20_000 + "x", 3, "lists lie 16 deep"),
        ("long: " + "x" * 200_000, 1, "over 200,000 characters"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(rows, line, said):
    with pytest.raises(NotebookError) as told:
        split_front_matter(f"---\n{rows}\n---\nBody", "entries/a.md")
    assert str(told.value).startswith(f"entries/a.md:{line}: ")
    assert said in str(told.value)


def test_control_fifteen_lists_in_each_other_are_read():
    assert str(split_front_matter(f"---\na: {'[' * 15}{']' * 15}\n---\n")[0]["a"]) == "[" * 15 + "]" * 15


def test_front_matter_without_an_end_is_refused():
    with pytest.raises(NotebookError, match=r"x\.md:1: .* has no end"):
        split_front_matter("---\ntitle: One\n", "x.md")


def test_aliases_cannot_unfold_into_more_than_a_machine_holds():
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    with pytest.raises(NotebookError, match="repeats a value"):
        split_front_matter("---\n" + "\n".join(rows) + "\n---\n")
    assert split_front_matter("---\ntitle: 2 * 3 and *emphasis*\n---\n")[0] == {"title": "2 * 3 and *emphasis*"}, (
        "control"
    )
    assert yaml.safe_load("a: &a [x]\nb: *a") == {"a": ["x"], "b": ["x"]}, "control: plain YAML would have followed it"
