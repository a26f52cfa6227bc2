"""Which part of a page becomes which kind of entry, told from the words of its headings and the shape of its lists."""

import pytest

from notebook.importing.bringing import bring


def kinds(tmp_path, text: str) -> dict[str, list[str]]:
    """Return the slugs of each kind but the page itself."""
    found = bring(tmp_path, text).kinds()
    found.pop("page")
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("## Reading list\n\n1. [A](https://e.org/a)\n2. [B](https://e.org/b)\n", {"paper": ["a", "b"]}),
        ("## Papers\n\n### Vision\n\n#### [A](https://e.org/a)\n\nProblem: hard.\n", {"paper": ["a"]}),
        (
            "## Papers\n\n### A paper without a link\n\nProblem: hard.\n\nProposal: try.\n",
            {"paper": ["a-paper-without-a-link"]},
        ),
        ("## Papers\n\n### A\n\nSomebody 2023.\n\n**Problem**: hard.\n", {"paper": ["a"]}),
        ("## Papers\n\n### A\n\nSomebody 2023, [here](https://arxiv.org/abs/2308.10248)\n", {"paper": ["a"]}),
        ("## Glossary\n\n### Head\n\nOne of the attentions.\n\n### Layer\n\nA block.\n", {"term": ["head", "layer"]}),
        ("## Glossary\n\nHead\n: One of the attentions.\n\nLayer\n: A block.\n", {"term": ["head", "layer"]}),
        ("## Terms\n\n### Basics\n\n- A: It is one.\n- B: It is two.\n", {"term": ["a", "b"]}),
        ("## Learning log\n\n### Nov 2023\n\nText.\n\n#### Courses\n\n- One\n", {"log": ["nov-2023"]}),
        ("## Nov 2023 – Feb 2024\n\nText.\n", {"log": ["nov-2023-feb-2024"]}),
        ("## Achievements\n\n### Q4 2026\n\n- Won.\n", {"achievement": ["q4-2026"]}),
        ("## Milestones\n\n- Nov 2023: Won.\n- Jan 2024: Won again.\n", {"achievement": ["jan-2024", "nov-2023"]}),
        ("## People I've met\n\n### Chat with a student\n\nGood.\n", {"meeting": ["chat-with-a-student"]}),
        ("## Meetings\n\n- Call with a lecturer: about maps.\n", {"meeting": ["call-with-a-lecturer"]}),
        ("## Projects\n\n### Camps\n\n- A camp: Three months.\n\n### Tool\n\nText.\n", {"project": ["a-camp", "tool"]}),
        ("## Camps, teams and classes\n\n### A team\n\nText.\n", {"project": ["a-team"]}),
        ("## Blog\n\n- [A](https://e.org/a)\n", {"post": ["a"]}),
    ],
)
def test_headings_and_lists_tell_the_kind(tmp_path, text, expected):
    assert kinds(tmp_path, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "## Machine learning\n\n- Maps: They are linear.\n",
        "## How people learn\n\nText about people.\n",
        "## Thoughts\n\n- One: two.\n",
        "## Terms\n\n- Just a name\n",
        "## Papers\n\nOnly prose stands here.\n",
        "## Papers\n\n### How I read\n\nSee [my page](https://e.org/reading).\n",
        "## Achievements\n\n- Won something, some day.\n",
        "## Learning\n\n- More of everything\n",
        "## A long heading that says papers and terms and many other words too\n\n- A: It is one.\n",
        "## Projects\n\n- [ ] A task: to be done\n",
        "## Papers\n\n- A group:\n  - [A](https://e.org/a)\n  - [B](https://e.org/b)\n",
    ],
)
def test_control_what_is_not_understood_stays_whole_on_the_page(tmp_path, text):
    brought = bring(tmp_path, text)
    assert brought.kinds() == {"page": ["page"]}
    assert brought.entry("page").body == text


def test_a_title_says_what_a_whole_page_collects(tmp_path):
    assert kinds(tmp_path, "# Projects\n\n## One\n\nText.\n\n## Two\n\nText.\n") == {"project": ["one", "two"]}
    assert kinds(tmp_path / "control", "# Thoughts\n\n## One\n\nText.\n") == {}


def test_a_heading_that_becomes_a_title_leaves_the_text_and_one_with_markup_stays(tmp_path):
    brought = bring(
        tmp_path, '## Projects\n\n### <a name="x"></a>A tool & more\n\nText.\n\n### A *good* tool\n\nText.\n'
    )
    assert brought.entry("a-tool-more").title == "A tool & more"
    assert brought.entry("a-tool-more").body == '<span id="x"></span>\n\nText.\n'
    assert brought.entry("a-good-tool").body == "## A *good* tool\n\nText.\n"


