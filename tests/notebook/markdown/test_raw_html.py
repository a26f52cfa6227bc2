"""Raw HTML in a text: what passes, what is turned into something else, and what its author forgot to close."""

import pytest

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown import Unresolved
from notebook.injections import is_balanced
from notebook.markdown.known import html, page


def test_a_heading_whose_tags_are_left_open_swallows_nothing() -> None:
    told = page(
        '### <span id="transformers"><a href="https://x.example">Transformers</a><span>\n\nWords **here**.\n\n## Next'
    )
    assert '<span id="transformers"><a class="abroad" href="https://x.example">Transformers</a>' in told.html
    assert "<p>Words <strong>here</strong>.</p>\n<h2" in told.html
    assert is_balanced(told.html) and "transformers" in told.anchors


@pytest.mark.parametrize(
    "opened", ["<b>", "<small>", '<a href="https://x.example">', "<details>", "<blockquote>", "<div>", "<table>"]
)
def test_a_tag_left_open_ends_with_its_paragraph(opened: str) -> None:
    for before in (f"a {opened}b", f"{opened}\nb", f"> {opened}b", f"- a\n\n  {opened}\n  b"):
        shown = html(f"{before}\n\nafter *it*")
        assert shown.endswith("<p>after <em>it</em></p>") and is_balanced(shown), shown


def test_tags_that_a_later_block_closes_hold_what_stands_between() -> None:
    shown = html('<details id="more" open>\n<summary>More</summary>\n\nhidden *text*\n\n</details>\n\nafter')
    assert shown.index('<details id="more" open="">') < shown.index("<em>text</em>") < shown.index("</details>")
    assert shown.endswith("<p>after</p>")
    inside = html("<div>\n\n> <small>\n\nx\n\n</div>")
    assert inside.index("<div>") < inside.index("x") < inside.index("</div>") and is_balanced(inside)


def test_end_tags_that_nothing_opened_are_left_out() -> None:
    assert html("a</div></span></p> b") == "<p>a b</p>"
    assert html("</div>\n\nb") == "<p>b</p>"


def test_the_tags_of_old_pages_survive_with_their_ids() -> None:
    for tag in ("span", "small", "a", "sub", "kbd"):
        assert f'<{tag} id="here">x</{tag}>' in html(f'a <{tag} id="here">x</{tag}>')
    for tag in ("p", "details", "blockquote", "div"):
        assert f'<{tag} id="here">x</{tag}>' in html(f'<{tag} id="here">x</{tag}>')
    assert html("a<br/>b<BR>c") == "<p>a<br>b<br>c</p>"
    assert "<hr>" in html("<hr>")
    assert html('<a name="old"></a>x') == '<p><a id="old"></a>x</p>'


def test_a_heading_in_html_stands_in_the_contents() -> None:
    told = page("<h2 class=x>Old &amp; <em>good</em></h2>\n\n<h2 id=own>Own</h2>")
    assert [(heading.level, heading.id, heading.text) for heading in told.contents] == [
        (2, "old--good", "Old & good"),
        (2, "own", "Own"),
    ]


def test_links_and_pictures_in_html_are_like_all_others() -> None:
    told = page(
        '<a href="gpt-2.md">x</a> <img src="a.png" alt="b" width="9"> <img src="missing.png" alt="c"> <a href="missing.md">d</a>'
    )
    assert '<a class="entry" href="../terms/gpt-2.html" data-entry="gpt-2">x</a>' in told.html
    assert '<img src="a.png" alt="b"' in told.html and "width" not in told.html
    assert [gone.address for gone in told.unresolved] == ["missing.png", "missing.md"]
    assert [mention.slug for mention in told.mentions] == ["gpt-2"]


def test_what_would_be_embedded_becomes_a_link_before_its_own_words() -> None:
    shown = html('<object data="https://x.example/p.pdf" type="application/pdf">read <b>it</b></object> after')
    assert shown == (
        '<p><a class="abroad" href="https://x.example/p.pdf">https://x.example/p.pdf</a> read <b>it</b> after</p>'
    )
    assert 'href="https://v.example/e">A talk</a>' in html('<iframe src="https://v.example/e" title="A talk"></iframe>')
    assert page("<object data=missing.svg>x</object>").unresolved == (Unresolved("missing.svg", "", 1),)


def test_scripts_styles_and_comments_are_no_text_and_all_else_is() -> None:
    told = page(
        "a <script>one</script> b <style>two</style> c <!-- three --> d <form>e</form> <font color=red>f</font>"
    )
    assert told.text.split() == ["a", "b", "c", "d", "e", "f"]
    assert page("<script>one\n\ntwo</script>\n\n<textarea>g</textarea>").text.split() == ["g"]


@pytest.mark.parametrize(
    "opened", ["<!-- a", "<script>", "<style>", "<pre>", "<textarea>", "<?php", "<![CDATA[", "<div><!-- a"]
)
def test_what_would_take_the_rest_of_the_page_is_a_fault(opened: str) -> None:
    with pytest.raises(
        NotebookError, match=r"here\.md:3: '<.*' is never closed, so the text after it would not be seen"
    ):
        html(f"a\n\n{opened}\n\nb")


def test_brackets_that_are_no_tag_are_text() -> None:
    assert html("a < b > c <3 <- x") == "<p>a &lt; b &gt; c &lt;3 &lt;- x</p>"
    assert "1 &lt; 2" in html("<div>\n1 < 2 &amp; 3\n</div>")
    assert page("<div>\n1 < 2 &amp; 3\n</div>").text == "1 < 2 & 3"


def test_a_class_of_ours_cannot_be_borrowed() -> None:
    assert (
        html('<span class="measured" data-live="replicated" style="color:red">0.99</span>')
        == "<p><span>0.99</span></p>"
    )
