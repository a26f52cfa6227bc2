"""Formulas: which text is one, how it is set, and what the engine is kept from."""

import hashlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import pytest

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown import katex
from glassbook.notebook.markdown.katex import Formulas
from glassbook.notebook.markdown.rendering import render
from notebook.markdown.known import Known, html, page

INLINE = ("$a_1 + b$", "\\(a_1 + b\\)", "\\\\(a_1 + b\\\\)", "$`a_1 + b`$")
DISPLAYED = (
    "$$a_1 + b$$",
    "\\[a_1 + b\\]",
    "\\\\[a_1 + b\\\\]",
    "$$\na_1 + b\n$$",
    "\\\\[\na_1\n+ b\n\\\\]",
    "$$ a_1\n+ b $$",
)
PROSE = (
    "costs $5 and $6",
    "between $5-$6 a month",
    "from $10k to $20k, or $30",
    "echo $HOME/bin and $PATH",
    "US$5 and US$6",
    "a $ b $ c",
    "\\$x\\$",
    "5$ and 6$",
    "$$",
    "$ x$",
    "an open $x",
    "\\(x",
    "\\\\[x",
    "()",
    "$\n\nx$",
)


@pytest.mark.parametrize("spelling", INLINE)
def test_every_spelling_in_a_sentence_is_the_same_formula(spelling: str) -> None:
    told = page(f"So {spelling} it is.")
    assert told.html == page("So $a_1 + b$ it is.").html
    assert told.has_maths and told.text == "So a_1 + b it is."


@pytest.mark.parametrize("spelling", DISPLAYED)
def test_every_spelling_on_lines_of_its_own_is_displayed(spelling: str) -> None:
    shown = html(spelling)
    assert shown.startswith('<div class="formula" tabindex="0"><span class="katex-display">')
    assert "<p>" not in shown and shown.count('class="katex"') == 1


@pytest.mark.parametrize("prose", PROSE)
def test_dollars_and_brackets_of_prose_are_no_formula(prose: str) -> None:
    assert not page(prose).has_maths
    assert page(f"{prose} and then\n\n$x$").has_maths


def test_prices_before_a_formula_stay_prices() -> None:
    told = page("It costs $5 and $6, and $x$ is less.")
    assert told.html.count('class="katex"') == 1 and "$5 and $6, and" in told.html


def test_a_formula_may_stand_at_a_word_and_hold_what_elsewhere_is_markup() -> None:
    assert html("the $n$th").count('class="katex"') == 1
    assert html("$a_b + c_d * e *$ [[x]]").count("<em>") == 0
    assert html("> $$\n> a\n> - b\n> $$").count("<li>") == 0
    assert html("- $$a$$\n- $b$").count('class="katex"') == 2


def test_a_displayed_formula_with_words_after_it_stays_in_its_paragraph() -> None:
    shown = html("$$x$$, where")
    assert shown.startswith("<p>") and 'class="katex-display"' in shown and shown.endswith(", where</p>")


def test_a_formula_is_set_without_a_script_and_with_its_meaning_beside_it() -> None:
    shown = html(r"$\frac{1}{2} < x$")
    assert "<math" in shown and '<annotation encoding="application/x-tex">\\frac{1}{2} &lt; x</annotation>' in shown
    assert "<script" not in shown and 'aria-hidden="true"' in shown


@pytest.mark.parametrize(
    ("tex", "told"),
    [
        (r"\foo", r"'\\foo' cannot be set: undefined control sequence: \\foo"),
        (r"\href{x}{y}", r"\\href is not allowed"),
        ("a & b", "expected 'EOF', got '&'"),
        (r"\def\x{\x\x}\x", "too many expansions"),
        ("{" * 3000, "cannot be set"),
        ("x" * 6000, "6,000 characters long; at most 5,000 are set"),
    ],
)
def test_a_formula_that_cannot_be_set_is_a_fault_with_its_line(tex: str, told: str) -> None:
    with pytest.raises(NotebookError, match=rf"^a\.md:12: the formula .*{told}"):
        render(f"x\n\nso ${tex}$", Known(), path="a.md", first_line=10)
    assert Formulas().html("x", display=False)


