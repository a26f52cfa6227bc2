"""One long page as people keep it (`samples/learning/ai-safety.md`), and what it becomes, entry by entry."""

from datetime import date
from pathlib import Path

import pytest

from glassbook.notebook.importing import import_pages
from glassbook.notebook.importing.cutting import MOVED
from glassbook.notebook.markdown import Rendered
from notebook.importing.bringing import Brought, fresh

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "learning" / "ai-safety.md"

KINDS = {
    "achievement": ["nov-2023", "summer-2023"],
    "log": ["feb-march-2024", "foundations", "jan-2024", "steering-and-evaluation-large-language-models-llms"],
    "meeting": [
        "meeting-with-a-co-worker-on-a-side-project",
        "meeting-with-an-evaluations-researcher-12-march-2024",
    ],
    "page": ["ai-safety"],
    "paper": [
        "a-benchmark-of-reasoning",
        "attention-is-all-one-needs",
        "debate-as-a-way-to-safety",
        "features-as-directions",
        "positive-economic-futures",
        "sparse-codes-with-a-variational-bound",
        "weak-supervision-of-strong-models-what-survives",
    ],
    "post": ["a-busy-persons-introduction-to-safety", "linear-maps-in-10-minutes"],
    "project": ["a-camp-on-safety", "a-class-for-beginners", "reading-group"],
    "term": [
        "dictionary-learning",
        "generative-adversarial-network",
        "pareto-frontier",
        "the-pause-debate",
        "the-reversal-curse",
        "variational-auto-encoder",
    ],
}


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Brought:
    root = fresh(tmp_path_factory.mktemp("sample"))
    return Brought(root, import_pages([SAMPLE], root))


@pytest.fixture(scope="module")
def rendered(brought: Brought) -> dict[str, Rendered]:
    return brought.rendered()


def test_every_part_becomes_an_entry_of_its_kind(brought):
    assert brought.kinds() == KINDS


def test_a_paper_keeps_its_topic_its_address_and_its_notes_as_they_were_written(brought):
    paper = brought.entry("sparse-codes-with-a-variational-bound")
    assert paper.fields["topics"] == ["Mechanistic Interpretability"]
    assert paper.fields["status"] == "read"
    assert paper.body == (
        "[Sparse codes with a variational bound](https://openreview.example/forum?id=SkeJ6iR9Km):\n\n"
        "The Problem: Features that can be read are hard to find in data of many dimensions.\n\n"
        "Proposal: An auto-encoder whose prior is a *spike and slab*.\n\n"
        "1. Most entries are zero.\n2. The others are Gaussian:\n\n   > so that the bound has a closed form\n"
    )


def test_identifiers_are_read_from_addresses_and_what_is_to_be_read_is_said_to_be(brought):
    assert brought.entry("debate-as-a-way-to-safety").fields["arxiv"] == "1805.00899"
    assert brought.entry("debate-as-a-way-to-safety").fields["topics"] == [
        "Governance and Policy",
        "Misalignment and Potential Solutions",
    ]
    assert brought.entry("features-as-directions").fields["doi"] == "10.1000/xyz123"
    assert brought.entry("features-as-directions").fields["status"] == "to read"
    assert "status" not in brought.entry("positive-economic-futures").fields


def test_a_span_left_open_around_a_link_stays_as_it_was_and_its_id_still_leads_there(brought, rendered):
    paper = brought.entry("attention-is-all-one-needs")
    assert paper.fields["arxiv"] == "1706.03762"
    opened = (
        '<span id="transformers"><a href="https://arxiv.org/abs/1706.03762">Attention is all one needs</a><span>:\n\n'
    )
    assert paper.body.startswith(opened)
    log = brought.entry("steering-and-evaluation-large-language-models-llms")
    assert '<a href="../papers/attention-is-all-one-needs.md#transformers">transformer</a>' in log.body
    assert "transformers" in rendered["papers/attention-is-all-one-needs.md"].anchors


def test_terms_have_levels_by_their_order_short_names_and_definitions(brought):
    levels = {entry.slug: entry.level for entry in brought.notebook.entries if entry.kind == "term"}
    assert sorted(levels, key=levels.__getitem__) == [
        "dictionary-learning",
        "the-reversal-curse",
        "pareto-frontier",
        "variational-auto-encoder",
        "the-pause-debate",
        "generative-adversarial-network",
    ]
    term = brought.entry("variational-auto-encoder")
    assert term.aliases == ("VAE",)
    assert term.definition.startswith("An auto-encoder whose codes are held close to a simple distribution")
    # "This tool is great for it" defines nothing.
    assert "definition" not in brought.entry("dictionary-learning").fields


