"""A site is whole or not written, the same for the same files, and leads nowhere in vain."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from glassbook.core.errors import GlassbookError
from glassbook.notebook.faults import NotebookFaults
from glassbook.notebook.kept import Known
from glassbook.notebook.notebook import open_notebook
from glassbook.notebook.site.building import BuildOptions, build
from glassbook.studies.numbers import Kept, says

ADDRESS = "https://example.org/notes/"


def no_claims(study):
    raise AssertionError(f"this notebook keeps no study, and '{study}' was asked for")


def built(root, out=None, **options):
    known = Known(Kept(root), no_claims, says)
    return build(open_notebook(root), out or root / "site", BuildOptions(known, **{"search": False, **options}))


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def edit(root, name, old, new):
    path = root / "entries" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


class Links(HTMLParser):
    """Collects what a page links to and which ids it has."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        self.ids.add(found.get("id"))


def lost_links(site: Path) -> list[str]:
    pages = {
        path.relative_to(site).as_posix(): Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")
    }
    lost = []
    for address, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link) or address == "404.html":
                continue
            path, _, anchor = link.partition("#")
            target = normpath(f"{address}/../{unquote(path)}") if path else address
            if not (site / target).is_file() or (
                anchor and target in pages and unquote(anchor) not in pages[target].ids
            ):
                lost.append(f"{address}: {link}")
    return lost


def test_every_link_of_every_page_leads_somewhere(small):
    built(small)
    assert lost_links(small / "site") == []
    (small / "site/terms/attention-head.html").unlink()
    assert lost_links(small / "site"), "control: a missing page is noticed"


def test_the_same_files_make_the_same_site_from_nothing_and_from_the_cache(small, tmp_path):
    told = "import sys; sys.path[:0] = sys.argv[3:]; from notebook.site.test_building import built; from pathlib import Path; "
    told += "built(Path(sys.argv[1]), Path(sys.argv[2]))"
    for seed in ("1", "2"):
        # The second process finds the cache of the first.
        command = [sys.executable, "-c", told, str(small), str(tmp_path / seed), str(Path(__file__).parents[2])]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    first = tree(tmp_path / "1")
    assert first == tree(tmp_path / "2")
    edit(small, "posts/hello.md", "A post", "One post")
    built(small, tmp_path / "3")
    assert tree(tmp_path / "3")["posts/hello.html"] != first["posts/hello.html"], "control"


def test_an_edit_renders_and_writes_only_what_it_touches(small):
    first = built(small)
    assert (first.rendered, first.written) == (3, first.pages)
    again = built(small)
    assert (again.rendered, again.written) == (0, 0)
    edit(small, "posts/hello.md", "without front matter.", "with other words.")
    after = built(small)
    assert (after.rendered, after.written) == (1, 1)
    assert "with other words." in (small / "site/posts/hello.html").read_text(encoding="utf-8")
    edit(small, "terms/attention-head.md", "One of the parallel", "Each of the parallel")
    assert built(small).rendered == 1
    page = (small / "site/terms/residual-stream.html").read_text(encoding="utf-8")
    assert "Each of the parallel" in page, "a definition is shown by what links to it"


@pytest.mark.parametrize(
    "text, said",
    [
        ("[[attention hed]]", "no entry is called 'attention hed'; did you mean 'Attention head'?"),
        ("[[attention head#how]]", "has no heading or id 'how'"),
        ("[@one2021]", "did you mean 'one2020'"),
        ("{{claim toy/x}}", "keeps no results of 'toy/laptop'"),
        ("[1](run:toy/laptop#x.estimate)", "keeps no results of 'toy/laptop'"),
        ("$\\frac{1}$", "formula"),
        ("[[secret]]", "private entry"),
    ],
)
def test_a_text_that_leads_nowhere_stops_the_build_with_its_line_and_the_old_site_stays(small, text, said):
    built(small)
    before = tree(small / "site")
    edit(small, "posts/hello.md", "A post", f"{text} A post")
    with pytest.raises(NotebookFaults) as told:
        built(small)
    (fault,) = told.value.faults
    assert said in str(fault) and fault.path.endswith("hello.md") and fault.line == 3
    assert "Secret" not in str(fault)
    assert tree(small / "site") == before


def test_all_faults_are_told_at_once(small):
    edit(small, "posts/hello.md", "A post", "[[nothing]] and [@nobody]")
    edit(small, "terms/residual-stream.md", "See", "[[nothing]]")
    with pytest.raises(NotebookFaults) as told:
        built(small)
    assert len(told.value.faults) == 3


