"""The map of terms: a column for each level, a line between two terms one of which mentions the other."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from glassbook.views.markup import element, join

MOST = 60
"""How many terms a map shows; of more, those that are joined to most others."""

_WIDTH, _GAP, _LINE, _SPACE, _TOP = 176, 51, 16, 14, 34
_LETTERS = 23
_SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Node:
    """A term as the map shows it; one without a level stands in the last column."""

    slug: str
    title: str
    href: str
    level: int | None = None


@dataclass(frozen=True, slots=True)
class _Box:
    node: Node
    lines: tuple[str, ...]
    left: float
    top: float

    @property
    def height(self) -> float:
        return _LINE * len(self.lines) + _SPACE

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


def term_map(nodes: Sequence[Node], mentions: Iterable[tuple[str, str]]) -> Markup | None:
    """Return the map of `nodes` as SVG, in which `mentions` (pairs of slugs) are lines; None for fewer than three nodes."""
    pairs = sorted({(min(pair), max(pair)) for pair in mentions if pair[0] != pair[1]})
    joined: defaultdict[str, set[str]] = defaultdict(set)
    for one, other in pairs:
        joined[one].add(other)
        joined[other].add(one)
    shown = sorted(nodes, key=lambda node: (-len(joined[node.slug]), node.slug))[:MOST]
    if len(shown) < 3:
        return None
    columns = _order(_columns(shown), joined)
    boxes = {box.node.slug: box for box in _place(columns)}
    lines = [_edge(boxes[one], boxes[other]) for one, other in pairs if one in boxes and other in boxes]
    width = len(columns) * (_WIDTH + _GAP) - _GAP + 2
    height = max(box.top + box.height for box in boxes.values()) + 2
    return element(
        "svg",
        *_heads(columns),
        *lines,
        *(_drawn(box) for column in columns.values() for box in (boxes[node.slug] for node in column)),
        role="group",
        aria_label="Map of the terms",
        width=width,
        height=height,
        viewBox=f"-1 0 {width} {height:g}",
    )


def _columns(nodes: Sequence[Node]) -> dict[int | None, list[Node]]:
    """Return the nodes of each level by title, levels from the most general to the most special, none last."""
    found: defaultdict[int | None, list[Node]] = defaultdict(list)
    for node in sorted(nodes, key=lambda node: (node.title.casefold(), node.slug)):
        found[node.level].append(node)
    return dict(sorted(found.items(), key=lambda column: (column[0] is None, column[0] or 0)))


def _order(columns: Mapping[int | None, list[Node]], joined: Mapping[str, set[str]]) -> dict[int | None, list[Node]]:
    """Return the columns with each node near the mean height of those it is joined to, so that few lines cross."""
    ordered = dict(columns)
    for _ in range(_SWEEPS):
        at = {
            node.slug: (place + 0.5) / len(column) for column in ordered.values() for place, node in enumerate(column)
        }

        def pull(node: Node, at: Mapping[str, float] = at) -> tuple[float, str]:
            near = [at[slug] for slug in joined.get(node.slug, ()) if slug in at]
            return (sum(near) / len(near) if near else at[node.slug], node.slug)

        ordered = {level: sorted(column, key=pull) for level, column in ordered.items()}
    return ordered


def _place(columns: Mapping[int | None, list[Node]]) -> list[_Box]:
    """Return a box for each node, the columns set to one middle."""
    stacks = [[(node, _wrap(node.title)) for node in column] for column in columns.values()]
    heights = [sum(_LINE * len(lines) + 2 * _SPACE for _, lines in stack) - _SPACE for stack in stacks]
    boxes = []
    for number, (stack, height) in enumerate(zip(stacks, heights, strict=True)):
        top = _TOP + (max(heights) - height) / 2
        for node, lines in stack:
            boxes.append(_Box(node, lines, number * (_WIDTH + _GAP), top))
            top += _LINE * len(lines) + 2 * _SPACE
    return boxes


def _wrap(title: str) -> tuple[str, ...]:
    """Return a title on at most three lines, cut where it is longer."""
    lines = [""]
    for word in title.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _LETTERS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    cut = [line if len(line) <= _LETTERS + 2 else f"{line[:_LETTERS]}…" for line in lines]
    return (*cut[:2], f"{cut[2].rstrip('…')}…") if len(cut) > 3 else tuple(cut)


def _heads(columns: Mapping[int | None, list[Node]]) -> list[Markup]:
    return [
        element(
            "text",
            "no level" if level is None else f"level {level}",
            class_="level-name",
            x=number * (_WIDTH + _GAP),
            y=14,
        )
        for number, level in enumerate(columns)
    ]


def _edge(one: _Box, other: _Box) -> Markup:
    """Return a line from the right of the left box to the left of the right one; within a column, a bow on its right."""
    first, last = sorted((one, other), key=lambda box: (box.left, box.top))
    start = first.left + _WIDTH
    if first.left == last.left:
        end, leave, arrive = start, start + _GAP * 0.55, start + _GAP * 0.55
    else:
        end = last.left
        leave = arrive = (start + end) / 2
    y, to_y = first.middle, last.middle
    path = f"M{start:g} {y:g}C{leave:g} {y:g} {arrive:g} {to_y:g} {end:g} {to_y:g}"
    return element("path", class_="edge", d=path, data_ends=f"{one.node.slug} {other.node.slug}")


def _drawn(box: _Box) -> Markup:
    lines = [
        element("tspan", line, x=box.left + 10, y=box.top + _SPACE / 2 + _LINE * (number + 0.76))
        for number, line in enumerate(box.lines)
    ]
    return element(
        "a",
        element("title", box.node.title) if " ".join(box.lines) != " ".join(box.node.title.split()) else None,
        element("rect", x=box.left, y=box.top, width=_WIDTH, height=box.height, rx=4),
        element("text", join(*lines)),
        href=box.node.href,
        data_node=box.node.slug,
    )
