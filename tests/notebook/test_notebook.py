"""A notebook finds its entries by every name they have, and tells all that is wrong with them at once."""

import pytest

from glassbook.evidence.corrections import Correction
from glassbook.notebook.entries import KINDS, read_entry, slug_of
from glassbook.notebook.faults import NotebookError, NotebookFaults
from glassbook.notebook.notebook import open_notebook
from notebook.conftest import write_files


def spoil(root, name, old, new):
    path = root / "entries" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def faults_of(root):
    with pytest.raises(NotebookError) as told:
        open_notebook(root)
    return [str(fault) for fault in told.value.faults]


@pytest.mark.parametrize(
    "name", ["residual-stream", "Residual stream", "RESIDUAL  STREAMS", "residual_streams", "the stream", "stream"]
)
def test_an_entry_is_found_by_slug_title_and_alias_however_it_is_spelled(small, name):
    assert open_notebook(small).find(name).slug == "residual-stream"


def test_what_is_not_there_is_not_found_and_the_nearest_name_is_known(small):
    notebook = open_notebook(small)
    assert notebook.find("residual") is None
    assert notebook.nearest("residul streem") == "Residual stream"
    assert notebook.nearest("something else altogether") is None


def test_a_private_entry_is_no_nearest_name_and_not_public(small):
    notebook = open_notebook(small)
    assert notebook.nearest("secret talks") is None
    assert "secret" not in {entry.slug for entry in notebook.public}
    spoil(small, "meetings/secret.md", "private: true", "private: false")
    assert open_notebook(small).nearest("secret talks") == "Secret talk", "control: a public one is"


def test_a_slug_wins_over_a_title_and_a_title_over_an_alias(small):
    write_files(
        small,
        {
            "entries/terms/one.md": "---\ntitle: Two\naliases: [Three]\n---\n",
            "entries/terms/two.md": "---\ntitle: Three\n---\n",
        },
    )
    notebook = open_notebook(small)
    assert [notebook.find(name).slug for name in ("one", "two", "Two", "three")] == ["one", "two", "two", "two"]


def test_a_public_entry_wins_over_private_ones_in_all_its_names(small):
    spoil(small, "terms/attention-head.md", "level: 3", "level: 3\naliases: [Secret talk]")
    assert open_notebook(small).find("secret talk").slug == "attention-head"
    assert open_notebook(small).find("secret").slug == "secret", "control: its own name leads to the private one"


def test_an_alias_that_names_another_entry_is_told_with_both_places(small):
    spoil(small, "terms/attention-head.md", "level: 3", "level: 3\naliases: [hello]")
    (fault,) = faults_of(small)
    assert "attention-head.md:5: the alias 'hello' names" in fault and "hello.md" in fault


def test_a_plural_leads_to_the_singular_unless_it_is_a_name_of_its_own(small):
    assert open_notebook(small).find("hellos").slug == "hello"
    write_files(small, {"entries/posts/hellos.md": "# Several\n"})
    assert open_notebook(small).find("hellos").slug == "hellos"


@pytest.mark.parametrize("word", ["true", "yes", "on", "'true'", "Yes"])
def test_whoever_says_private_in_any_of_yaml_s_words_is_private(small, word):
    spoil(small, "meetings/secret.md", "private: true", f"private: {word}")
    assert open_notebook(small).find("secret").private


@pytest.mark.parametrize("row", ["Private: true", "privat: true", "PRIVATE: true", "private: perhaps", "private:"])
def test_a_slip_never_publishes_what_is_private(small, row):
    spoil(small, "meetings/secret.md", "private: true", row)
    assert "secret.md:4: " in faults_of(small)[0]


