"""Where sentences end, and what is told of a mention."""

import pytest

from glassbook.notebook.markdown import Mention
from glassbook.notebook.markdown.sentences import LONGEST, Sentences
from notebook.markdown.known import page


@pytest.mark.parametrize(
    "sentences",
    [
        ["One thing.", "Another thing!", "A third?", "So…", "Done"],
        ["See e.g. Radford et al. 2019 and Fig. 3, i.e. the one of Dr. A. B. Smith.", "It holds."],
        ["It is 0.91 here vs. 1.5 there.", "Ca. 3 of them."],
        ['He said "No." and left.', '"Yes," she said.', "(It is so.)", "Next."],
        ["The U.S. team of J. Doe won.", "All of it."],
        ["Über alles.", "Élan counts.", "漢字。"],
        ["version 2.1 of x.y is out... still", "More"],
    ],
)
def test_sentences_end_where_a_reader_ends_them(sentences: list[str]) -> None:
    text = " ".join(sentences)
    assert " ".join(Sentences(text).all()) == text
    if "still" not in text:
        assert Sentences(text).all() == sentences
    else:
        assert Sentences(text).all()[0].startswith("version 2.1 of x.y")


def test_nothing_ends_within_a_formula_or_code() -> None:
    text = "Take f(x). Y here. Then"
    assert Sentences(text).all() == ["Take f(x).", "Y here.", "Then"]
    assert Sentences(text, [(5, 17)]).all() == ["Take f(x). Y here.", "Then"]


def test_of_a_sentence_without_end_what_is_near_is_told() -> None:
    text = "word " * 400
    told = Sentences(text).around((1000, 1004))
    assert told.startswith("…") and told.endswith("…") and len(told) <= 2 * LONGEST + 10
    assert Sentences("A short one. Word.").around((3, 5)) == "A short one."


def test_a_mention_tells_the_plain_sentence_and_its_line() -> None:
    told = page(
        "## Before\n\nFirst. It *follows* [[GPT-2]], e.g. with $d_k$\nand `a. B`, "
        "[as it is](https://x.example) [@radford2019]. Last.\n\n"
        "- [[pca#the-way|the directions]] of {{claim k}}"
    )
    assert told.mentions == (
        Mention("gpt-2", "", "It follows GPT-2, e.g. with d_k and a. B, as it is (Radford et al. 2019).", 3),
        Mention("pca", "the-way", "the directions of claim k", 6),
    )


def test_a_link_to_the_file_of_an_entry_is_a_mention_too() -> None:
    assert page("See [it](../terms/gpt-2.md#sizes). More.").mentions == (Mention("gpt-2", "sizes", "See it.", 1),)
    assert page("See [it](picture.png).").mentions == ()
