"""What the templates and styles name is there, is ours or licensed, and nothing in a page runs but files of its own."""

import re
from importlib.resources import files
from pathlib import Path

ASSETS = Path(str(files("glassbook.notebook").joinpath("assets")))
TEMPLATES = sorted(Path(str(files("glassbook.notebook").joinpath("site", "templates"))).glob("*.html"))
OWN = [path for path in sorted(ASSETS.glob("*")) if path.suffix in (".css", ".js")]
THEME = Path(str(files("glassbook.views").joinpath("theme.css")))


def named_in_templates() -> set[str]:
    return {name for path in TEMPLATES for name in re.findall(r'\{\{ root \}\}assets/([^"]+)"', path.read_text())}


def test_every_file_that_a_template_loads_is_there_and_every_own_file_is_loaded():
    named = named_in_templates()
    assert {"theme.js", "theme.css", "katex/katex.min.css"} <= named
    assert [name for name in named - {"theme.css"} if not (ASSETS / name).is_file()] == []
    assert THEME.is_file()
    assert [path.name for path in OWN if path.name not in named] == []


def test_every_font_that_a_style_names_is_there_and_no_style_leads_away():
    styles = [*ASSETS.glob("*.css"), ASSETS / "katex" / "katex.min.css", THEME]
    named = [(path, url) for path in styles for url in re.findall(r"url\(([^)]*)\)", path.read_text())]
    assert len(named) >= 25
    assert [url for path, url in named if not (path.parent / url).is_file()] == []
    assert not [path.name for path in styles if re.search(r"@import|https?:", path.read_text())]


def test_no_template_holds_a_program_or_a_style_of_its_own():
    for path in TEMPLATES:
        text = path.read_text()
        assert not re.search(r"\son\w+=|<style|\sstyle=|javascript:|\|\s*safe\b", text), path.name
        scripts = re.findall(r"<script\b[^>]*>(.)", text, re.DOTALL)
        assert all(following in "<{" for following in scripts), path.name
        assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script\b[^>]*>", text)), (
            path.name
        )


def test_scripts_are_small_and_put_no_markup_into_a_page():
    assert len([path for path in OWN if path.suffix == ".js"]) >= 7
    for path in OWN:
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            path.name
        )


def test_what_is_not_ours_has_its_licence_beside_it_and_its_line_in_the_notice():
    notice = ASSETS.parents[3] / "NOTICE"
    for folder in ("fonts", "katex", "katex/fonts", "minisearch"):
        licence = (ASSETS / folder / "LICENSE").read_text()
        assert "Permission is hereby granted" in licence or "SIL OPEN FONT LICENSE" in licence
    assert [name for name in ("Source Serif 4", "KaTeX", "MiniSearch") if name not in notice.read_text()] == []
    sources = (ASSETS / "SOURCES.md").read_text()
    assert {"fonts/*.woff2", "katex/katex.min.css", "katex/fonts/*.woff2", "minisearch/minisearch.js"} <= set(
        re.findall(r"[\w./*]+\.(?:woff2|css|js)", sources)
    )
