"""What the notebook reads beyond CommonMark, and what it leaves alone."""

import pytest
from markupsafe import escape

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.markdown import Heading, Unresolved
from notebook.markdown.known import html, page

# One of each addition, none of which may be read where code stands.
ADDITIONS = (
    "$x^2$",
    "$$x$$",
    "\\(x\\)",
    "\\\\(x\\\\)",
    "[[GPT-2]]",
    "[@radford2019]",
    "{{claim k}}",
    "[0.91](run:s/laptop#c.estimate)",
    "![x](view:s/laptop/views/x.json)",
    "~~x~~",
    "^[note]",
)


@pytest.mark.parametrize("addition", ADDITIONS)
def test_code_keeps_every_addition_as_it_was_written(addition: str) -> None:
    assert f"<code>{_as_text(addition)}</code>" in html(f"`{addition}`")
    assert _as_text(addition) in html(f"```text\n{addition}\n```")
    assert _as_text(addition) in html(f"    {addition}")
    assert _as_text(addition) not in html(addition)


def _as_text(text: str) -> str:
    return str(escape(text)).replace("&#34;", '"').replace("&#39;", "'")


def test_a_link_to_an_entry_shows_what_was_written() -> None:
    assert (
        html("See [[GPT-2]].") == '<p>See <a class="entry" href="../terms/gpt-2.html" data-entry="gpt-2">GPT-2</a>.</p>'
    )
    assert ">that *very* model</a>" not in html("[[GPT-2|that *very* model]]")
    assert ">that <em>very</em> model</a>" in html("[[GPT-2|that *very* model]]")
    assert 'href="../terms/gpt-2.html#sizes"' in html("[[GPT-2#sizes]]")


def test_a_link_by_slug_shows_the_title_and_one_by_another_name_does_not() -> None:
    assert ">Principal components</a>" in html("[[pca]]")
    assert ">PCA</a>" in html("[[PCA]]")


def test_a_link_may_be_broken_over_lines_and_stand_in_a_table() -> None:
    assert 'data-entry="activation-steering">activation steering</a>' in html("on [[activation\nsteering]]")
    assert 'data-entry="x">y</a></td>' in html("| a |\n|---|\n| [[x\\|y]] |")


def test_a_link_to_a_place_of_the_same_page_is_held_to_it() -> None:
    assert '<a href="#the-way">the way</a>' in html("## The way\n\n[[#the-way]]")
    with pytest.raises(
        NotebookError, match=r"here\.md:3: no place on this page is called '#the-wya'; did you mean '#the-way'"
    ):
        html("## The way\n\n[[#the-wya]]")


def test_brackets_that_are_no_link_to_an_entry_are_prose() -> None:
    for prose in ("[[]]", "[[a", "[ [x]]", "a[i][j]", "[[a] b]"):
        assert "data-entry" not in html(prose)


def test_a_citation_names_its_sources_with_their_places() -> None:
    shown = html("so [@radford2019; @vaswani2017, section 3]")
    assert '<a class="cite" href="#ref-radford2019" data-cite="radford2019">Radford et al. 2019</a>; ' in shown
    assert shown.endswith("Vaswani et al. 2017</a>, section 3)</span></p>")
    assert page("a [@vaswani2017] b [@radford2019] c [@vaswani2017]").cited == ("vaswani2017", "radford2019")


def test_what_only_looks_like_a_citation_is_prose() -> None:
    for prose in ("[@]", "a@b.example", "[see @radford2019]", "[@radford2019](https://x.example)", "@radford2019"):
        assert "data-cite" not in html(prose)


def test_live_pieces_are_asked_for_by_name_and_take_their_place() -> None:
    assert html("It is {{claim a/b}}.") == "<p>It is <data>a/b</data>.</p>"
    assert html("{{ view run/name }}") == '<figure class="view">run/name</figure>'
    assert html("{{ x }} and {claim x}") == "<p>{{ x }} and {claim x}</p>"