@pytest.mark.parametrize(
    "file, said",
    [
        ("term/x.md", "no kind of entry lies in 'term/'; did you mean 'terms/'?"),
        ("drafts/x.md", "no kind of entry lies in 'drafts/'; the folders are papers,"),
        ("terms/deep/x.md", "an entry lies in its folder itself and not deeper; move it to 'terms/x.md'"),
    ],
)
def test_a_file_where_no_entry_is_looked_for_is_told(small, file, said):
    write_files(small, {f"entries/{file}": "# X\n"})
    (fault,) = faults_of(small)
    assert said in fault and f"{file}:1: " in fault.replace("\\", "/")


def test_what_lies_with_pictures_runs_and_kept_results_is_no_entry(small):
    names = ("assets/a.md", "runs/b/c.md", "studies/s/laptop/d.md", "_notes/e.md", "posts/.f.md", "terms/.g/h.md")
    write_files(small, {f"entries/{name}": "# X\n" for name in names})
    assert len(open_notebook(small).entries) == 4


def test_an_entry_in_another_kind_s_folder_is_told(small):
    spoil(small, "terms/attention-head.md", "kind: term", "kind: post")
    (fault,) = faults_of(small)
    assert "attention-head.md:3: a post lies in 'posts/'; move the file there, or write 'kind: term'" in fault


def test_a_paper_s_key_and_a_correction_s_source_stand_in_the_bibliography(small):
    rows = "corrections: [{said: a, right: b, source: SOURCE}]\n"
    paper = f"---\ntitle: P\ncite: KEY\n{rows}---\n"
    write_files(small, {"entries/papers/p.md": paper.replace("KEY", "one202").replace("SOURCE", "nobody")})
    cite, source = faults_of(small)
    assert "p.md:3: the field 'cite' names 'one202', which no bibliography has; did you mean 'one2020'?" in cite
    assert "p.md:4: the field 'corrections' names 'nobody'" in source
    write_files(small, {"entries/papers/p.md": paper.replace("KEY", "one2020").replace("SOURCE", "https://a.b/c")})
    assert open_notebook(small).find("p").corrections[0].source == "https://a.b/c"


def test_references_may_stand_in_csl_json_beside_bibtex_each_key_once(small):
    write_files(small, {"entries/refs.json": '[{"id": "two2021", "title": "Two"}]'})
    assert set(open_notebook(small).references) == {"one2020", "two2021"}
    write_files(small, {"entries/refs.json": '[{"id": "one2020", "title": "Two"}]'})
    assert "'one2020' stands in refs.bib too" in faults_of(small)[0]


def test_a_file_without_front_matter_is_an_entry_of_its_folder_s_kind(small):
    post = open_notebook(small).find("hello")
    assert (post.kind, post.title, post.address, post.body_line) == ("post", "Hello", "posts/hello.html", 1)


def test_two_entries_of_one_name_are_told_with_both_places(small):
    (small / "entries/posts/attention-head.md").write_text("# Another\n", encoding="utf-8")
    (fault,) = faults_of(small)
    assert "posts/attention-head.md" in fault.replace("\\", "/") or "terms/attention-head.md" in fault
    assert "is called 'attention-head' too" in fault


def test_everything_wrong_is_told_at_once_with_file_and_line(small):
    spoil(small, "terms/residual-stream.md", "aliases: [stream, the stream]", "alias: [stream]")
    spoil(small, "terms/residual-stream.md", "level: 2", "level: two")
    spoil(small, "terms/attention-head.md", "kind: term", "kind: trem")
    (small / "entries/refs.bib").write_text("@article{one2020, year = {2020}}", encoding="utf-8")
    told = faults_of(small)
    assert len(told) == 4
    for words in (
        "residual-stream.md:4: a term has no field 'alias'; did you mean 'aliases'?",
        "residual-stream.md:5: the field 'level' holds 'two'",
        "attention-head.md:3: 'trem' is no kind of entry",
        "refs.bib",
    ):
        assert any(words in fault for fault in told), words


def test_unknown_fields_are_kept(small):
    spoil(small, "terms/residual-stream.md", "level: 2", "level: 2\nlayout: wide\nweather: {sky: blue}")
    fields = open_notebook(small).find("stream").fields
    assert (fields["layout"], fields["weather"]) == ("wide", {"sky": "blue"})


