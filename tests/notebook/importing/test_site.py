"""Pages and posts of a whole site, imported together: their front matter, their links to each other, their pictures."""

from datetime import date

import pytest

from glassbook.notebook.faults import NotebookError
from glassbook.sources import pictures
from notebook.importing.bringing import again, bring, write

PNG = b"\x89PNG\r\n\x1a\n"
SITE: dict[str, str | bytes] = {
    "pages/notebook.md": (
        "---\ntitle: Notebook\n---\n\nSee [a post](/blog/first-post), [it](../posts/first-post.md), [again](first-post.html), "
        "[and](/posts/first-post/), [the camp](/projects#camp), [a place](/posts/first-post#why-it-works), [home](/about).\n\n"
        "## Projects\n\n- [A camp](/projects#camp)\n- [Elsewhere](https://example.org/x)\n\n![A](/img/a.png) ![B](/b.png)\n"
    ),
    "pages/projects.md": (
        '---\ntitle: Projects\n---\n\nWhat I worked on.\n\n## <span id="camp">The camp</span>\n\nThree months.\n\n'
        "## A class for beginners\n\nOne term. Back to [the notebook](notebook).\n"
    ),
    "pages/About me & more ü.md": '+++\ntitle = "About"\nweight = 3\n[extra]\nmood = "good"\n+++\n\nHello.\n',
    "posts/first-post.md": (
        '---\ntitle: "First: a post"\npublish_date: 2023-05-06\nlayout: post\nreading: {minutes: 3}\ntags: maps, linear\n---\n\n'
        "# First: a post\n\n## Why it works\n\n## Projects\n\n- One: two.\n\n![A](/img/a.png)\n"
    ),
    "posts/2022-12-24-dated.mdx": "import Chart from './chart'\n\n# Dated\n\n<Chart data={[1, 2]} />\n\nText.\n",
    "public/img/a.png": PNG + b"a",
    "public/b.png": PNG + b"b",
    "public/other/a.png": PNG + b"other a",
}


@pytest.fixture
def site(tmp_path):
    return bring(tmp_path, SITE, "pages", "posts", assets=tmp_path / "source" / "public")


def test_pages_become_entries_by_their_folder_their_title_and_their_front_matter(site):
    assert site.kinds() == {
        "page": ["about-me-more-u", "notebook", "projects"],
        "post": ["dated", "first-post"],
        "project": ["a-class-for-beginners", "elsewhere", "the-camp"],
    }


def test_front_matter_stays_as_found_and_a_publish_date_dates_the_entry(site):
    post = site.entry("first-post")
    assert post.title == "First: a post"
    assert post.fields["publish_date"] == date(2023, 5, 6)
    assert post.date == date(2023, 5, 6)
    assert post.fields["reading"] == {"minutes": 3}
    assert post.tags == ("maps", "linear")
    about = site.entry("about-me-more-u")
    assert about.fields["weight"] == 3
    assert about.fields["extra"] == {"mood": "good"}
    # The day in the name of a file dates it, too.
    assert site.entry("dated").date == date(2022, 12, 24)


def test_a_post_is_never_taken_apart(site):
    assert "## Projects\n\n- One: two." in site.entry("first-post").body


def test_links_between_the_pages_lead_to_their_entries_however_they_were_written(site):
    body = site.entry("notebook").body
    assert body.count("](../posts/first-post.md)") == 4
    assert "[the camp](../projects/the-camp.md#camp)" in body
    assert "[a place](../posts/first-post.md#why-it-works)" in body
    assert "[the notebook](../pages/notebook.md)" in site.entry("a-class-for-beginners").body
    assert [gap.address for gap in site.report.unresolved] == ["/about"]


def test_a_pointer_to_a_project_that_is_imported_too_makes_no_second_entry_of_it(site):
    assert "- [A camp](../projects/the-camp.md#camp)" in site.entry("notebook").body


