"""The map of terms: every term once, every line between two that mention each other, no text outside its box."""

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from glassbook.notebook.site.term_map import MOST, Node, term_map

NODES = [
    Node("model", "Language model", "terms/model.html", 1),
    Node("steering", "Activation steering", "terms/steering.html", 3),
    Node("gpt-2", "GPT-2", "terms/gpt-2.html", 3),
    Node("odd", "No level at all", "terms/odd.html"),
]


def ends(svg: str) -> set[str]:
    return set(re.findall(r'data-ends="([^"]*)"', svg))


def test_every_term_is_a_link_and_every_mention_one_line_whoever_mentions_whom():
    svg = str(term_map(NODES, [("gpt-2", "model"), ("model", "gpt-2"), ("steering", "gpt-2"), ("odd", "odd")]))
    assert sorted(re.findall(r'data-node="([^"]*)"', svg)) == ["gpt-2", "model", "odd", "steering"]
    assert all(f'href="{node.href}"' in svg for node in NODES)
    assert ends(svg) == {"gpt-2 model", "gpt-2 steering"}


def test_a_mention_of_what_is_not_on_the_map_is_no_line():
    assert ends(str(term_map(NODES, [("gpt-2", "elsewhere")]))) == set()


def test_columns_go_from_the_general_to_the_special_and_terms_without_a_level_stand_last():
    heads = re.findall(r'class="level-name" x="([\d.]+)" y="14">([^<]*)<', str(term_map(NODES, [])))
    assert [name for _, name in heads] == ["level 1", "level 3", "no level"]
    assert [float(x) for x, _ in heads] == sorted(float(x) for x, _ in heads)


def test_two_terms_are_no_map_and_of_too_many_the_most_joined_are_shown():
    assert term_map(NODES[:2], []) is None
    many = [Node(f"t{number:03}", f"Term {number}", f"terms/{number}.html", number % 5) for number in range(MOST + 20)]
    svg = str(term_map(many, [("t079", "t078"), ("t079", "t077")]))
    assert svg.count("<rect") == MOST
    assert all(f'data-node="{slug}"' in svg for slug in ("t077", "t078", "t079"))
    assert 'data-node="t076"' not in svg


class Reading(HTMLParser):
    """Notes every start tag, and the places of boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.boxes: list[tuple[float, float, float, float]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "rect":
            found = dict(attrs)
            x, y, width, height = (float(found[name] or 0) for name in ("x", "y", "width", "height"))
            self.boxes.append((x, y, x + width, y + height))


@given(st.lists(st.tuples(st.text(max_size=60), st.none() | st.integers(1, 4)), min_size=3, max_size=12))
def test_boxes_never_overlap_and_no_title_becomes_markup(titles):
    nodes = [Node(f"n{place}", title, "#", level) for place, (title, level) in enumerate(titles)]
    page = Reading()
    page.feed(str(term_map(nodes, [("n0", "n1"), ("n1", "n2")])))
    assert set(page.tags) <= {"svg", "text", "tspan", "a", "rect", "path", "title"}
    assert len(page.boxes) == len(nodes)
    for one in range(len(nodes)):
        for other in range(one):
            a, b = page.boxes[one], page.boxes[other]
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_the_same_terms_give_the_same_map_in_whatever_order_they_come():
    mentions = [("gpt-2", "model"), ("steering", "gpt-2")]
    assert term_map(NODES, mentions) == term_map(NODES[::-1], mentions[::-1])
