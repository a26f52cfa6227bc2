"""A page says what its runs have: every number is a link, and one that was changed by hand is found."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glassbook.core.errors import EvidenceError
from glassbook.studies import pages
from glassbook.studies.numbers import Kept, link, says, stated, wrong_numbers
from glassbook.studies.question import ask
from glassbook.studies.records import stored_runs
from glassbook.studies.reporting import report_into
from glassbook.studies.results import from_runs
from glassbook.studies.running import find
from glassbook.views.numbers import spell
from studies.toy.study import Toy


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of Runs of three seeds of the toy study."""
    root = tmp_path_factory.mktemp("runs")
    find("toy").run_all(root=root)
    return root


@pytest.fixture
def report(measured, tmp_path):
    """What was reported of them into an empty notebook."""
    (tmp_path / "glassbook.toml").write_text('title = "Notes"\n')
    return report_into(tmp_path, Toy(), from_runs(ask(Toy()), stored_runs(measured)))


def test_a_page_is_its_text_with_numbers_pictures_and_tables_of_the_results(report, tmp_path):
    text = report.page.read_text()
    assert report.page == tmp_path / "entries/studies/toy.md"
    assert text.startswith('---\ntitle: "Adding one makes a number larger"\nkind: "study"\ndate: 20')
    assert "\n# " not in text, "the title stands in the front matter"
    assert "by [1](run:toy/laptop#larger.estimate)" in text
    assert "[replicated](run:toy/laptop#larger.verdict)" in text
    assert "](run:toy/laptop#nothing:value)" in text
    assert "![Means. A seed a row.](view:toy/laptop/views/means.json)\n" in text
    assert "](view:toy/laptop/seed-0/views/added.numbers.json)" in text
    row = "| Adding one makes a number larger. | [replicated](run:toy/laptop#larger.verdict) | 1, table 1 | "
    assert f"{row}[1](run:toy/laptop#larger.estimate) [1, 1] one | " in text
    assert "| means | pen | a computer |" in text and "Parameters | not stated | 7 |" in text
    assert (tmp_path / "entries/studies/toy/laptop/views/means.json").is_file()


def test_a_page_states_only_numbers_that_its_runs_have(report, tmp_path):
    assert wrong_numbers(report.page, Kept(tmp_path)) == []


@pytest.mark.parametrize(
    ("instead_of", "written", "fault"),
    [
        (
            "[1](run:toy/laptop#larger.estimate)",
            "[1.01](run:toy/laptop#larger.estimate)",
            "it states '1.01' and .* has 1",
        ),
        ("[replicated](", "[not replicated](", "it states 'not replicated' and .* has replicated"),
        ("#larger.estimate", "#invented.estimate", "no claim 'invented' was judged"),
        ("#larger.estimate", "#larger.invented", "has no 'invented'"),
        ("#nothing:value", "#nothing:invented", "no column 'invented'"),
        ("run:toy/laptop#larger.estimate", "run:toy/gpu#larger.estimate", "there is no .*judgements.json"),
        ("(run:toy/laptop#larger.estimate)", "(run:toy)", "a link to a run cannot be read"),
    ],
)
def test_a_number_that_its_run_does_not_have_is_found(report, tmp_path, instead_of, written, fault):
    text = report.page.read_text()
    assert instead_of in text
    report.page.write_text(text.replace(instead_of, written, 1))
    found = wrong_numbers(report.page, Kept(tmp_path))
    assert any(re.search(fault, one) for one in found), found


@given(st.floats(-1e8, 1e8, allow_nan=False))
@example(0.0)
@example(-1234.56)
@example(1e-9)
def test_what_a_page_writes_of_a_number_states_that_number(value):
    [one] = stated(f"It is {link(value, 'toy/laptop', 'larger.estimate')}.")
    assert one.text == spell(value) and says(one.text, value)


@given(st.floats(1e-3, 1e5), st.integers(0, 4))
def test_a_rounded_number_is_stated_and_one_a_digit_off_is_not(value, decimals):
    assert says(f"{value:.{decimals}f}", value) and says(f"{value:,.{decimals}f}", value)
    assert says(f"{100 * value:.{decimals}f} %", value)
    assert not says(f"{value + 2 * 10.0**-decimals:.{decimals}f}", value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{{ claim("invented").estimate }}', "no claim.*invented"),
        ('{{ claim("larger").invented }}', "has no attribute 'invented'"),
        ('{{ view("invented") }}', "no picture 'invented' in toy/laptop; there are: .*means"),
        ('{{ cite("invented") }}', "nothing is cited as 'invented'"),
        ("{{ invented }}", "'invented' is undefined"),
        ("{{ 1 +", "cannot be filled in"),
    ],
)
def test_a_text_that_asks_for_what_there_is_not_is_refused_by_name(report, tmp_path, monkeypatch, text, fault):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "report.md").write_text(text)
    page = pages.open_page(Toy(), tmp_path, "toy/laptop")
    monkeypatch.setattr(pages, "folder_of", lambda study: folder)
    with pytest.raises(EvidenceError, match=fault):
        pages.render(page)
    (folder / "report.md").write_text('{{ claim("larger").estimate }}')
    assert pages.render(page).endswith("[1](run:toy/laptop#larger.estimate)"), "the control: what there is"


def test_a_page_for_a_browser_holds_claims_pictures_and_costs(report, tmp_path):
    html = pages.as_html(pages.open_page(Toy(), tmp_path, "toy/laptop"))
    for part in ("Adding one makes a number larger.", "A seed a row.", "The first.", "a computer", "Parameters", "✓"):
        assert part in html
    assert "src=" not in html and "<script" not in html, "it needs nothing from elsewhere"


def test_a_number_that_only_shows_how_one_is_written_states_nothing():
    shown = "`[1](run:a/b#c)`\n\n```markdown\n[2](run:a/b#c)\n```\n\n~~~\n[3](run:a/b#c)\n~~~\n"
    assert list(stated(shown)) == []
    [one] = stated(f"{shown}\n[4](run:a/b#c) and `code`")
    assert (one.text, one.line) == ("4", 11), "control: outside of code it does, on its own line"
