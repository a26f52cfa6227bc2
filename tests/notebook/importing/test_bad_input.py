"""Sources that cannot be imported end in one sentence, and nothing is written; odd ones are imported whole."""

import os
import time
from contextlib import suppress

import pytest

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.importing import ImportOptions, import_pages
from notebook.importing.bringing import again, bring, fresh, write


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"# Title\n\0\0", "is no text but a binary file"),
        (b"# Title\n\ncaf\xe9 au lait\n", r"page.md:3: this is no UTF-8 \(byte 0xe9\)"),
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"---\ntitle: [unclosed\n---\n\nText.\n", "page.md:2: the front matter is not YAML"),
        (b"---\ntitle: x\n", "has no end"),
        (b"+++\ntitle = \n+++\n\nText.\n", "page.md:1: this front matter is no TOML"),
        (b"+++\ntitle = 'x'\n", "is never closed"),
    ],
)
def test_a_page_that_cannot_be_read_is_named_with_its_line(tmp_path, content, sentence):
    with pytest.raises(NotebookError, match=sentence):
        bring(tmp_path, {"page.md": content})
    assert not (tmp_path / "notebook" / "entries").exists()


def test_all_that_cannot_be_read_is_told_at_once(tmp_path):
    files = {"a/one.md": b"\0", "a/two.md": b"", "a/good.md": "Fine.\n"}
    with pytest.raises(NotebookError) as caught:
        bring(tmp_path, files, "a")
    assert len(caught.value.faults) == 2
    # The control: without them the third is imported.
    assert bring(tmp_path / "again", {"a/good.md": "Fine.\n"}, "a").report.counts == {"page": 1}


def test_a_folder_without_pages_and_a_path_that_is_not_there_are_named(tmp_path):
    root = fresh(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotebookError, match="holds no pages"):
        import_pages([tmp_path / "empty"], root)
    with pytest.raises(NotebookError, match=r"'.*missing\.md' cannot be read \(no such file"):
        import_pages([tmp_path / "missing.md"], root)
    with pytest.raises(NotebookError, match="nothing was named"):
        import_pages([], root)
    with pytest.raises(NotebookError, match="is no folder"):
        import_pages([tmp_path / "empty"], root, ImportOptions(assets=tmp_path / "missing"))


def test_links_in_a_circle_and_links_that_lead_out_are_passed_over(tmp_path):
    source = write(tmp_path / "source", {"pages/real.md": "Real.\n", "secret.md": "Secret.\n"})
    (source / "pages" / "circle.md").symlink_to("circle.md")
    (source / "pages" / "loop").symlink_to(".")
    (source / "pages" / "out.md").symlink_to(source / "secret.md")
    (source / "pages" / "inside.md").symlink_to(source / "pages" / "real.md")
    root = fresh(tmp_path)
    report = import_pages([source / "pages"], root)
    assert [went.path for went in report.went] == ["entries/pages/real.md"]
    assert len(report.remarks) == 2
    with pytest.raises(NotebookError, match="cannot be read"):
        import_pages([source / "pages" / "circle.md"], root)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to the superuser")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    source = write(tmp_path / "source", {"page.md": "Text.\n"})
    (source / "page.md").chmod(0)
    with pytest.raises(NotebookError, match="cannot be read"):
        import_pages([source / "page.md"], fresh(tmp_path))


def test_a_picture_outside_the_folders_that_were_given_is_not_copied(tmp_path):
    write(tmp_path, {"secret.png": b"\x89PNG secret"})
    text = "![a](../secret.png) ![b](../../../../../../../../etc/hostname.png) ![c](/../secret.png) ![d](in.png)\n"
    brought = bring(tmp_path, {"page.md": text, "in.png": b"\x89PNG in"})
    assert brought.report.assets == ("in.png",)
    assert len(brought.report.unresolved) == 3
    leading = tmp_path / "source" / "leading.png"
    leading.symlink_to(tmp_path / "secret.png")
    (tmp_path / "source" / "page.md").write_text("![e](leading.png)\n")
    assert again(brought, tmp_path / "source" / "page.md").assets == ()


def test_an_entry_of_the_notebook_is_not_imported_into_it(tmp_path):
    brought = bring(tmp_path, "Text.\n")
    with pytest.raises(NotebookError, match="is an entry of this notebook already"):
        again(brought, brought.root / "entries" / "pages" / "page.md")


def test_a_folder_that_is_no_notebook_is_named(tmp_path):
    source = write(tmp_path / "source", {"page.md": "Text.\n"})
    with pytest.raises(NotebookError, match="is no notebook"):
        import_pages([source / "page.md"], tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500,
        "[a](" * 400,
        "![" * 300 + "](x)",
        "<a href=" * 700,
        "<!--" * 3000,
        "$" * 3000,
        "- " * 150 + "x",
        "> " * 150 + "x",
        "[^a]: " * 120,
        "*a **b " * 1500,
        "[[" * 300,
        "{{" * 500,
        "# " + "x" * 100_000,
        "`" * 5000 + "a",
        '<span id="' * 700,
        "# [x](y) " * 300,
        "<details>\n\n" * 500,
    ],
)
def test_hostile_pages_take_no_long_time(tmp_path, text):
    begun = time.perf_counter()
    with suppress(NotebookError):  # what lies deeper than the parser reads may be refused
        bring(tmp_path, f"Before.\n\n{text}\n\nAfter.\n")
    assert time.perf_counter() - begun < 5


@pytest.mark.slow
def test_a_page_of_five_megabytes_is_imported_in_bounded_time(tmp_path):
    part = "## Terms {0}\n\nProse of *some* length, with a [link](#terms-{0}) and [^{0}].\n\n- A {0}: It is a {0}.\n\n"
    part += "[^{0}]: Note.\n\n"
    prose = "A sentence of no great weight, told once more. " * 40
    text = "".join(part.format(number) + prose + "\n\n" for number in range(2500))
    assert len(text) > 5_000_000
    begun = time.perf_counter()
    bring(tmp_path, text)
    assert time.perf_counter() - begun < 120


def test_control_a_page_that_is_larger_than_any_page_is_refused_before_it_is_read(tmp_path):
    source = write(tmp_path / "source", {"page.md": "Text.\n"})
    with open(source / "page.md", "r+b") as file:
        file.truncate(40 << 20)
    with pytest.raises(NotebookError, match="a page may have 32"):
        import_pages([source / "page.md"], fresh(tmp_path))
