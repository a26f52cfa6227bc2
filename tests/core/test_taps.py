"""The taps by themselves, without a network."""

import pytest
import torch
from torch import Tensor

from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.core.taps import IDLE, Edit, PassDone, Span, Taps

RESID, HEAD = Site("resid_pre", 1), Site("z", 1, head=2)
SPAN = Span.prompts([3, 2], 3)


def times(factor: float) -> object:
    """Return a change that multiplies."""
    return lambda value, _: value * factor


def test_with_nothing_asked_for_a_value_is_handed_back_itself() -> None:
    value = torch.rand(2, 3, 4)
    assert IDLE.idle
    assert IDLE.at(1)("resid_pre", value) is value
    assert not IDLE.at(1).wants("resid_pre", "pattern")


def test_taps_are_wanted_at_their_own_layer_and_name_alone() -> None:
    taps = Taps(edits=[Edit(RESID, times(2))], span=SPAN)
    assert not taps.idle
    assert taps.at(1).wants("pattern", "resid_pre")
    assert not taps.at(1).wants("pattern")
    assert not taps.at(0).wants("resid_pre")
    assert not taps.at().wants("resid_pre")
    assert not taps.at(1, "enc").wants("resid_pre")


def test_edits_act_in_their_order_and_readers_see_the_last() -> None:
    seen: list[Tensor] = []
    plus = Edit(RESID, lambda value, _: value + 1)
    value = torch.ones(2, 3, 4)
    for edits, expected in (([Edit(RESID, times(3)), plus], 4.0), ([plus, Edit(RESID, times(3))], 6.0)):
        taps = Taps(edits=edits, readers={RESID: seen.append}, span=SPAN)
        out = taps.at(1)("resid_pre", value)
        assert float(out.max()) == float(out.min()) == expected
        assert seen[-1] is out
    assert bool((value == 1).all()), "what came in is not written to"


def test_a_part_is_handed_over_alone_and_put_back_into_a_copy() -> None:
    value = torch.rand(2, 3, 4, 5)
    shapes: list[torch.Size] = []

    def change(part: Tensor, _: Span) -> Tensor:
        shapes.append(part.shape)
        return part * 0

    before = value.clone()
    out = Taps(edits=[Edit(HEAD, change)], span=SPAN).at(1)("z", value)
    assert shapes == [(2, 3, 5)]
    assert torch.equal(value, before)
    assert bool((out[:, :, 2] == 0).all())
    assert torch.equal(out[:, :, [0, 1, 3]], before[:, :, [0, 1, 3]])


def test_an_edit_that_returns_another_shape_is_refused() -> None:
    taps = Taps(edits=[Edit(RESID, lambda value, _: value[:, :1])], span=SPAN)
    with pytest.raises(InputError, match=r"the edit at L1.resid_pre returned shape \(2, 1, 4\); return the shape"):
        taps.at(1)("resid_pre", torch.rand(2, 3, 4))
    assert Taps(edits=[Edit(RESID, times(1))], span=SPAN).at(1)("resid_pre", torch.rand(2, 3, 4)).shape == (2, 3, 4)


def test_an_edit_keeps_the_precision_of_the_pass() -> None:
    taps = Taps(edits=[Edit(RESID, lambda value, _: value.double())], span=SPAN)
    assert taps.at(1)("resid_pre", torch.rand(2, 3, 4).bfloat16()).dtype is torch.bfloat16


def test_a_pass_stops_when_the_last_reader_has_read_and_not_before() -> None:
    seen: list[Tensor] = []
    other = Site("resid_post", 1)
    value = torch.rand(2, 3, 4)
    taps = Taps(readers={RESID: seen.append, other: seen.append}, stop=True, span=SPAN)
    taps.at(1)("resid_pre", value)
    with pytest.raises(PassDone):
        taps.at(1)("resid_post", value)
    lasting = Taps(readers={RESID: seen.append}, span=SPAN)
    assert lasting.at(1)("resid_pre", value) is value
    assert len(seen) == 3


def test_a_span_tells_prompt_generated_and_padding_apart() -> None:
    positions = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 3]])
    span = Span(positions, torch.tensor([2, 3]), torch.tensor([4, 3]), torch.arange(2))
    assert span.is_prompt.tolist() == [[True, True, False, False], [True, True, True, False]]
    assert span.is_generated.tolist() == [[False, False, True, True], [False] * 4]
    assert span.is_real.tolist() == [[True] * 4, [True, True, True, False]]
    assert not (span.is_prompt & span.is_generated).any()
    assert torch.equal(span.is_prompt | span.is_generated, span.is_real)
    assert Span.prompts([2, 4], 4).is_generated.sum() == 0
