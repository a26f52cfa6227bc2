"""The laws of steering as functions that raise AssertionError, and steerings that break them on purpose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from conformance.tiny import tiny_model
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, Span, Steering, Taps
from glassbook.models.generation import Completion
from glassbook.models.model import Model
from glassbook.models.prompts import Prompts
from glassbook.steering.operators import NEED_MANY_AXES, OPERATORS
from glassbook.steering.vector_set import PerRow
from glassbook.steering.vectors import SteeringVector

NEAR, CLEAR_GAP = 1e-4, 1e-3
SITES = [
    "L0.resid_pre",
    "L1.resid_mid",
    "L2.resid_post",
    "L1.attn_out",
    "L0.mlp_out",
    "L1.H2.z",
    "L0.H1.k",
    "L1.mlp_post.N5",
]
POSITIONS = ["all", "prompt", "generated", "front", (0,), (1, 3, 20)]

ids = st.lists(st.integers(0, 255), min_size=1, max_size=10)
prompts = st.lists(ids, min_size=1, max_size=4)


def drawn(model: Model, site: str, seed: int, front: int | None = None, norm: float = 6.0) -> Tensor:
    """Return a random direction for a Site, one for each of `front` tokens where it is given."""
    place = Site.parse(site)
    width = 1 if place.neuron is not None else model.config.sizes[place.kind.width]
    shape = (width,) if front is None else (front, width)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return norm * values / values.norm(dim=-1, keepdim=True)


def plain_vector(architecture: str, **changes: object) -> SteeringVector:
    """Return an everyday vector, added to every token."""
    model = tiny_model(architecture)
    vector = SteeringVector(site=Site("resid_pre", 1), values=drawn(model, "L1.resid_pre", 0), identity=model.identity)
    return vector.with_(**changes)


@dataclass(frozen=True)
class Drawn:
    """What hypothesis chose of a vector; `on` makes it, outside the strategy."""

    site: str
    positions: str | tuple[int, ...]
    front: int
    seed: int
    operator: str
    strength: float

    def on(self, model: Model) -> SteeringVector:
        """Return the vector on a model."""
        front = self.front if self.positions == "front" else None
        return SteeringVector(
            site=Site.parse(self.site),
            values=drawn(model, self.site, self.seed, front),
            identity=model.identity,
            operator=self.operator,
            positions=self.positions,
            strength=self.strength,
        )


def steerings(*operators: str) -> st.SearchStrategy[Drawn]:
    """Return vectors at any Site that the operator has a meaning at, of any positions and strength but 0."""
    return st.builds(
        Drawn,
        st.sampled_from(SITES),
        st.sampled_from(POSITIONS),
        st.integers(1, 4),
        st.integers(0, 10**6),
        st.sampled_from(operators or tuple(OPERATORS)),
        st.sampled_from([-2.0, 0.5, 1.0, 3.0]),
    ).filter(_is_well_posed)


def _is_well_posed(one: Drawn) -> bool:
    """Return whether an operator has a meaning at a Site, and one that rounding does not decide.

    What a whole projection leaves of a value may be next to nothing, and the norm after it makes that as long as any other.
    """
    if ".N" in one.site and one.operator in NEED_MANY_AXES:
        return False
    return one.operator != "project" or one.strength != 1.0


def values_at(model: Model, site: Site, batch: Prompts, edits: Sequence[Edit], prompt_lengths: Sequence[int]) -> Tensor:
    """Return what flows on at a Site, with a last axis even for a single neuron."""
    seen: list[Tensor] = []
    model.run(batch, Taps(edits=edits, readers={site: seen.append}), prompt_lengths)
    return seen[0].unsqueeze(-1) if site.neuron is not None else seen[0]


def deltas(model: Model, steer: Steering, site: Site, one: Completion) -> Tensor:
    """Return what steering added at its Site to each token of a completion."""
    batch, starts = Prompts.of([one.prompt_tokens + one.tokens]), [len(one.prompt_tokens)]
    after = values_at(model, site, batch, model.edits_of(steer), starts)
    return (after - values_at(model, site, batch, (), starts))[0]


def expected_touched(vector: SteeringVector, one: Completion) -> list[bool]:
    """Return which tokens a vector must touch, by the words of its positions."""
    n_prompt, n = len(one.prompt_tokens), len(one.prompt_tokens) + len(one.tokens)
    rules: dict[object, Callable[[int], bool]] = {
        "all": lambda i: True,
        "prompt": lambda i: i < n_prompt,
        "generated": lambda i: i >= n_prompt,
        "front": lambda i: i < min(n_prompt, len(vector.table)),
    }
    rule = rules.get(vector.positions, lambda i: i in vector.positions)
    return [rule(i) for i in range(n)]


def touched_is_what_changed(model: Model, steer: Steering, vector: SteeringVector, prompt: list[int]) -> None:
    """The tokens reported as touched are those whose value changed, and those that the positions name."""
    one = model.complete([prompt], steer=steer, max_new_tokens=4, stop_at_eos=False)[0]
    changed = (deltas(model, steer, vector.site, one) != 0).any(-1).tolist()
    expected = expected_touched(vector, one)
    assert changed == expected, f"changed {changed}, asked for {expected}"
    # The last token was drawn and not read, so nothing reached it.
    assert one.touched == [*expected[:-1], False], f"reported {one.touched}, asked for {expected}"


def delta_is_the_one_asked_for(model: Model, steer: Steering, vector: SteeringVector, prompt: list[int]) -> None:
    """At touched tokens the change has the norm asked for within 1e-5, and elsewhere it is exactly nothing."""
    one = Completion(prompt[: len(prompt) // 2], prompt[len(prompt) // 2 :])
    found = deltas(model, steer, vector.site, one).norm(dim=-1)
    norms = abs(vector.strength) * vector.table.norm(dim=-1)
    for i, (norm, is_touched) in enumerate(zip(found.tolist(), expected_touched(vector, one), strict=True)):
        wanted = float(norms[min(i, len(norms) - 1)]) if is_touched else 0.0
        assert abs(norm - wanted) <= 1e-5 * wanted, f"token {i} moved by {norm} instead of {wanted}"


def longhand(operator: str, h: Tensor, v: Tensor, strength: float) -> Tensor:
    """Return what an operator makes of one token's value, written with loops over coordinates and no shared code."""
    size = sum(float(x) ** 2 for x in v) ** 0.5
    u = [float(x) / size for x in v]
    along = sum(float(x) * y for x, y in zip(h, u, strict=True))
    moved = [float(x) + strength * float(y) for x, y in zip(h, v, strict=True)]
    if operator == "add":
        return torch.tensor(moved).double()
    if operator == "norm-preserving":
        before, after = (sum(float(x) ** 2 for x in side) ** 0.5 for side in (h, moved))
        return torch.tensor([x * before / after for x in moved]).double()
    if operator == "project":
        return torch.tensor(
            [(1 - strength) * float(x) + strength * along * y for x, y in zip(h, u, strict=True)]
        ).double()
    wanted = {"ablate": (1 - strength) * along, "clamp": strength * size, "scale": (1 + strength) * along}[operator]
    return torch.tensor([float(x) + (wanted - along) * y for x, y in zip(h, u, strict=True)]).double()