def test_a_claim_alone_on_a_line_is_told_in_full_where_there_is_more_to_tell() -> None:
    assert html("{{claim a/b}}") == "<p><data>a/b</data></p>"
    assert html("{{claim in full}}") == "<section>in full</section>"
    assert html("So {{claim in full}}.") == "<p>So <data>in full</data>.</p>"


def test_a_picture_within_a_sentence_is_in_no_paragraph_which_could_not_hold_it() -> None:
    assert html("So {{view a}} it is.") == '<div class="paragraph">So <figure class="view">a</figure> it is.</div>'


def test_a_number_leads_to_its_run_and_a_picture_is_a_view_of_one() -> None:
    assert 'class="measured"' in html("x^[so [0.5](run:a/b#c)]")
    assert html("[−0.13](run:s/laptop#c.estimate)") == '<p><a class="measured" href="s/laptop.html">−0.13</a></p>'
    assert html("![words](view:s/laptop/views/x.json)") == '<figure class="view">s/laptop/views/x.json</figure>'


def test_a_picture_alone_with_a_title_is_a_figure_whose_caption_is_read() -> None:
    shown = html('![Words](a.png "So *it* is [[GPT-2]] [@radford2019]")')
    assert shown.startswith('<figure><img src="a.png" alt="Words"')
    assert "<figcaption>So <em>it</em> is <a" in shown and 'data-cite="radford2019"' in shown
    assert html("![Words](a.png)").startswith("<p><img")
    assert html('in ![Words](a.png "T") a sentence').startswith("<p>in <img")


def test_what_is_not_there_is_shown_with_its_words_and_address_and_told() -> None:
    told = page("[gone](missing.md)\n\n![a picture](missing.png)\n\n[doi](doi:10.1/2)")
    assert '<span class="unresolved">gone <span class="address">(missing.md)</span></span>' in told.html
    assert '<span class="unresolved">a picture <span class="address">(missing.png)</span></span>' in told.html
    assert told.unresolved == (
        Unresolved("missing.md", "gone", 1),
        Unresolved("missing.png", "a picture", 3),
        Unresolved("doi:10.1/2", "doi", 5),
    )
    assert page("[there](there.md)").unresolved == ()


def test_a_picture_from_elsewhere_is_a_link_and_never_loaded() -> None:
    shown = html("![a picture](https://far.example/p.png)")
    assert "<img" not in shown and 'href="https://far.example/p.png"' in shown and "far.example</span>" in shown


@pytest.mark.parametrize(
    "address",
    [
        "https://x.example/a_(b)",
        "https://x.example/~me/",
        "https://x.example/#:~:text=words,here",
        "https://x.example/s#§-3",
        "mailto:someone@x.example",
    ],
)
def test_addresses_of_every_spelling_survive(address: str) -> None:
    assert f'href="{address.replace("§", "%C2%A7")}"' in html(f"[x]({address})")


def test_bold_may_span_links() -> None:
    assert html("**a [b](https://x.example) c**") == (
        '<p><strong>a <a class="abroad" href="https://x.example">b</a> c</strong></p>'
    )


def test_notes_stand_below_the_text_in_the_order_of_their_numbers() -> None:
    shown = html(
        "One[^b], two[^a], one again[^b], and^[written *here*].\n\n[^a]: The second.\n\n[^b]: The first.\n\n    More."
    )
    assert shown.count('<sup class="footnote-ref">') == 4
    first, second, third = shown.index("The first."), shown.index("The second."), shown.index("written <em>here</em>")
    assert shown.index('<section class="footnotes">') < first < second < third
    assert '<li id="fn-1"><p>The first.</p>\n<p>More. <a class="backref" href="#fnref-1"' in shown
    assert 'id="fnref-1-1"' in shown and 'href="#fnref-1-1"' in shown


