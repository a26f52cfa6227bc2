"""The demo ends in a notebook: its run is pinned, the site stands, and what goes wrong there costs nothing of the run."""

import re

import pytest

from glassbook.cli import demo_notebook
from glassbook.cli.demo_notebook import FOLDER, show_in_notebook
from glassbook.core.errors import InputError
from glassbook.runs.record import start_run
from glassbook.views.table import Table

TABLE = Table(title="What came out", caption="All of it.", columns=("a", "b"), rows=[("one", 2)])


def finished(root):
    """Return the folder of a finished run as the demo leaves one."""
    with start_run("demo", ["glassbook", "demo"], {}, root=root) as run:
        run.save_view("table", TABLE)
        run.save_json("sweep", {"sentence": "It works."})
        run.metric("held-out-effect", 1.639, "nats")
    return run.folder


def test_the_site_shows_the_run_in_an_entry_whose_numbers_lead_to_the_page_of_the_run(tmp_path):
    first = show_in_notebook(finished(tmp_path))
    assert first == tmp_path / FOLDER / "site/index.html" and first.is_file()
    [entry] = (tmp_path / FOLDER / "site/posts").glob("*.html")
    text = entry.read_text(encoding="utf-8")
    assert "It works." in text and "What came out" in text and "1.639" in text and ">draft<" in text
    assert f"posts/{entry.name}" in first.read_text(encoding="utf-8"), "the first page leads there"
    [page] = set(re.findall(r'href="(\.\./runs/[^"#]+)#numbers"', text))
    assert "held-out-effect" in (entry.parent / page).read_text(encoding="utf-8")


def test_a_second_demo_adds_an_entry_and_leaves_the_first(tmp_path):
    show_in_notebook(finished(tmp_path))
    [first] = (tmp_path / FOLDER / "entries/posts").glob("*.md")
    first.write_text(first.read_text(encoding="utf-8") + "\nMine.\n", encoding="utf-8")
    show_in_notebook(finished(tmp_path))
    assert len(list((tmp_path / FOLDER / "site/posts").glob("*.html"))) == 2
    assert first.read_text(encoding="utf-8").endswith("Mine.\n")


def test_without_the_packages_of_a_site_a_sentence_says_so_and_nothing_is_made(tmp_path, monkeypatch, capsys):
    def missing():
        raise InputError("a notebook needs the package 'nh3'; run `pip install 'glassbook[site]'`")

    monkeypatch.setattr(demo_notebook, "need_site", missing)
    assert show_in_notebook(finished(tmp_path)) is None
    assert "pip install 'glassbook[site]'" in capsys.readouterr().err
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.parametrize("left", ["entries/posts/mine.md", "glassbook.toml"])
def test_what_a_person_left_there_that_cannot_be_built_is_told_and_stays(tmp_path, capsys, left):
    show_in_notebook(finished(tmp_path))
    path = tmp_path / FOLDER / left
    path.write_text("---\ntitle: [\n---\n", encoding="utf-8")
    assert show_in_notebook(finished(tmp_path)) is None
    assert "could not be built" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "---\ntitle: [\n---\n"
