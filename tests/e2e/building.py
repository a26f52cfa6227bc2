"""How the tests build: the sample as `glassbook build` does, and single texts within the frame of a page."""

from collections.abc import Mapping
from pathlib import Path

from e2e.sample import write_sample
from glassbook.evidence import read_claims
from glassbook.notebook.kept import Known as KnownStudies
from glassbook.notebook.markdown import render
from glassbook.notebook.notebook import open_notebook
from glassbook.notebook.site.building import BuildOptions, build
from glassbook.studies.finding import folder_named
from glassbook.studies.numbers import Kept, says
from notebook.markdown.known import Known

STALE = {"activation-addition/laptop": {"weddings-off-topic": "its code has changed"}}


def build_site(notebook: Path, out: Path, stale: Mapping[str, Mapping[str, str]] | None = None) -> Path:
    """Return the folder of the site of the notebook in a folder; `stale` says of claims why they are."""
    known = KnownStudies(
        Kept(notebook), lambda study: read_claims(folder_named(study) / "claims.toml"), says, stale or {}
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    build(open_notebook(notebook), out, BuildOptions(known))
    return out


def build_sample(folder: Path, out: Path) -> Path:
    """Return the folder of the sample's site."""
    return build_site(write_sample(folder), out, STALE)


def build_text(body: str, page: Path, frame: Path) -> Path:
    """Return a page that shows the Markdown `body` within the frame of another page."""
    html = render(body, Known(lenient=True), path="a.md").html
    page.parent.mkdir(exist_ok=True)
    page.write_text(frame.read_text().replace("</h1>", f'</h1><article class="prose">{html}</article>', 1))
    return page