def test_a_note_nobody_refers_to_and_one_written_twice_are_faults_and_a_bracket_without_note_is_prose() -> None:
    with pytest.raises(NotebookError, match=r"here\.md:3: nothing in the text refers to the footnote \[\^a\]"):
        html("x\n\n[^a]: y")
    with pytest.raises(NotebookError, match=r"here\.md:5: the footnote \[\^a\] stands here a second time"):
        html("x[^a]\n\n[^a]: y\n\n[^a]: z")
    assert html("the class [^a] of letters") == "<p>the class [^a] of letters</p>"


def test_a_note_may_refer_to_itself_without_end() -> None:
    assert html("x[^a]\n\n[^a]: y[^a]").count("footnote-ref") == 2


def test_a_callout_has_a_kind_a_title_and_a_text() -> None:
    assert html("> [!tip] A *good* one\n> words") == (
        '<div class="callout tip" role="note"><p class="callout-title">A <em>good</em> one</p>\n<p>words</p>\n</div>'
    )
    assert '<p class="callout-title">Warning</p>' in html("> [!WARNING]\n> words")
    assert html("> [tip] words").startswith("<blockquote>")
    assert 'class="callout note"' in html("> [!unheard-of] words") and ">words</p>" in html("> [!unheard-of] words")


def test_callouts_quotes_and_lists_lie_in_each_other() -> None:
    shown = html("> [!note] a\n> > b\n>\n> - > [!tip] c\n>   > d\n\n> e")
    assert shown.count("<blockquote>") == shown.count("</blockquote>") == 2
    assert shown.count('class="callout ') == 2


def test_tasks_are_ticked_or_not() -> None:
    shown = html("- [ ] one\n- [x] two\n- [y] three\n- three [x]")
    assert shown.count("<input") == 2 and shown.count("checked") == 1 and "[y] three" in shown
    assert 'aria-label="done"' in shown and 'aria-label="to do"' in shown


def test_definitions_tables_and_strikes_are_read() -> None:
    assert html("Term\n: what it means") == "<dl><dt>Term</dt>\n<dd>what it means\n</dd>\n</dl>"
    shown = html("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<th class="center" scope="col">a</th>' in shown and '<td class="right">2</td>' in shown
    assert html("~~no~~ ~2") == "<p><s>no</s> ~2</p>"


def test_code_is_colored_by_classes_alone_and_says_its_language() -> None:
    shown = html("```python\ndef f(): ...\n```")
    assert '<span class="k">def</span>' in shown and "style=" not in shown and "<span>python</span>" in shown
    assert '<span class="gp">$ </span>' in html("```console\n$ ls\nfile\n```")
    assert "<span" not in html("```\ndef f(): ...\n```")
    assert "\n\n  def\n\n" in html("```unheard-of\n\n\n  def\n\n\n```")


def test_headings_have_ids_of_their_own_and_make_the_contents() -> None:
    told = page("## The *two* `files` — [a](https://x.example)\n\n## Twice\n\n### Twice\n\n## Größe & Maß!\n\n## ???")
    assert told.contents == (
        Heading(2, "the-two-files--a", "The two files — a"),
        Heading(2, "twice", "Twice"),
        Heading(3, "twice-1", "Twice"),
        Heading(2, "größe--maß", "Größe & Maß!"),
        Heading(2, "section", "???"),
    )
    assert {heading.id for heading in told.contents} <= told.anchors


def test_ids_written_by_hand_survive_and_headings_give_way_to_them() -> None:
    told = page('## Models\n\n## <span id="old">New</span>\n\n<a name="models"></a> <span id="models">second</span>')
    assert [heading.id for heading in told.contents] == ["models-1", "new"]
    assert {"old", "models", "new", "models-1"} <= told.anchors
    assert told.html.count('id="models"') == 1
    same = page('### <span id="transformers">Transformers<span>\n\n[x](#transformers)')
    assert same.contents == (Heading(3, "transformers", "Transformers"),)


def test_the_same_text_is_the_same_page() -> None:
    text = "# a\n\n$x$ [[GPT-2]] {{claim k}} [@radford2019] ^[n]\n\n```python\nx\n```"
    assert page(text) == page(text)
    assert page(text) != page(text + "!")