def test_a_log_entry_knows_its_period_from_an_id_or_from_words_and_takes_its_footnotes_along(brought):
    log = brought.entry("steering-and-evaluation-large-language-models-llms")
    assert log.fields["period"] == "Nov 2023 – Feb 2024"
    assert log.date == date(2023, 11, 1)
    assert "[^size]: For seventy billion parameters" in log.body
    assert "\\\\( p(x_t \\mid x_{<t}) \\\\)" in log.body
    assert "[^size]:" not in brought.entry("foundations").body
    assert brought.entry("foundations").fields["period"] == "Summer 2023"
    assert brought.entry("jan-2024").body == "Jan 2024: A last month of interpretability before I turn to newer work\n"


def test_achievements_stand_in_the_quarter_in_which_they_end_and_a_longer_season_is_doubted(brought):
    assert brought.entry("nov-2023").fields["quarter"] == "2023-Q4"
    assert brought.entry("summer-2023").fields["quarter"] == "2023-Q3"
    assert any("'Summer 2023' is no quarter" in doubt.sentence for doubt in brought.report.doubts)


def test_a_meeting_that_was_public_stays_public_and_names_a_role(brought):
    meeting = brought.entry("meeting-with-an-evaluations-researcher-12-march-2024")
    assert not meeting.private
    assert meeting.fields["with"] == "an evaluations researcher"
    assert meeting.date == date(2024, 3, 12)
    assert "[the *projects*](../pages/ai-safety.md#projects)" in meeting.body


def test_the_page_keeps_its_front_matter_its_words_and_what_was_not_understood(brought):
    page = brought.entry("ai-safety")
    assert page.fields["meta_image"] == "/cards/notebook.png"
    assert page.fields["reading_time"] == "long"
    assert page.date == date(2023, 11, 2)
    body = MOVED.sub("", page.body)
    for kept in (
        "kept *in the open*",
        "<!-- ask someone to proofread this -->",
        "- Independent component analysis",
        "- Auto-encoder",
    ):
        assert kept in body
    assert '<details id="more"><summary>More</summary>\n\n### Not a part of its own' in body
    assert '<object data="/slides.pdf" type="application/pdf">The slides</object>' in body


def test_the_old_page_leads_on_from_every_anchor_as_renderers_made_them(brought, rendered):
    anchors = rendered["pages/ai-safety.md"].anchors
    assert {
        "nov-2023-feb-2024",
        "summer-2023",
        "transformers",
        "what-is-steering",
        "the-full-scoop-how-does-a-language-model-work",
        "meeting-with-a-co-worker-on-a-side-project",
        "papers-notes-and-reports",
        "more",
        "steering-and-evaluation--large-language-models-llms",
    } <= anchors
    leads = "".join(MOVED.findall(brought.entry("ai-safety").body))
    assert '<a id="what-is-steering"></a>[What is Steering?]' in leads
    assert "(../log/steering-and-evaluation-large-language-models-llms.md#what-is-steering)" in leads


def test_pictures_beside_the_page_are_copied_and_what_the_source_lacked_is_listed_with_its_line(brought):
    assert brought.report.assets == ("two-stages.png", "vae.png")
    assert '![Two stages of training](../assets/two-stages.png "From text to assistant")' in (
        brought.entry("steering-and-evaluation-large-language-models-llms").body
    )
    lines = SAMPLE.read_text().split("\n")
    gaps = {(gap.address, gap.kind): gap.line for gap in brought.report.unresolved}
    assert {kind for _, kind in gaps} == {"link", "image", "remote image"}
    assert all(address in lines[line - 1] for (address, _), line in gaps.items())
    assert ("/transformer.png", "image") in gaps
    assert ("notes/vae.md", "link") in gaps


def test_what_the_report_calls_unresolved_is_what_the_pages_show_as_unresolved(brought, rendered):
    shown = sorted(gap.address for page in rendered.values() for gap in page.unresolved)
    assert shown == sorted(gap.address for gap in brought.report.unresolved if gap.kind != "remote image")


def test_headings_inside_an_entry_keep_their_order_and_begin_at_the_second_level(brought, rendered):
    contents = rendered["log/steering-and-evaluation-large-language-models-llms.md"].contents
    assert [heading.level for heading in contents] == [2, 3, 4, 4]


def test_the_report_is_kept_in_the_notebook_and_says_what_went_where(brought):
    text = (brought.root / ".glassbook" / "imports" / f"{brought.report.name}.md").read_text()
    assert text == brought.report.to_markdown()
    assert "| Pareto frontier | term | `entries/terms/pareto-frontier.md` | ai-safety.md:119 |" in text
    for went in brought.report.went:
        assert (brought.root / went.path).is_file()