def value_is_the_one_asked_for(model: Model, steer: Steering, vector: SteeringVector, prompt: list[int]) -> None:
    """Each touched token's value is what the operator's formula makes of it; every other token keeps its bits."""
    batch, starts = Prompts.of([prompt]), [len(prompt) // 2]
    before = values_at(model, vector.site, batch, (), starts)[0]
    after = values_at(model, vector.site, batch, model.edits_of(steer), starts)[0]
    expected = expected_touched(vector, Completion(prompt[: starts[0]], prompt[starts[0] :]))
    for i, is_touched in enumerate(expected):
        if not is_touched:
            assert torch.equal(after[i], before[i]), f"token {i} was touched"
            continue
        wanted = longhand(vector.operator, before[i], vector.table[min(i, len(vector.table) - 1)], vector.strength)
        size = before[i].norm() + abs(vector.strength) * vector.norm
        assert float((after[i].double() - wanted).norm()) <= 1e-5 * float(size), f"token {i}"


def same_greedy(model: Model, one: Completion, other: Completion, edits: Sequence[Edit]) -> None:
    """Two completions of a prompt have the same tokens up to the first whose top-two gap is not clear."""
    assert one.prompt_tokens == other.prompt_tokens
    start = len(one.prompt_tokens)
    batch = Prompts.of([one.prompt_tokens + other.tokens])
    top = model.run(batch, Taps(edits=edits), [start])[0, start - 1 : -1].topk(2).values
    certain = int((top[:, 0] - top[:, 1] > CLEAR_GAP).int().cumprod(0).sum())
    assert one.tokens[:certain] == other.tokens[:certain]
    assert one.touched[: start + certain - 1] == other.touched[: start + certain - 1]


def cached_is_uncached(model: Model, steer: Steering, rows: list[list[int]], near: float = NEAR) -> None:
    """With the cache and without: the same greedy tokens, and logits within `near` of each other."""
    options = {"steer": steer, "max_new_tokens": 4, "stop_at_eos": False}
    cached, plain = (model.complete(rows, use_cache=use, **options) for use in (True, False))
    for one, other in zip(cached, plain, strict=True):
        if len(rows) == 1:
            same_greedy(model, one, other, model.edits_of(steer))
    assert float((stepwise(model, steer, rows) - at_once(model, steer, rows)).abs().max()) <= near


def stepwise(model: Model, steer: Steering, rows: list[list[int]]) -> Tensor:
    """Return logits of the last three tokens of rows, each a step over a cache behind a padded prefill."""
    edits, n = model.edits_of(steer), 3
    heads, tails = [[*row, 7] for row in rows], torch.tensor([[1, 2, 3]] * len(rows))
    lengths = [len(row) for row in heads]
    batch, cache, ends = Prompts.of(heads), model.net.new_cache(len(rows), max(lengths) + n), torch.tensor(lengths)
    model.net(batch.ids, Taps(edits=edits, span=model.span(batch)), cache)
    cache.hide(lengths)
    found = []
    for step in range(n):
        places = (ends + step)[:, None]
        span = Span(places, ends, ends + step + 1, torch.arange(len(rows)))
        found.append(model.net(tails[:, step : step + 1], Taps(edits=edits, span=span), cache, places))
    return torch.cat(found, 1)


def at_once(model: Model, steer: Steering, rows: list[list[int]]) -> Tensor:
    """Return the same logits by one pass without a cache."""
    full = [[*row, 7, 1, 2, 3] for row in rows]
    starts = [len(row) - 3 for row in full]
    logits = model.run(Prompts.of(full), Taps(edits=model.edits_of(steer)), starts)
    return torch.stack([logits[i, start : start + 3] for i, start in enumerate(starts)])


def batch_is_one_by_one(
    model: Model, steers: Sequence[SteeringVector | None], together: Steering, rows: list[list[int]], near: float = NEAR
) -> None:
    """A padded batch steered by `together` gives each row what its own steering alone gives it."""
    batch = Prompts.of(rows)
    logits = model.run(batch, Taps(edits=model.edits_of(together)))
    completions = model.complete(rows, steer=together, max_new_tokens=4, stop_at_eos=False)
    for i, (row, steer) in enumerate(zip(rows, steers, strict=True)):
        alone = model([row], steer=steer)[0]
        assert float((logits[i, : len(row)] - alone).abs().max()) <= near, f"row {i}"
        one = model.complete([row], steer=steer, max_new_tokens=4, stop_at_eos=False)[0]
        if one.touched and steer is None:
            assert not any(completions[i].touched)
        same_greedy(model, completions[i], one, model.edits_of(steer))


@dataclass(frozen=True)
class Broken:
    """A steering with a fault: `fault` turns each edit of a right one into a wrong one."""

    right: SteeringVector | PerRow
    fault: Callable[[Edit], Edit]
    needs_bos: bool = False

    def edits_for(self, model: Model) -> list[Edit]:
        """Return the wrong edits."""
        return [self.fault(edit) for edit in self.right.edits_for(model)]


def too_strong(edit: Edit) -> Edit:
    """Add a thousandth too much."""
    return Edit(edit.site, lambda value, span: value + 1.001 * (edit.change(value, span) - value), edit.touches)


def one_token_late(edit: Edit) -> Edit:
    """Change the token after the one that is meant."""

    def change(value: Tensor, span: Span) -> Tensor:
        late = Span(span.positions - 1, span.prompt_lengths, span.lengths, span.rows)
        return edit.change(value, late)

    return Edit(edit.site, change, edit.touches)


def silent(edit: Edit) -> Edit:
    """Touch tokens and do not say so."""
    return Edit(edit.site, edit.change, lambda span: torch.zeros_like(span.is_real))


def first_pass_only(edit: Edit) -> Edit:
    """Forget the tokens that come one at a time over a cache."""

    def change(value: Tensor, span: Span) -> Tensor:
        return value if span.positions.shape[1] == 1 else edit.change(value, span)

    return Edit(edit.site, change, edit.touches)


def by_batch_row(edit: Edit) -> Edit:
    """Give every row the vector of the first."""

    def change(value: Tensor, span: Span) -> Tensor:
        return edit.change(value, Span(span.positions, span.prompt_lengths, span.lengths, torch.zeros_like(span.rows)))

    return Edit(edit.site, change, edit.touches)
