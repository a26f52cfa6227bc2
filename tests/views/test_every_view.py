"""One suite over every registered view: JSON, static form, hostile and missing data."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import FileFormatError, GlassbookError
from glassbook.views import VIEWS, Series, TokenStrip, View, json_schema, read_view
from views.html_checks import check, text_of
from views.samples import SAMPLES

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\"' onmouseover=alert(1) x='",
    "</title></style></svg></table></p>",
    "&lt;b&gt; &amp; <!-- ",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "\x00\x1b[31m",
    "日本語 é 🙂 \U0001d54f",
    "\ud83d",
]


def rewrite(view: View, text=None, number=None, keep=("title", "caption")) -> View:
    """Return the view with every string, or every number, replaced; titles are kept where the strings stay."""

    def change(value, name=""):
        if isinstance(value, str) and text is not None:
            return text
        if isinstance(value, float | int) and not isinstance(value, bool) and number is not None and name in NUMBERS:
            return number
        if isinstance(value, msgspec.Struct):
            return msgspec.structs.replace(value, **{k: change(getattr(value, k), k) for k in value.__struct_fields__})
        if isinstance(value, tuple):
            return tuple(change(item, name) for item in value)
        return value

    return change(view)


NUMBERS = {
    "values", "strength", "fluency", "unsteered", "steered", "flipped", "prompt_only", "randoms", "x", "y", "low", "high",
    "pattern", "wall_s", "cpu_s", "peak_mb", "flop", "rows",
    "effects", "costs", "effect", "cost", "budget", "steered_range", "flipped_range", "prompt_range", "value", "each_seed",
}  # fmt: skip


def emptied(view: View) -> View:
    """Return the view with every sequence empty."""
    fields = {name: () for name in view.__struct_fields__ if isinstance(getattr(view, name), tuple)}
    return msgspec.structs.replace(view, **fields)


def words(html: str) -> Iterator[str]:
    yield from text_of(html).split()


@pytest.fixture(params=sorted(VIEWS))
def view(request) -> View:
    assert request.param in SAMPLES, f"no sample of the view '{request.param}'; add one to tests/views/samples.py"
    return SAMPLES[request.param]


def test_every_view_is_filed_under_its_own_tag(view):
    assert VIEWS.find(view.tag) is type(view)
    assert json.loads(view.to_json())["view"] == view.tag


def test_a_view_equals_its_own_json_read_back(view):
    assert read_view(view.to_json()) == view
    assert read_view(view.to_json()).html() == view.html()


def test_control_a_view_with_another_title_differs(view):
    other = msgspec.structs.replace(view, title="another")
    assert read_view(other.to_json()) != view
    assert other.html() != view.html()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), None, 1e308, 5e-324, numpy.float32(0.5)])
def test_numbers_that_json_cannot_write_survive_it_and_are_drawn_in_words(view, number):
    strange = rewrite(view, number=number) if number is not None else view
    assert read_view(strange.to_json()) == strange
    assert not check(strange.html()).faults
    for forbidden in ("nan", "inf", "None"):
        assert forbidden not in list(words(strange.html()))
        assert not any(
            forbidden in value.split() or f"{forbidden}%" in value for value in check(strange.html()).attributes
        )


def test_control_the_check_for_bare_nan_finds_one():
    assert "nan" in list(words("<p>a nan here</p>"))


def test_the_static_form_is_the_same_text_every_time(view):
    assert view.html() == view.html() == read_view(view.to_json()).html()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_are_shown_literally(view, text):
    hostile = rewrite(view, text=text)
    checked = check(hostile.html())
    assert not checked.faults
    shown = "".join(checked.text)
    assert hostile.title in shown and hostile.caption in shown
    assert read_view(hostile.to_json()) == hostile


def test_control_the_checker_finds_what_escaping_prevents():
    assert check("<p><img src=x></p>").faults
    assert check("<p><b></p></b>").faults
    assert check("<p><div></div></p>").faults
    assert check("<p onclick='x'>a</p>").faults
    assert check("<p>").faults
    assert check("<p style='background:url(x)'>a</p>").faults
    assert not check("<p>&lt;img src=x&gt;</p>").faults


@settings(max_examples=15)
@given(st.text(max_size=12), st.floats(allow_nan=True))
def test_any_text_and_any_number_make_well_formed_html(text, number):
    for view in SAMPLES.values():
        strange = rewrite(rewrite(view, text=text), number=number)
        assert not check(strange.html().replace(text, "") if "http" in text else strange.html()).faults
        assert read_view(strange.to_json()) == strange


def test_html_is_well_formed_and_asks_for_nothing_outside(view):
    checked = check(view.html())
    assert checked.faults == []
    assert checked.text


def test_title_and_caption_are_shown(view):
    shown = text_of(view.html())
    assert view.title and view.title in shown
    assert view.caption and view.caption in shown


def test_a_view_without_data_says_so(view):
    html = emptied(view).html()
    assert not check(html).faults
    if view.tag != "control-distribution":
        assert "There is no data to draw" in html


def test_control_a_view_with_data_does_not_say_so(view):
    assert "There is no data to draw" not in view.html()


def test_the_schema_names_every_view_and_its_fields():
    schema = json_schema()
    text = json.dumps(schema)
    assert len(schema["anyOf"]) == len(list(VIEWS))
    for tag, view in SAMPLES.items():
        assert f'"{tag}"' in text
        assert all(f'"{name}"' in text for name in view.__struct_fields__)


def test_numpy_values_become_plain_ones():
    made = TokenStrip(
        title="t", caption="c", tokens=["a", "b"], values=numpy.array([0.5, numpy.nan], dtype=numpy.float32)
    )
    assert made.values == (0.5, "NaN")
    assert Series(name="s", x=range(2), y=numpy.arange(2)).y == (0, 1)
    assert read_view(made.to_json()) == made


def test_a_set_is_written_in_one_order_in_every_process():
    said = set()
    for seed in range(4):
        script = "from glassbook.views.view import plain; print(plain({'c', 'a', 'b', 10, 9}), *{'c', 'a', 'b'})"
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
        )
        said.add(tuple(run.stdout.split(") ")))
    assert {ordered for ordered, _ in said} == {"(9, 10, 'a', 'b', 'c'"}
    assert len({control for _, control in said}) > 1


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"{", b'{"view": 1}', b'{"view": "table", "title": 1}', b"\xff"])
def test_json_that_is_no_view_is_refused_in_one_sentence(data):
    with pytest.raises(FileFormatError, match="not the JSON of a view"):
        read_view(data)


def test_an_unknown_kind_of_view_is_refused_by_name():
    with pytest.raises(GlassbookError, match="did you mean 'table'"):
        read_view(b'{"view": "tabel"}')


def test_a_field_that_no_view_has_is_refused():
    data = json.loads(SAMPLES["table"].to_json()) | {"columns_": []}
    with pytest.raises(FileFormatError, match="columns_"):
        read_view(json.dumps(data).encode())
