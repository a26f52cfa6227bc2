"""A fresh notebook: the folder that one begins with, and the workflow that publishes it."""

import datetime
from importlib.metadata import version
from pathlib import Path

from glassbook.files.atomic import atomic_folder, write_text
from glassbook.notebook.entries import slug_of
from glassbook.notebook.faults import NotebookError
from glassbook.notebook.front_matter import join_front_matter
from glassbook.notebook.new import quarter_of
from glassbook.runs.places import NOTEBOOK_FILE

_SETTINGS = """\
# A folder with this file is a notebook. `glassbook build` writes it as a site, `glassbook serve` shows it while you write.
[notebook]
title = {title}
author = ""
description = "What I am learning, have learned and plan to learn."
# Where the site will stand, such as "https://example.org/notes/"; feed, sitemap and social cards need it.
address = ""
"""
_HOME = """\
This is the first page. Write here what the notebook is about.

Begin with a word that you would like to be able to explain: [[language model]]. What you did on which day stands in the
[[{log}|log]].
"""
_TERM = """\
A **language model** gives a probability to every next token of a text. Drawing one token after another, it writes.

What else is a word you should know? `glassbook new term "…"` makes its page, and `[[…]]` leads there.
"""
_IGNORED = "/site/\n/runs/\n/.glassbook/cache/\n"
_README = """\
# {title}

A notebook written with Glassbook. Entries are Markdown files below `entries/`.

```console
$ pip install 'glassbook[site]'
$ glassbook serve
$ glassbook build
```
"""
# The actions are named by the commits of their releases, since a tag can be moved.
_WORKFLOW = """\
# Builds the notebook and publishes it whenever something is pushed to main.
# Once, before the first time: Settings, Pages, Source: "GitHub Actions".
name: publish
on:
  push:
    branches: [main]
  workflow_dispatch:
permissions: {}
concurrency:
  group: pages
  cancel-in-progress: true
jobs:
  build:
    runs-on: ubuntu-latest
    timeout-minutes: 20
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          # When an entry came and changed is read from the history.
          fetch-depth: 0
          persist-credentials: false
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0
        with:
          python-version: "3.12"
      - run: pip install 'glassbook[site]==VERSION' --extra-index-url https://download.pytorch.org/whl/cpu
      - run: glassbook build --strict --out site
      - uses: actions/upload-pages-artifact@56afc609e74202658d3ffba0e8f6dda462b719fa # v3.0.1
        with:
          path: site
  publish:
    needs: build
    runs-on: ubuntu-latest
    timeout-minutes: 10
    permissions:
      pages: write
      id-token: write
    environment:
      name: github-pages
      url: ${{ steps.deployment.outputs.page_url }}
    steps:
      - id: deployment
        uses: actions/deploy-pages@d6db90164ac5ed86f2b6aed7e0febac5b3c0c03e # v4.0.5
"""


def new_notebook(folder: Path, day: datetime.date) -> Path:
    """Write a fresh notebook into a folder that is not there yet or empty, all of it or nothing; return the folder."""
    folder = folder.expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotebookError(f"'{folder}' is not empty; name a folder that is not there yet")
    folder.parent.mkdir(parents=True, exist_ok=True)
    title = folder.resolve().name.replace("-", " ").replace("_", " ").strip().capitalize() or "Notebook"
    with atomic_folder(folder) as new:
        for name, text in _files(title, day).items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
    return folder


def _files(title: str, day: datetime.date) -> dict[str, str]:
    period = quarter_of(day)
    log = f"Log of {period}"
    term = {
        "title": "Language model",
        "kind": "term",
        "aliases": ["LM"],
        "level": 1,
        "definition": "A program that gives a probability to every next token of a text.",
    }
    return {
        NOTEBOOK_FILE: _SETTINGS.format(title=_quoted(title)),
        "README.md": _README.format(title=title),
        ".gitignore": _IGNORED,
        ".github/workflows/publish.yml": _WORKFLOW.replace("VERSION", version("glassbook")),
        "entries/pages/home.md": join_front_matter({"title": "Home", "kind": "page"}, _HOME.format(log=slug_of(log))),
        "entries/terms/language-model.md": join_front_matter(term, _TERM),
        f"entries/log/{slug_of(log)}.md": join_front_matter(
            {"title": log, "kind": "log", "date": day, "period": period},
            f"## {day.isoformat()}\n\n- Began this notebook.\n",
        ),
        "entries/refs.bib": "",
    }


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
