"""All faults of a text are told at once, each with its place and the nearest right name."""

import pytest

from glassbook.core.errors import GlassbookError
from glassbook.notebook.faults import NotebookError, NotebookFaults
from glassbook.notebook.markdown import render
from notebook.markdown.known import Known

TEXT = """## One

A [[gtp-2]] and [@radford2091],
and {{claim unknown}} with $\\foo$.

> [!note] Title
> {{claims x}}

![x](a.png "of [[gtp-2]]")

| a |
|---|
| [y](#nowhere) |

x[^1]

[^1]: [[none]]
"""


def test_every_fault_is_told_once_in_the_order_of_lines() -> None:
    with pytest.raises(NotebookFaults) as told:
        render(TEXT, Known(), path="entries/a.md", first_line=11)
    assert str(told.value).splitlines() == [
        "entries/a.md:13: no entry is called 'gtp-2'; did you mean 'gpt-2'?",
        "entries/a.md:13: no reference is called 'radford2091'; did you mean 'radford2019'?",
        "entries/a.md:14: no claim is called 'unknown'; did you mean 'known'?",
        "entries/a.md:14: the formula '\\foo' cannot be set: undefined control sequence: \\foo",
        "entries/a.md:17: no live piece is called 'claims'; did you mean 'claim'? Plain text goes between backticks",
        "entries/a.md:19: no entry is called 'gtp-2'; did you mean 'gpt-2'?",
        "entries/a.md:23: no place on this page is called '#nowhere'; correct the link, or give that place an id",
        "entries/a.md:27: no entry is called 'none'",
    ]


def test_faults_are_errors_a_person_is_meant_to_read_and_may_be_gathered() -> None:
    one, two = NotebookError("this is wrong", path="a.md", line=3), NotebookError("so is that")
    both = NotebookFaults([one, NotebookFaults([two, one])])
    assert isinstance(both, GlassbookError) and both.faults == (one, two, one)
    assert str(both) == "a.md:3: this is wrong\nso is that\na.md:3: this is wrong"
    assert str(two.at("b.md", 7)) == "b.md:7: so is that" and str(one.at("b.md", 7)) == str(one)


def test_quotes_too_deep_to_be_read_are_a_fault_and_lose_nothing_before() -> None:
    with pytest.raises(NotebookError, match="100 deep"):
        render("> " * 100 + "x", Known(), path="a.md")
    assert render("> " * 98 + "x", Known(), path="a.md").text == "x"


def test_a_text_without_fault_has_none() -> None:
    assert render("## One\n\n[[GPT-2]] [y](#one)", Known(), path="a.md").unresolved == ()
