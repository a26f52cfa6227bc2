"""`glassbook new` makes entries and notebooks, offline as far as a bibliography knows, and says one sentence where it cannot."""

import datetime
import io
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from glassbook.notebook.entries import KINDS
from glassbook.notebook.new import MADE
from glassbook.notebook.notebook import open_notebook
from notebook.conftest import FILES, write_files
from sources.test_arxiv import ANSWER

BIB = "@misc{turner2023,\n title = {Steering Things},\n author = {Turner, Alex},\n year = {2023},\n eprint = {2308.10248},\n}\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a small notebook, without a network."""

    def refuse(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return write_files(tmp_path / "small", FILES)


def test_a_notebook_and_then_an_entry_in_it(cli, tmp_path, monkeypatch):
    made = cli("new", "notebook", tmp_path / "notes", "--json")
    assert (made.status, made.json()["path"]) == (0, str(tmp_path / "notes"))
    monkeypatch.chdir(tmp_path / "notes" / "entries")
    assert cli("new", "term", "Residual stream").status == 0
    entry = open_notebook(tmp_path / "notes").find("residual stream")
    assert entry.date == datetime.date.today()


def test_a_paper_is_filled_in_from_a_bibliography_offline_and_its_reference_kept(cli, root, tmp_path):
    (tmp_path / "more.bib").write_text(BIB)
    answer = cli(
        "new", "paper", "2308.10248", "--notebook", root, "--bib", tmp_path / "more.bib", "--date", "2026-01-02"
    )
    assert answer.status == 0, answer.err
    notebook = open_notebook(root)
    fields = notebook.find("Steering Things").fields
    assert (fields["cite"], fields["arxiv"], fields["authors"]) == ("turner2023", "2308.10248", ["Alex Turner"])
    assert fields["date"] == datetime.date(2026, 1, 2)
    assert set(notebook.references) == {"one2020", "turner2023"}


def test_a_paper_of_the_notebook_s_own_bibliography_is_added_to_none(cli, root):
    before = (root / "entries/refs.bib").read_bytes()
    assert cli("new", "paper", "one2020", "--notebook", root).status == 0
    assert open_notebook(root).find("One").fields["cite"] == "one2020"
    assert (root / "entries/refs.bib").read_bytes() == before


def test_a_key_that_another_work_has_is_not_taken_from_it(cli, root, tmp_path):
    (tmp_path / "more.bib").write_text(BIB.replace("turner2023", "one2020"))
    assert cli("new", "paper", "2308.10248", "--notebook", root, "--bib", tmp_path / "more.bib").status == 0
    notebook = open_notebook(root)
    assert notebook.find("Steering Things").fields["cite"] == "one2020b"
    assert notebook.references["one2020"].title == "One"


def test_arxiv_is_asked_where_no_bibliography_knows_the_paper(cli, root, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(ANSWER.encode()))
    assert cli("new", "paper", "arXiv:2308.10248v2", "--notebook", root).status == 0
    assert open_notebook(root).find("A title on two lines").fields["cite"] == "author2023"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("paper", "2308.10248"), "put the paper's BibTeX into entries/refs.bib"),
        (("paper", "10.1000/abc"), "no bibliography has '10.1000/abc'"),
        (("paper", "A title", "--bib", "entries/refs.bib"), "no bibliography has 'A title'"),
        (("trem", "X"), "'trem' cannot be made; did you mean 'term'?"),
        (("study", "X"), "written by `glassbook study report`"),
        (("term", "Attention head"), "is there already"),
        (("term", "X", "--date", "soon"), "--date soon is no day"),
        (("term", "X", "--notebook", "nowhere"), "'nowhere' is no notebook"),
        (("notebook", "entries"), "'entries' is not empty"),
    ],
)
def test_what_cannot_be_made_is_one_sentence_and_changes_nothing(cli, root, monkeypatch, arguments, said):
    monkeypatch.chdir(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    answer = cli("new", *arguments)
    assert answer.status == 2 and said in answer.err and answer.is_one_sentence()
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_all_that_is_wrong_in_a_notebook_is_told_a_line_each_with_files_as_seen_from_here(cli, root, monkeypatch):
    monkeypatch.chdir(root)
    write_files(root, {"entries/terms/bad.md": "---\ntitle: x\nlevel: no\nalias: q\n---\n"})
    answer = cli("build", "--out", root.parent / "site")
    assert (answer.status, answer.out, (root.parent / "site").exists()) == (2, "", False)
    assert answer.err.splitlines() == [
        "glassbook: entries/terms/bad.md:3: the field 'level' holds 'no', which is no whole number; write digits, from 1 on",
        "glassbook: entries/terms/bad.md:4: a term has no field 'alias'; did you mean 'aliases'?",
    ]


def test_a_fresh_notebook_is_built_without_a_fault_and_so_is_one_with_an_entry_of_every_kind(
    cli, tmp_path, monkeypatch
):
    root = tmp_path / "notes"
    assert cli("new", "notebook", root).status == 0
    monkeypatch.chdir(root)
    assert cli("build", "--strict", "--out", tmp_path / "site").status == 0
    for kind in MADE:
        assert cli("new", kind, f"A new {kind}").status == 0
    answer = cli("build", "--strict", "--out", tmp_path / "site")
    assert answer.status == 0, answer.err
    written = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    assert {f"{KINDS.find(kind).folder}/a-new-{kind}.html" for kind in MADE if kind != "meeting"} <= written
    pages = "".join(
        path.read_text() for path in (tmp_path / "site").rglob("*") if path.suffix in (".html", ".xml", ".js")
    )
    assert "A new term" in pages and "A new meeting" not in pages and "a-new-meeting" not in pages


def test_without_the_site_s_packages_one_sentence_says_what_to_install(root):
    code = "import sys; sys.modules['yaml'] = None; from glassbook.cli.app import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "new", "term", "X", "--notebook", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "glassbook: a notebook needs the package 'yaml', which is not installed; run `pip install 'glassbook[site]'`\n"
    )
