"""The ids of headings as the common renderers made them, and that each still leads where it did."""

import pytest

from notebook.importing.bringing import bring


@pytest.mark.parametrize(
    ("heading", "renderer", "made"),
    [
        ("What is Steering?", "GitHub", "what-is-steering"),
        ("Papers + Notes (if open access)", "GitHub", "papers--notes-if-open-access"),
        ("Über uns & mehr", "GitHub", "über-uns--mehr"),
        ("A `code` and *words*", "GitHub", "a-code-and-words"),
        ("snake_case stays", "GitHub", "snake_case-stays"),
        ("3. Third time", "kramdown", "third-time"),
        ("Über uns", "kramdown", "ber-uns"),
        ('<span id="own">Spanned</span>', "Gatsby", "span-idownspannedspan"),
        ('<span id="own">Spanned</span>', "the page itself", "own"),
        ("[Linked](https://e.org)", "kramdown, from the source", "linkedhttpseorg"),
        ("Given {#my-own}", "kramdown or Docusaurus", "my-own"),
    ],
)
def test_an_id_is_made_as_its_renderer_made_it_and_is_on_the_page_again(tmp_path, heading, renderer, made):
    brought = bring(tmp_path, f"Text.\n\n## {heading}\n\nMore.\n")
    assert made in brought.rendered()["pages/page.md"].anchors
    assert any(renderer in name for name in brought.report.anchors)


def test_equal_headings_are_numbered_as_before_also_when_one_of_them_has_gone(tmp_path):
    text = "# P\n\n## Notes\n\n## Projects\n\n### Notes\n\nA tool.\n\n## Notes\n\n"
    text += "[first](#notes) [second](#notes-1) [third](#notes-2)\n"
    brought = bring(tmp_path, text)
    body = brought.entry("page").body
    assert "[first](#notes) [second](../projects/notes.md) [third](#notes-2)" in body
    assert '<a id="notes-1"></a>[Notes](../projects/notes.md)' in body
    assert {"notes", "notes-1", "notes-2"} <= brought.rendered()["pages/page.md"].anchors


def test_a_link_to_nowhere_on_the_page_is_unresolved_and_not_a_fault(tmp_path):
    brought = bring(tmp_path, "## Terms\n\n- A: See [it](#gone) and [top](#top) and [words](#:~:text=It%20is).\n")
    page = brought.rendered()["terms/a.md"]
    assert [gap.address for gap in page.unresolved] == ["../page.md#gone"]
    assert [(gap.address, gap.line) for gap in brought.report.unresolved] == [("#gone", 3)]