def test_an_engine_that_computes_without_end_is_stopped_and_the_next_formula_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(katex, "_SECONDS", 0.05)
    monkeypatch.setattr(katex, "_SET", katex._SET.replace("var tex =", "while (list.length > 40) {} var tex ="))
    monkeypatch.setattr(katex, "_engines", threading.local())
    with pytest.raises(NotebookError, match="costs more time or memory"):
        katex.set_formula("x" * 50, display=False)
    assert "katex" in katex.set_formula("x", display=False)


def test_an_engine_that_takes_all_memory_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(katex, "_BYTES", 16 << 20)
    hungry = "var all = []; while (list.length > 40) { all.push(new Array(10000).fill(1)) } var tex ="
    monkeypatch.setattr(katex, "_SET", katex._SET.replace("var tex =", hungry))
    monkeypatch.setattr(katex, "_engines", threading.local())
    with pytest.raises(NotebookError):
        katex.set_formula("x" * 50, display=False)
    assert "katex" in katex.set_formula("x", display=False)


def test_what_one_formula_defines_the_next_does_not_know() -> None:
    formulas = Formulas()
    assert formulas.html(r"\gdef\mine{y}\mine", display=False)
    with pytest.raises(NotebookError, match="undefined control sequence"):
        formulas.html(r"\mine", display=False)


def test_threads_set_formulas_side_by_side() -> None:
    tex = [f"x_{{{number}}}" for number in range(24)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda one: katex.set_formula(one, display=False), tex)) == [
            katex.set_formula(one, display=False) for one in tex
        ]


def test_a_formula_kept_on_disk_is_not_set_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Formulas(tmp_path).html("x^2", display=False)
    shown = Formulas(tmp_path).html("x^2", display=True)
    assert shown != first and len(list(tmp_path.rglob("*.html"))) == 2
    monkeypatch.setattr(katex, "set_formula", _refuse)
    assert Formulas(tmp_path).html("x^2", display=False) == first
    with pytest.raises(AssertionError, match="set again"):
        Formulas(tmp_path).html("x^3", display=False)


def _refuse(tex: str, display: bool) -> str:
    raise AssertionError("set again")


@pytest.mark.parametrize("damage", [b"", b"<span>", b"0" * 64 + b"\n<script>alert(1)</script>"])
def test_a_kept_formula_that_was_damaged_is_set_again(tmp_path: Path, damage: bytes) -> None:
    first = Formulas(tmp_path).html("x^2", display=False)
    kept = next(tmp_path.rglob("*.html"))
    whole = kept.read_bytes()
    kept.write_bytes(damage)
    assert Formulas(tmp_path).html("x^2", display=False) == first
    assert kept.read_bytes() == whole


def test_another_version_of_katex_does_not_believe_the_memory_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Formulas(tmp_path).html("x", display=False)
    monkeypatch.setattr(katex, "_version", lambda: "another")
    Formulas(tmp_path).html("x", display=False)
    assert len(list(tmp_path.rglob("*.html"))) == 2


BUILD = """
import sys
from pathlib import Path
from glassbook.notebook.markdown.katex import Formulas
formulas = Formulas(Path(sys.argv[1]))
print(sum(len(formulas.html(f"y_{number % 10}", display=False)) for number in range(40)))
"""


def test_two_builds_that_share_a_folder_leave_whole_formulas_and_nothing_else(tmp_path: Path) -> None:
    builds = [
        subprocess.Popen([sys.executable, "-c", BUILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (build.communicate(timeout=60)[0] for build in builds)
    assert first == second and int(first) > 1000 and all(build.returncode == 0 for build in builds)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) == 10 and all(path.suffix == ".html" for path in kept)
    for path in kept:
        stamp, _, html = path.read_bytes().partition(b"\n")
        assert stamp.decode() == hashlib.sha256(html).hexdigest()


def test_the_engine_writes_elements_that_end_where_they_must() -> None:
    depth = 0

    class Depth(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            nonlocal depth
            depth += 1

        def handle_endtag(self, tag: str) -> None:
            nonlocal depth
            depth -= 1

    Depth().feed(katex.set_formula(r"\sqrt{\sum_{i=1}^n x_i^2}", display=True))
    assert depth == 0