def test_what_is_private_stands_nowhere_in_the_site(small):
    built(small)
    files = tree(small / "site")
    assert not [name for name, data in files.items() if b"Secret" in data or b"secret" in name.encode()]
    edit(small, "meetings/secret.md", "private: true", "private: false")
    built(small)
    assert [name for name, data in tree(small / "site").items() if b"Secret" in data], (
        "control: public, it stands there"
    )


def test_a_kind_without_entries_has_no_line_in_the_menu_and_a_draft_is_marked(small):
    built(small)
    page = (small / "site/index.html").read_text(encoding="utf-8")
    assert "terms.html" in page and "papers.html" not in page and "meetings.html" not in page
    assert not (small / "site/papers.html").exists()
    (small / "entries/papers").mkdir()
    (small / "entries/papers/one.md").write_text("---\ntitle: One\nkind: paper\ndraft: true\n---\n", encoding="utf-8")
    built(small)
    assert "papers.html" in (small / "site/index.html").read_text(encoding="utf-8"), "control"
    assert 'class="chip draft"' in (small / "site/papers/one.html").read_text(encoding="utf-8")


def test_feed_and_map_need_an_address_and_are_whole_with_one(small):
    built(small)
    assert not (small / "site/feed.xml").exists() and "canonical" not in (small / "site/index.html").read_text()
    (small / "glassbook.toml").write_text(
        f'[notebook]\ntitle = "Small & <b>"\naddress = "{ADDRESS}"\n', encoding="utf-8"
    )
    edit(small, "terms/attention-head.md", "level: 3", "level: 3\ndate: 2026-11-23")
    built(small)
    feed = ElementTree.parse(small / "site/feed.xml").getroot()
    atom = "{http://www.w3.org/2005/Atom}"
    assert [feed.find(f"{atom}{name}").text for name in ("id", "title", "updated")] == [
        ADDRESS,
        "Small & <b>",
        "2026-11-23T00:00:00Z",
    ]
    entry = feed.find(f"{atom}entry")
    assert entry.find(f"{atom}id").text == f"{ADDRESS}terms/attention-head.html"
    found = [one.text for one in ElementTree.parse(small / "site/sitemap.xml").iter() if one.text and one.text.strip()]
    assert f"{ADDRESS}terms/attention-head.html" in found and all(one.startswith(ADDRESS) for one in found)


def test_words_with_markup_in_titles_tags_and_definitions_are_shown_as_they_are(small):
    bad = "<img src=x onerror=alert(1)>"
    fields = f"---\ntitle: '{bad}'\nkind: term\ntags: ['{bad}']\ndefinition: '{bad}'\naliases: ['{bad} too']\n---\n"
    (small / "entries/terms/bad.md").write_text(f"{fields}Text.\n", encoding="utf-8")
    edit(small, "posts/hello.md", "A post", "[[bad]] A post")
    built(small)
    for name, data in tree(small / "site").items():
        if name.endswith((".html", "names.js")):
            assert b"<img" not in data, name
    assert b"&lt;img" in tree(small / "site")["terms.html"], "control: the words are shown"


def test_unresolved_references_are_counted_and_shown_with_their_words(small):
    edit(small, "posts/hello.md", "A post", "![a lost picture](lost.png) A post")
    (found,) = built(small).unresolved
    assert (found.address, found.shown, found.line) == ("lost.png", "a lost picture", 3)
    assert "a lost picture" in (small / "site/posts/hello.html").read_text(encoding="utf-8")


def test_a_folder_that_no_build_made_is_left_alone(small, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/keep.txt").write_text("keep")
    for out in (tmp_path / "mine", small, small.parent, tmp_path / "mine/keep.txt"):
        with pytest.raises(GlassbookError, match="with --out"):
            built(small, out)
    assert (tmp_path / "mine/keep.txt").read_text() == "keep"
    (tmp_path / "mine/keep.txt").unlink()
    assert built(small, tmp_path / "mine").pages > 0, "control: an empty one is taken"


def test_a_notebook_without_entries_is_built(tmp_path):
    (tmp_path / "glassbook.toml").write_text('[notebook]\ntitle = "Empty"\n')
    report = built(tmp_path)
    assert report.pages == 3 and lost_links(tmp_path / "site") == []


def test_a_damaged_cache_costs_time_and_nothing_else(small):
    built(small)
    before = tree(small / "site")
    for path in (small / ".glassbook/cache").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\x00damaged")
    assert built(small).rendered == 3
    assert tree(small / "site") == before