def test_every_page_of_it_is_rendered_without_a_fault(site):
    assert len(site.rendered()) == 8


def test_pictures_are_copied_once_under_their_own_names(site):
    assert site.report.assets == ("a.png", "b.png")
    assert "![A](../assets/a.png)" in site.entry("notebook").body
    assert "![A](../assets/a.png)" in site.entry("first-post").body
    assert (site.root / "entries" / "assets" / "b.png").read_bytes() == PNG + b"b"


def test_two_pictures_of_one_name_get_two_names(tmp_path):
    files = {"p/one.md": "![a](img/a.png) ![b](/other/a.png) ![c](same.png)\n", "q/img/a.png": PNG + b"a"}
    files |= {"q/other/a.png": PNG + b"other", "q/same.png": PNG + b"a"}
    brought = bring(tmp_path, files, "p", assets=tmp_path / "source" / "q")
    first, second = brought.report.assets
    assert {first[:2], second} == {"a-", "a.png"}
    # Equal bytes are one file, whatever they were called.
    assert brought.entry("one").body.count("](../assets/a.png)") == 2


def test_code_of_another_generator_is_kept_and_reported(site):
    assert "import Chart from './chart'" in site.entry("dated").body
    assert "<Chart data={[1, 2]} />" in site.entry("dated").body
    assert sum("code of another site's pages" in doubt.sentence for doubt in site.report.doubts) == 2


def test_equal_names_are_told_apart_and_the_clash_is_reported(tmp_path):
    brought = bring(tmp_path, {"a/x.md": "One.\n", "a/sub/x.md": "Two.\n"}, "a")
    assert sorted(brought.kinds()["page"]) == ["x", "x-2"]
    assert any("'x' is the name of another entry" in remark for remark in brought.report.remarks)


def test_an_entry_of_the_notebook_keeps_its_name_and_its_text(tmp_path):
    brought = bring(tmp_path, {"other.md": "Other.\n"})
    own = write(brought.root, {"entries/pages/x.md": "---\ntitle: Mine\n---\n\nMine.\n"}) / "entries/pages/x.md"
    before = own.read_bytes()
    source = write(tmp_path / "more", {"x.md": "Theirs.\n"})
    again(brought, source / "x.md")
    assert own.read_bytes() == before
    assert brought.entry("x-2").body == "Theirs.\n"


def test_what_would_be_a_slip_or_no_value_of_ours_is_kept_under_another_name(tmp_path):
    text = "---\ntitle: T\nkind: recipe\ndate: next week\npublishDate: 2021-02-03\ntag: [a]\ndraft: perhaps\n---\n\nText.\n"
    brought = bring(tmp_path, text)
    fields = brought.entry("page").fields
    assert fields["source_kind"] == "recipe"
    assert fields["source_date"] == "next week"
    assert fields["source_draft"] == "perhaps"
    assert fields["date"] == date(2021, 2, 3)
    assert "publishDate" in str(fields)


def test_what_was_private_or_a_draft_stays_so_in_every_part(tmp_path):
    brought = bring(tmp_path, "---\ntitle: T\nprivate: true\n---\n\n## Terms\n\n- A: It is a thing.\n")
    assert all(entry.private for entry in brought.notebook.entries)
    unpublished = bring(tmp_path / "two", "---\ntitle: T\npublished: false\n---\n\n## Terms\n\n- A: It is a thing.\n")
    assert all(entry.draft for entry in unpublished.notebook.entries)


def test_what_this_notebook_knows_stays_a_wiki_link_and_everything_else_is_shown_as_written(tmp_path):
    files = {"a/one.md": "[[Two words]] and [[nobody]], {{study x}}, [@nobody2020].\n", "a/two words.md": "Two.\n"}
    brought = bring(tmp_path, files, "a")
    page = brought.rendered()["pages/one.md"]
    assert [mention.slug for mention in page.mentions] == ["two-words"]
    assert "[[nobody]], {{study x}}, [@nobody2020]." in page.text