def test_corrections_come_with_an_entry(small):
    rows = 'corrections:\n  - said: "117M"\n    right: "124M"\n    source: one2020\n'
    spoil(small, "terms/residual-stream.md", "level: 2\n", f"level: 2\n{rows}")
    assert open_notebook(small).find("stream").corrections == (Correction("117M", "124M", "one2020", ""),)
    spoil(small, "terms/residual-stream.md", "right:", "rigth:")
    assert "which is no list of corrections" in faults_of(small)[0]


@pytest.mark.parametrize(
    "text, said",
    [
        ("[notebook]\ntitel = 'x'\n", "has no setting 'titel'; did you mean 'title'?"),
        ("[notebook]\ntitle = 3\n", "is not what it should be"),
        ("[notebook", "cannot be read as TOML"),
        ("[notbook]\n", "toml:1: 'notbook' is no part of a notebook's settings; did you mean 'notebook'?"),
        ("notebook = 1\n", "is not what it should be"),
        ("[notebook]\ntitle = ' '\n", "toml:2: the setting 'title' is empty"),
        ("[notebook]\n\naddress = 'example.org'\n", "toml:3: the setting 'address' is 'example.org'; write an address"),
        ("[notebook]\nrepository = 'javascript:alert(1)'\n", "write an address from https:// on"),
        ("[notebook]\nlanguage = 'en\"'\n", "write a language tag"),
    ],
)
def test_settings_that_do_not_fit_are_refused(small, text, said):
    (small / "glassbook.toml").write_text(text, encoding="utf-8")
    assert said in faults_of(small)[0]


def test_the_nearest_folder_above_is_the_notebook_and_none_is_said_in_one_sentence(small, monkeypatch, tmp_path):
    monkeypatch.chdir(small / "entries" / "terms")
    assert open_notebook().root == small
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotebookError, match="glassbook new notebook"):
        open_notebook()
    with pytest.raises(NotebookError, match="is no notebook"):
        open_notebook(tmp_path)


@pytest.mark.parametrize(
    "bytes_, said", [(b"\xff\xfe", "no text in UTF-8"), (b"---\nkind: post\n---\nText", "has no title")]
)
def test_a_file_that_is_no_entry_says_what_is_wrong(tmp_path, bytes_, said):
    path = tmp_path / "a.md"
    path.write_bytes(bytes_)
    with pytest.raises(NotebookFaults if b"kind" in bytes_ else NotebookError, match=said):
        read_entry(path)


@pytest.mark.parametrize(
    "text, slug",
    [
        ("GPT-2", "gpt-2"),
        ("What is a “feature”?", "what-is-a-feature"),
        ("Übung 3", "übung-3"),
        ("語 語", "語-語"),
        ("…", "entry"),
    ],
)
def test_a_slug_is_lower_case_words_joined_by_hyphens(text, slug):
    assert slug_of(text) == slug


@pytest.mark.parametrize(
    "body, title",
    [
        ("# One _two_ **three** `four`", "One two three four"),
        ("Title\n=====\n\nText", "Title"),
        ("```python\n# no title\n```\n\n# Title", "Title"),
        ("# [Linked](a.md) and [[gpt-2|shown]] and [[gpt-2]] <b>bold</b>", "Linked and shown and gpt-2 bold"),
        ("# a snake_case word ##", "a snake_case word"),
        ("## Second level\n\n# First level", "First level"),
    ],
)
def test_the_first_heading_gives_the_title_in_plain_words(tmp_path, body, title):
    path = write_files(tmp_path, {"posts/a.md": body}) / "posts/a.md"
    assert read_entry(path).title == title


def test_kinds_have_folders_of_their_own():
    folders = [KINDS.find(name).folder for name in KINDS]
    assert len(folders) == len(set(folders)) == 9
