"""A notebook with every construct, every kind of entry and hostile words wherever a person or a file may write some."""

import base64
import json
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown import render
from notebook.injections import BODIES, WORDS
from notebook.markdown.known import Known

HERE = Path(__file__).resolve().parent
STUDIES = HERE.parents[1] / "entries" / "studies"
STUDY = "activation-addition"
SECRET = "zanzibar"
"""A word that only a private entry has."""

FILE_NAMES = ("x onerror=alert(1) y", 'quo"te', "<img src=x onerror=alert(1)>", "a&amp;b", "per%3Ccent")
TOML = """[notebook]
title = "Notes & <b>Queries</b>"
description = "What was learned, and the runs that measured it."
author = 'A "quoted" author'
address = "https://example.org/deep/notes/"
repository = "https://example.org/code"
"""
_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGNgYPiPFf0fbBIA+Y4/wVTiqgYAAAAASUVORK5CYII="


def write_sample(folder: Path) -> Path:
    """Return a fresh notebook in `folder`."""
    entries = folder / "entries"
    (entries / "assets").mkdir(parents=True)
    (folder / "glassbook.toml").write_text(TOML)
    (entries / "assets" / "square.png").write_bytes(base64.b64decode(_PICTURE))
    (entries / "refs.bib").write_text(_references(WORDS[0].replace("{", "").replace("}", "")))
    _write_terms(entries)
    _write_papers(entries)
    _write_the_rest(entries)
    _write_hostile(entries)
    _keep_study(entries)
    return folder


def _entry(entries: Path, place: str, body: str = "Words.", **fields: object) -> None:
    path = entries / f"{place}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    # JSON is YAML, and quotes whatever is hostile.
    head = "".join(f"{name}: {json.dumps(value)}\n" for name, value in fields.items())
    path.write_text(f"---\n{head}---\n\n{body}\n", encoding="utf-8")


def _write_terms(entries: Path) -> None:
    term = {"kind": "term", "tags": ["alpha", "beta gamma"]}
    everything = (HERE / "everything.md").read_text(encoding="utf-8")
    _entry(entries, "terms/everything", everything, title="Everything at once", level=1, definition="All.", **term)
    names = {
        "aliases": ["polysemantic packing", "crammed features"],
        "definition": "What comes second, in one sentence.",
    }
    first = "## A part\n\nSee [[everything at once]]."
    _entry(entries, "terms/second-term", first, title="Second term", level=2, **names, **term)
    _entry(entries, "terms/third-term", "Follows from the [[second term]].", title="Third term", level=2, **term)
    _entry(entries, "terms/fourth", "After [[third term]].", title="Monosemanticity", level=4, **term)


def _write_papers(entries: Path) -> None:
    notes = "## Problem\n\nWords [@known2020].\n\n## Proposal\n\nMore of [[second term]].\n\n## Purpose\n\nTo know."
    said = {"said": "It always works.", "right": "It works sometimes.", "source": "known2020"}
    for number, status in enumerate(("to read", "reading", "read")):
        paper = {"kind": "paper", "year": 2020 + number, "arxiv": f"2001.0000{number}", "status": status}
        paper |= {"authors": ["Ada Example", "Bob Łukasz", "Eve O'Neil"], "topics": ["steering", f"topic {number}"]}
        paper |= {"summary": "What it says in a sentence.", "corrections": [said] * number}
        _entry(entries, f"papers/paper-{number}", notes, title=f"On the {status} of papers", **paper)
    hostile = {"authors": list(WORDS[:4]), "topics": list(WORDS[:3]), "arxiv": '"><script>alert(1)</script>'}
    _entry(entries, "papers/hostile", title="A hostile paper", kind="paper", status="read", **hostile)


def _write_the_rest(entries: Path) -> None:
    for quarter, day in (("2026-Q3", "2026-08-01"), ("2026-Q4", "2026-11-01")):
        learned = "## A month\n\n- learned [[second term]]"
        _entry(
            entries,
            f"log/log-{quarter.lower()}",
            learned,
            title=f"Log of {quarter}",
            kind="log",
            date=day,
            period=quarter,
        )
        done = {"kind": "achievement", "date": day, "quarter": quarter}
        _entry(
            entries, f"achievements/done-{quarter.lower()}", "- **Done.** Words.", title=f"Done in {quarter}", **done
        )
    camp = {"kind": "project", "role": "participant", "period": "2026", "summary": "A summer of it."}
    _entry(entries, "projects/camp", title="A camp", **camp)
    _entry(entries, "posts/post", title="A post", kind="post", date="2026-09-09", draft=True, tags=["alpha"])
    _entry(entries, "meetings/open", title="Coffee", kind="meeting", date="2026-09-10", **{"with": "an advisor"})
    closed = {"kind": "meeting", "private": True, "with": "a funder"}
    _entry(entries, "meetings/closed", f"{SECRET} words", title="Closed", **closed)
    _entry(entries, "pages/home", "Begin with [[everything at once]].", title="Home", kind="page")


def _write_hostile(entries: Path) -> None:
    for number, words in enumerate(WORDS):
        fields = dict.fromkeys(("title", "definition", "summary", "meta_description"), words)
        said = [{"said": words, "right": words, "source": "hostile2022"}] if number < 3 else []
        names = {"aliases": [f"{words} {number}", f"a{number} {words}"], "tags": [words], "corrections": said}
        _entry(
            entries, f"terms/hostile-{number}", "Words.\n\n## Part\n\nMore.", kind="term", level=3, **fields, **names
        )
    for number, name in enumerate(FILE_NAMES):
        _entry(entries, f"posts/{name}", title=f"A file's name {number}", kind="post")


@cache
def hostile_texts() -> Mapping[str, str]:
    """Return the bodies of `injections.py` that become a page, by name; what is refused is refused by a build as well."""
    kept = {}
    for name, body in BODIES.items():
        try:
            render(body, Known(lenient=True), path="a.md")
        except NotebookError:
            continue
        kept[name] = body
    return kept


def _references(hostile: str) -> str:
    return f"""@misc{{known2020, author = {{Example, Ada and Neil, Eve}}, title = {{Known things}}, year = {{2020}},
  url = {{https://example.org/known}}}}
@article{{other2021, author = {{Kaiser, {{\\L}}ukasz}}, title = {{Others}}, journal = {{A journal}}, year = {{2021}},
  doi = {{10.1000/182}}}}
@misc{{hostile2022, author = {{{hostile}}}, title = {{{hostile}}}, year = {{2022}}, url = {{javascript:alert(1)}}}}
"""


def _keep_study(entries: Path) -> None:
    """Copy what a page shows of one of the project's own studies: judgements, pictures, records of the runs."""
    bulky = shutil.ignore_patterns("items", "*.jsonl")
    shutil.copytree(STUDIES / STUDY, entries / "studies" / STUDY, ignore=bulky)
    text = "## The pictures\n\n{{view activation-addition/frontier}}\n\n## The claims\n\n{{study activation-addition}}"
    study = {"kind": "study", "study": STUDY, "size": "laptop", "paper": "Ada Example (2020). Known things."}
    _entry(entries, f"studies/{STUDY}", text, title="Activation addition", **study)