def test_a_raw_heading_parts_a_page_like_any_other(tmp_path):
    text = (
        '<h2 id="t">Terms</h2>\n\n- A: It is one thing.\n\n<h2>Meetings</h2>\n\n<h3>Chat with a student</h3>\n\nGood.\n'
    )
    assert kinds(tmp_path, text) == {"meeting": ["chat-with-a-student"], "term": ["a"]}


def test_what_raw_html_holds_together_is_not_torn_apart(tmp_path):
    inside = "<details>\n<summary>Old</summary>\n\n### Chat with a student\n\nGood.\n\n</details>\n"
    text = f"## Meetings\n\n{inside}\n### Chat with a lecturer\n\nBetter.\n"
    assert kinds(tmp_path, text) == {"meeting": ["chat-with-a-lecturer"]}
    torn = "## Meetings\n\n### Chat with a student\n\n<details>\n\nGood.\n\n### Chat with a lecturer\n\n</details>\n"
    assert kinds(tmp_path / "torn", torn) == {"meeting": ["chat-with-a-student"]}


def test_notes_that_are_not_indented_belong_to_the_paper_before_them_and_are_doubted(tmp_path):
    text = "## Papers\n\n- [A](https://e.org/a):\n\nThe problem: hard.\n\nMore of it.\n\n- [B](https://e.org/b)\n\nThat is all.\n"
    brought = bring(tmp_path, text)
    assert brought.entry("a").body == "[A](https://e.org/a):\n\nThe problem: hard.\n\nMore of it.\n"
    assert brought.entry("b").body == "[B](https://e.org/b)\n"
    assert "That is all." in brought.entry("page").body
    assert sum("without an indent" in doubt.sentence for doubt in brought.report.doubts) == 2


def test_terms_in_increasing_order_get_their_levels_the_other_way_round(tmp_path):
    items = "- A: It is one thing.\n- B: It is another thing.\n"
    down = bring(tmp_path, f"## Terms\n\n(in decreasing order)\n\n{items}")
    up = bring(tmp_path / "up", f"## Terms\n\n(in increasing order)\n\n{items}")
    assert (down.entry("a").level, down.entry("b").level) == (1, 2)
    assert (up.entry("a").level, up.entry("b").level) == (2, 1)


def test_a_short_name_that_another_entry_has_is_not_given_again(tmp_path):
    brought = bring(
        tmp_path, "## Terms\n\n- Auto-encoder (AE): It is a thing.\n- Adversarial example (AE): It is another.\n"
    )
    assert brought.entry("auto-encoder").aliases == ("AE",)
    assert brought.entry("adversarial-example").aliases == ()
    assert any("'AE' names another entry" in remark for remark in brought.report.remarks)


def test_footnotes_and_link_definitions_go_with_every_entry_that_uses_them(tmp_path):
    text = (
        "Intro[^a].\n\n## Terms\n\n- One: See [here][x] and[^b] and[^a].\n- Two: See [here][x].\n\n"
        "[^a]: Both, as [there][y].\n[^b]: Only one.\n\n    Two paragraphs.\n\n[x]: https://e.org/x\n[y]: https://e.org/y\n"
    )
    brought = bring(tmp_path, text)
    rendered = brought.rendered()
    assert 'href="https://e.org/x"' in rendered["terms/one.md"].html
    assert 'href="https://e.org/x"' in rendered["terms/two.md"].html
    assert "Two paragraphs." in rendered["terms/one.md"].text
    assert "Only one" not in brought.entry("page").body
    assert all("[^a]: Both" in brought.entry(slug).body for slug in ("page", "one"))
    assert 'href="https://e.org/y"' in rendered["terms/one.md"].html


def test_a_formula_that_cannot_be_set_is_told_of_with_its_line_and_kept(tmp_path):
    brought = bring(tmp_path, "Good: $x_1$.\n\nBad, on\nthe second line: $\\frac{1$.\n")
    doubts = [(doubt.line, doubt.sentence) for doubt in brought.report.doubts]
    assert [line for line, _ in doubts] == [4]
    assert "mend it before the next build" in doubts[0][1]
    assert "$\\frac{1$" in brought.entry("page").body


def test_link_definitions_above_an_underlined_title_stay(tmp_path):
    brought = bring(tmp_path, "[x]: https://e.org/x\nA title\n=======\n\nSee [x].\n")
    assert brought.entry("page").title == "A title"
    assert brought.entry("page").body.startswith("[x]: https://e.org/x\n")
    assert 'href="https://e.org/x"' in brought.rendered()["pages/page.md"].html
