"""A reference that is written is the reference that is read, and nothing else in the file moves."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glassbook.evidence.citations import Author, Reference, read_bibliography
from glassbook.notebook.bibliography import (
    add_reference,
    as_bibtex,
    find_paper,
    free_key,
    reference_from,
    without_latex,
)
from glassbook.notebook.notebook import read_references

# Letters with a mark of their own are left out that LaTeX composes otherwise.
LETTERS = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="{}") | st.sampled_from(
    "éßøčñ漢语β–“”’"
)
WORDS = st.lists(st.text(LETTERS, min_size=1, max_size=8), min_size=1, max_size=4).map(" ".join)
NAME = st.text(st.sampled_from("abcdeéßøčABC'-"), min_size=1, max_size=8).filter(lambda name: name.strip("'-"))


@given(
    WORDS, NAME, NAME, WORDS, st.sampled_from(["article-journal", "paper-conference", "thesis", "report", "document"])
)
@example("--- ``What''? $x$ 100% & #1 a_b ~ ^ \\ < >", "O'Neil-Smith", "Ann--e", "A & B", "article-journal")
def test_what_is_written_as_bibtex_is_read_back(tmp_path_factory, title, family, given_name, where, kind):
    people = (Author(family.capitalize(), given_name.capitalize()), Author("Body of several words"))
    address = "https://a.example/b~c_d?x=1&y=%20#z"
    asked = Reference(
        key="k", title=title, authors=people, year=2020, where=where, doi="10.1000/a_b", url=address, kind=kind
    )
    path = tmp_path_factory.mktemp("bib") / "refs.bib"
    path.write_text(as_bibtex(asked), encoding="utf-8")
    assert read_bibliography(path) == {"k": asked}


def test_braces_in_a_title_become_parentheses_and_end_nothing(tmp_path):
    path = tmp_path / "refs.bib"
    path.write_text(as_bibtex(Reference(key="k", title="a}}, evil = {b", year=2020)))
    assert read_bibliography(path)["k"].title == "a)), evil = (b"


@pytest.mark.parametrize("before", [b"", b"\n", b"@misc{a, title = {A}}", b"% kept\r\n@misc{a, title = {A}}\r\n"])
def test_a_reference_is_added_at_the_end_and_no_byte_before_it_moves(tmp_path, before):
    path = tmp_path / "entries" / "refs.bib"
    path.parent.mkdir()
    path.write_bytes(before)
    add_reference(tmp_path, Reference(key="b", title="B"))
    assert path.read_bytes().startswith(before)
    assert set(read_references(tmp_path)) == ({"a", "b"} if b"misc" in before else {"b"})


KNOWN = {
    "a2020": Reference(key="a2020", title="Of Gods: a Study", year=2020, arxiv="2001.00001", doi="10.1000/ABC"),
    "b2020": Reference(key="b2020", title="Other", year=2020),
}


@pytest.mark.parametrize(
    "text, number",
    [
        ("a2020", None),
        ("of gods - A study", None),
        ("10.1000/abc", None),
        ("https://doi.org/10.1000/ABC", None),
        ("2001.00001v3", "2001.00001"),
    ],
)
def test_a_paper_is_found_by_key_title_doi_and_number(text, number):
    assert find_paper(KNOWN, text, number) is KNOWN["a2020"]
    assert find_paper({"b2020": KNOWN["b2020"]}, text, number) is None, "control"


def test_a_key_is_the_family_name_and_year_with_a_letter_where_it_is_taken():
    paper = reference_from("T", ["Zoë Müller-Öst", "B"], 2020, "2001.00002")
    keys = []
    for _ in range(28):
        keys.append(free_key(paper, dict.fromkeys(keys, paper)))
    assert keys[:3] == ["mullerost2020", "mullerost2020b", "mullerost2020c"]
    assert len(set(keys)) == 28
    assert free_key(reference_from("T", ["漢語"], 2020, ""), {}) == "paper2020"
    assert free_key(KNOWN["a2020"], {}) == "a2020"


def test_a_title_in_latex_is_read_as_it_is_printed():
    assert without_latex(r"$\beta$-VAE and the {ELBO}: $\Omega(n)$") == "β-VAE and the ELBO: Ω(n)"