def test_remote_pictures_are_listed_and_fetched_only_when_asked_for(tmp_path, monkeypatch):
    asked: list[str] = []

    def fetch(url: str) -> tuple[str, bytes]:
        asked.append(url)
        return "far.png", PNG

    monkeypatch.setattr("glassbook.notebook.importing.pages.fetch_picture", fetch)
    text = "![far](https://pictures.example/far.png) and ![far again](https://pictures.example/far.png)\n"
    brought = bring(tmp_path, text)
    assert asked == []
    assert {gap.kind for gap in brought.report.unresolved} == {"remote image"}
    page = tmp_path / "source" / "page.md"
    assert again(brought, page, fetch_images=True).unresolved == ()
    assert asked == ["https://pictures.example/far.png"]
    assert brought.entry("page").body.count("](../assets/far.png)") == 2
    # It lies here now, so neither a network nor the option is needed for it to stay.
    assert set(again(brought, page).states) == {"unchanged"}
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("image/svg+xml", b"<svg onload='x()'/>", "is no picture that can be kept"),
        ("text/html", b"<html>", "is no picture"),
        ("image/png", b"<html>", "is no picture"),
        ("image/png", PNG + b"x" * pictures.LARGEST, "more than 20 MB"),
    ],
)
def test_what_a_server_sends_instead_of_a_picture_stays_a_link(tmp_path, monkeypatch, kind, data, said):
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **options: _Answer(kind, data))
    brought = bring(tmp_path, "![far](https://pictures.example/far.png)\n", fetch_images=True)
    assert said in brought.report.remarks[0]
    assert brought.entry("page").body == "![far](https://pictures.example/far.png)\n"


def test_control_a_picture_is_taken_and_without_a_network_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **options: _Answer("image/png", PNG))
    assert bring(tmp_path, "![f](https://pictures.example/a%20b.png)\n", fetch_images=True).report.assets == (
        "a-b.png",
    )

    def offline(*given: object, **options: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    brought = bring(tmp_path / "off", "![f](https://pictures.example/f.png)\n", fetch_images=True)
    assert "could not be fetched (no route)" in brought.report.remarks[0]


def test_a_drawing_that_holds_a_program_is_not_copied(tmp_path):
    drawings = {
        "good.svg": '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>',
        "bad.svg": "<svg><script>alert(1)</script></svg>",
        "worse.svg": '<svg onload="alert(1)"></svg>',
    }
    page = "![a](good.svg) ![b](bad.svg) ![c](worse.svg) [pdf](paper.pdf)\n"
    brought = bring(tmp_path, {"page.md": page, **drawings, "paper.pdf": b"%PDF"})
    assert brought.report.assets == ("good.svg",)
    assert {gap.address for gap in brought.report.unresolved} == {"bad.svg", "worse.svg", "paper.pdf"}


def test_an_import_that_would_break_one_page_writes_none(tmp_path, monkeypatch):
    files = {"a/one.md": "One.\n", "a/two.md": "Two.\n"}
    from glassbook.notebook.importing import pages

    real = pages.cut
    monkeypatch.setattr(
        pages, "cut", lambda *given, **options: [body.replace("Two.", "") for body in real(*given, **options)]
    )
    with pytest.raises(NotebookError, match=r"a/two.md.*lost sentence 'Two.'"):
        bring(tmp_path, files, "a")
    assert not (tmp_path / "notebook" / "entries").exists()


class _Answer:
    def __init__(self, kind: str, data: bytes) -> None:
        self.headers, self._data = self, data
        self._kind = kind

    def get_content_type(self) -> str:
        return self._kind

    def read(self, size: int) -> bytes:
        return self._data[:size]

    def __enter__(self) -> "_Answer":
        return self

    def __exit__(self, *fault: object) -> None:
        return None
