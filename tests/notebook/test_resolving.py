"""Every question of a text is answered from the notebook, and an answer that changes is noticed."""

import pytest
from markupsafe import Markup

from glassbook.notebook.faults import NotebookError
from glassbook.notebook.links import backlinks, lost_anchors
from glassbook.notebook.markdown import render
from glassbook.notebook.markdown.resolving import Piece
from glassbook.notebook.notebook import open_notebook
from glassbook.notebook.resolving import EntryResolver, still_holds


class Nothing:
    """Stands for measurements that say the same of everything."""

    said = "1.5"

    def claim(self, key):
        return Piece(Markup(self.said), key)

    view = study = picture = claim

    def number(self, place, field, text):
        return Piece(Markup(text), text)


def asked_by(root, slug="residual-stream", measured=None):
    notebook = open_notebook(root)
    return EntryResolver(notebook, measured or Nothing(), notebook.find(slug))


def test_links_lead_from_page_to_page(small):
    resolver = asked_by(small)
    assert resolver.entry("attention heads").href == "attention-head.html"
    assert resolver.entry("Hello", "part").href == "../posts/hello.html#part"
    assert resolver.file("attention-head.md#how-it-works").href == "attention-head.html#how-it-works"
    assert resolver.file("../posts/hello.md").slug == "hello"
    assert resolver.citation("one2020").href == "#ref-one2020"


@pytest.mark.parametrize("name", ["attention haed", "secret", "Secret talk"])
def test_what_is_not_there_or_private_is_refused_without_telling_more(small, name):
    with pytest.raises(NotebookError) as told:
        asked_by(small).entry(name)
    assert "Secret" not in str(told.value).replace(f"'{name}'", "")
    assert ("did you mean 'Attention head'?" in str(told.value)) == name.startswith("att")


def test_a_link_to_the_file_of_a_private_entry_is_refused_and_not_shown_with_its_address(small):
    with pytest.raises(NotebookError, match="this leads to a private entry"):
        asked_by(small).file("../meetings/secret.md")
    text = "See [a talk](../meetings/secret.md)."
    with pytest.raises(NotebookError, match=r"^a\.md:3: this leads to a private entry"):
        render(text, asked_by(small), path="a.md", first_line=3)
    assert "hello.html" in render("See [a talk](../posts/hello.md).", asked_by(small)).html, "control: a public one"


def test_an_unknown_citation_names_the_nearest_key(small):
    with pytest.raises(NotebookError, match="did you mean 'one2020'"):
        asked_by(small).citation("one202")


def test_pictures_lie_below_entries_and_nowhere_else(small, tmp_path):
    resolver = asked_by(small)
    assert resolver.file("../assets/dot.png").href == "../assets/dot.png"
    assert set(resolver.files) == {"assets/dot.png"}
    (tmp_path / "outside.png").write_text("x")
    (small / "entries/terms/link.png").symlink_to(tmp_path / "outside.png")
    for outside in (
        "../../../outside.png",
        "/etc/passwd",
        "link.png",
        "nothing.png",
        "../refs.bib",
        "../meetings/nothing.md",
    ):
        assert resolver.file(outside) is None, outside


def test_a_rendering_holds_until_an_answer_changes(small):
    resolver = asked_by(small)
    render(resolver.asking.body, resolver)
    resolver.live("claim", "a/b")
    asked = dict(resolver.asked)
    assert len(asked) == 3
    assert still_holds(asked_by(small), asked)
    other = Nothing()
    other.said = "1.6"
    assert not still_holds(asked_by(small, measured=other), asked), "a number changed"
    head = small / "entries/terms/attention-head.md"
    head.write_text(head.read_text().replace("One of the parallel", "Each of the parallel"))
    assert not still_holds(asked_by(small), asked), "a definition that previews show changed"
    head.unlink()
    assert not still_holds(asked_by(small), asked), "an entry went"


def rendered(root):
    notebook = open_notebook(root)
    entries = {entry.slug: entry for entry in notebook.public}
    pages = {slug: render(one.body, EntryResolver(notebook, Nothing(), one)) for slug, one in entries.items()}
    return entries, pages


def test_backlinks_carry_the_sentence(small):
    _, pages = rendered(small)
    found = backlinks(pages)
    assert [(one.source, one.sentence) for one in found["residual-stream"]] == [
        ("attention-head", "It reads from the stream.")
    ]
    assert "hello" not in found


def test_a_link_to_a_heading_that_is_not_there_is_told_with_its_line(small):
    entries, pages = rendered(small)
    assert lost_anchors(entries, pages) == []
    path = small / "entries/terms/residual-stream.md"
    path.write_text(path.read_text().replace("[[attention heads]]", "[[attention heads#how-it-work]]"))
    (fault,) = lost_anchors(*rendered(small))
    assert "has no heading or id 'how-it-work'; did you mean '#how-it-works'?" in str(fault)
    assert fault.path.endswith("residual-stream.md")
