"""References from BibTeX and CSL-JSON: what is read, how it is shown, what is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassbook.core.errors import EvidenceError, InputError
from glassbook.evidence import (
    Author,
    Correction,
    Reference,
    cite,
    corrections_markdown,
    find_reference,
    read_bibliography,
    to_csl,
)

BIB = r"""
@string{neurips = {Advances in Neural Information Processing Systems}}
@comment{nothing}
@misc{turner2023,
  author = {Turner, Alexander Matt and Thiergart, Lisa and Leech, Gavin and others},
  title = {Steering {Language Models} With Activation Engineering},
  year = 2023, eprint = {2308.10248}, archivePrefix = {arXiv}
}
@inproceedings{vaswani2017,
  author = "Ashish Vaswani and Noam Shazeer",
  title = "Attention is All
           you Need",
  booktitle = neurips,
  year = "2017",
  url = {https://example.org/attention}
}
@article{kullback1951, author = {S. Kullback and R. A. Leibler}, title = {On Information and Sufficiency},
  journal = {The Annals of Mathematical Statistics}, year = {1951}, doi = {10.1214/aoms/1177729694}}
@techreport{schoelkopf1996, author = {Sch{\"o}lkopf, Bernhard}, title = {Na{\"\i}ve \& simple}, date = {1996-12-01},
  institution = {MPI}}
@misc{barnes, author = {{Barnes and Noble} and Doe, Jane}, title = {Shops}, year = {2001}}
@misc{openai, author = {{OpenAI}}, title = {gpt-2}, howpublished = {GitHub, openai/gpt-2}, year = {2019}}
@book{laan, author = {van der Laan, Mark}, title = {Targeted}, publisher = {Springer}}
@article{tong2018, author = {Tong, A.}, title = {B}, journal = {arXiv preprint arXiv:1804.00104v2}, year = {2018}}
"""


@pytest.fixture
def references(tmp_path):
    (tmp_path / "paper.bib").write_text(BIB)
    return read_bibliography(tmp_path / "paper.bib")


def test_every_entry_is_read_with_its_fields(references):
    assert list(references) == [
        "turner2023",
        "vaswani2017",
        "kullback1951",
        "schoelkopf1996",
        "barnes",
        "openai",
        "laan",
        "tong2018",
    ]
    turner, attention = references["turner2023"], references["vaswani2017"]
    assert turner.authors[0] == Author("Turner", "Alexander Matt")
    assert (turner.title, turner.year, turner.arxiv) == (
        "Steering Language Models With Activation Engineering",
        2023,
        "2308.10248",
    )
    assert attention.title == "Attention is All you Need"
    assert attention.where == "Advances in Neural Information Processing Systems"
    assert (references["schoelkopf1996"].authors[0].family, references["schoelkopf1996"].year) == ("Schölkopf", 1996)
    assert references["schoelkopf1996"].title == "Naïve & simple"
    assert references["laan"].authors == (Author("van der Laan", "Mark"),)
    assert references["tong2018"].arxiv == "1804.00104"


@pytest.mark.parametrize(
    ("key", "short"),
    [
        ("turner2023", "Turner et al. 2023"),
        ("vaswani2017", "Vaswani and Shazeer 2017"),
        ("kullback1951", "Kullback and Leibler 1951"),
        ("openai", "OpenAI 2019"),
        ("laan", "van der Laan"),
        ("barnes", "Barnes and Noble and Doe 2001"),
    ],
)
def test_a_reference_is_short_in_a_sentence(references, key, short):
    assert cite(references, key) == short


def test_others_are_named_by_nobody():
    one = Reference(key="a", title="A", authors=(Author("Tong", "A."), Author("others")), year=2018)
    assert (one.short, one.full) == ("Tong et al. 2018", "A. Tong, et al. (2018). A.")


def test_a_reference_in_full_says_who_when_what_and_where(references):
    assert references["kullback1951"].full == (
        "S. Kullback and R. A. Leibler (1951). On Information and Sufficiency. The Annals of Mathematical Statistics. "
        "doi:10.1214/aoms/1177729694."
    )
    assert references["turner2023"].full == (
        "Alexander Matt Turner, Lisa Thiergart, Gavin Leech, et al. (2023). Steering Language Models With Activation "
        "Engineering. arXiv:2308.10248."
    )
    assert references["laan"].full == "Mark van der Laan. Targeted. Springer."


def test_the_address_of_a_reference_is_that_of_arxiv_or_doi_or_its_own(references):
    assert references["turner2023"].link == "https://arxiv.org/abs/2308.10248"
    assert references["kullback1951"].link == "https://doi.org/10.1214/aoms/1177729694"
    assert references["vaswani2017"].link == "https://example.org/attention"
    assert references["openai"].link == ""


def test_what_is_written_as_csl_is_read_back_equal(references, tmp_path):
    (tmp_path / "paper.json").write_text(to_csl(list(references.values())))
    assert read_bibliography(tmp_path / "paper.json") == references
    kinds = {entry["id"]: entry["type"] for entry in json.loads((tmp_path / "paper.json").read_text())}
    assert (kinds["vaswani2017"], kinds["kullback1951"]) == ("paper-conference", "article-journal")


TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)


@settings(max_examples=30)
@given(
    st.builds(
        Reference,
        key=TEXT,
        title=TEXT,
        authors=st.lists(st.builds(Author, TEXT, st.one_of(st.just(""), TEXT)), max_size=4).map(tuple),
        year=st.one_of(st.none(), st.integers(1000, 2100)),
        where=st.one_of(st.just(""), TEXT),
    )
)
def test_any_reference_survives_csl(tmp_path_factory, reference):
    path = tmp_path_factory.mktemp("csl") / "paper.json"
    path.write_bytes(to_csl([reference]).encode())
    assert read_bibliography(path) == {reference.key: reference}


def test_an_unknown_key_is_refused_by_name(references):
    assert find_reference(references, "openai").year == 2019
    with pytest.raises(EvidenceError, match=r"nothing is cited as 'turner23'.*turner2023"):
        find_reference(references, "turner23")


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.bib", "@misc{a, title={A}}\n@misc{a, title={B}}", r"line 2: .*[Dd]uplicate"),
        ("a.bib", "@misc{a, title={A}}\n\n@misc{b, title={B", r"line 3: this entry cannot be read"),
        ("a.bib", "@misc{a, year={2020}}", r"entry 'a', field 'title': it has none"),
        ("a.bib", "@misc{a, title={A}, year={soon}}", r"entry 'a', field 'year': 'soon' is no year"),
        ("a.json", "{}", "is not CSL-JSON"),
        ("a.json", "[1]", "is not CSL-JSON"),
        ("a.json", '[{"id": "a"}]', r"entry 1: .*'title' is missing"),
        ("a.json", '[{"id": "a", "title": "A", "author": [{"given": "B"}]}]', r"entry 1: .*'family' is missing"),
        ("a.json", '[{"id": "a", "title": "A", "issued": {"date-parts": [["x"]]}}]', r"entry 1: "),
        ("a.json", '[{"id": "a", "title": "A", "issued": {"date-parts": [[]]}}]', r"entry 1: "),
        ("a.json", '[{"id": "a", "title": "A"}, {"id": "a", "title": "B"}]', r"entry 'a': two entries have this key"),
    ],
)
def test_a_damaged_bibliography_is_refused_by_file_and_entry(tmp_path, name, text, fault):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=fault) as refused:
        read_bibliography(tmp_path / name)
    assert name in str(refused.value) and "\n" not in str(refused.value)


def test_a_bibliography_that_is_not_there_or_not_utf8_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_bibliography(tmp_path / "none.bib")
    (tmp_path / "latin.bib").write_bytes("@misc{a, title={é}}".encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8"):
        read_bibliography(tmp_path / "latin.bib")


CORRECTION = Correction("the scale is fixed.", "the scale is learned.", "turner2023", "section 2.3")


def test_a_correction_says_who_said_what_where_and_what_is_right(references):
    assert corrections_markdown([CORRECTION], references) == (
        "- **Turner et al. 2023, section 2.3** says: the scale is fixed. — **Right is:** the scale is learned."
    )
    everywhere = Correction("a.", "b.", "turner2023")
    assert corrections_markdown([everywhere], references) == "- **Turner et al. 2023** says: a. — **Right is:** b."


def test_a_correction_of_what_nobody_cites_is_refused(references):
    other = Correction("a", "b", "turner1923", "page 1")
    with pytest.raises(EvidenceError, match=r"correction 2, field 'source': nothing is cited as 'turner1923'"):
        corrections_markdown([CORRECTION, other], references)
