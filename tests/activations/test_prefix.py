"""A pass begun once and finished many times is the whole pass."""

import pytest
import torch

from conformance.probes import WeightsRead
from conformance.tiny import GPT2, LLAMA, tiny_model
from glassbook.activations.prefix import Prefix, finish_together
from glassbook.core.errors import InputError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, Taps
from glassbook.models.prompts import Prompts
from glassbook.steering.vector_set import PerRow
from glassbook.steering.vectors import SteeringVector

BATCH = Prompts.of([[1, 2, 3, 4, 5], [6, 7, 8]])


def shift(layer: int, by: float = 1.0) -> Edit:
    """Return an edit that no norm undoes."""
    return Edit(Site("resid_pre", layer), lambda value, _: value + by * torch.arange(32.0).cos())


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
def test_logits_from_a_prefix_are_those_of_the_whole_pass(architecture: str) -> None:
    model = tiny_model(architecture)
    for edits in ([], [shift(1)], [shift(1), shift(2, -3.0)], [shift(2)]):
        expected = model.run(BATCH, Taps(edits=edits))
        prefix = Prefix.below(model, BATCH, [edits, [shift(1)]])
        assert prefix.layer == 1
        found = prefix.logits(edits)
        for row, length in enumerate(BATCH.lengths):
            assert torch.allclose(found[row, :length], expected[row, :length], atol=1e-5)
        last = prefix.logits(edits, read_at=[4, 2])
        assert torch.allclose(last[:, 0], torch.stack([expected[0, 4], expected[1, 2]]), atol=1e-5)


def test_a_prefix_begins_below_the_lowest_edit_and_its_blocks_run_once() -> None:
    model = tiny_model()
    with WeightsRead(model.net) as below:
        prefix = Prefix.below(model, BATCH, [[shift(2)], []])
    with WeightsRead(model.net) as above:
        prefix.logits([shift(2)])
    assert prefix.layer == 2
    assert (below.blocks, below.reads_logits) == ({0, 1}, False)
    assert (above.blocks, above.reads_logits) == ({2}, True)


@pytest.mark.parametrize(("architecture", "name"), [(GPT2, "pos_embed"), (GPT2, "embed"), (LLAMA, "embed")])
def test_edits_of_the_embeddings_begin_before_the_blocks(architecture: str, name: str) -> None:
    model = tiny_model(architecture)
    edits = [Edit(Site(name), lambda value, _: value + torch.arange(32.0).sin()), shift(1)]
    prefix = Prefix.below(model, BATCH, [edits, []])
    assert prefix.layer is None
    assert torch.allclose(prefix.logits(edits), model.run(BATCH, Taps(edits=edits)), atol=1e-5)
    assert torch.allclose(prefix.logits([]), model(BATCH), atol=1e-5)


def test_edits_of_the_logits_alone_leave_every_block_to_the_prefix() -> None:
    model = tiny_model()
    edits = [Edit(Site("logits"), lambda value, _: 2 * value)]
    prefix = Prefix.below(model, BATCH, [edits])
    assert prefix.layer == 3
    assert torch.allclose(prefix.logits(edits), 2 * model(BATCH), atol=1e-4)


def test_tokens_beyond_the_prompt_count_as_generated() -> None:
    model = tiny_model()
    vector = SteeringVector(
        site=Site("resid_pre", 1), values=torch.ones(32), identity=model.identity, positions="generated"
    )
    edits = model.edits_of(vector)
    prefix = Prefix.below(model, BATCH, [edits], prompt_lengths=[3, 3])
    expected = model.run(BATCH, Taps(edits=edits), [3, 3])
    assert torch.allclose(prefix.logits(edits)[0], expected[0], atol=1e-5)
    assert torch.allclose(prefix.logits(edits)[1, :3], model.run(BATCH, Taps())[1, :3], atol=1e-5), (
        "nothing was generated here"
    )


@pytest.mark.parametrize("site", [Site("embed"), Site("resid_pre", 0), Site("z", 0, head=1)])
def test_an_edit_below_the_prefix_is_refused_and_not_forgotten(site: Site) -> None:
    prefix = Prefix(tiny_model(), BATCH, 1)
    with pytest.raises(InputError, match=f"the prefix ends where L1 begins, so an edit at {site} would do nothing"):
        prefix.logits([Edit(site, lambda value, _: value)])
    assert prefix.logits([shift(1)]).shape == (2, 5, 262)


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
def test_a_prefix_climbs_to_the_same_bits_as_one_begun_there_and_pays_only_for_the_blocks_between(
    architecture: str,
) -> None:
    model = tiny_model(architecture)
    low = Prefix(model, BATCH, 1)
    with WeightsRead(model.net) as between:
        high = low.advanced_to(2)
    assert (between.blocks, between.reads_logits) == ({1}, False)
    assert torch.equal(high.resid, Prefix(model, BATCH, 2).resid)
    assert not torch.equal(high.resid, low.resid)
    assert torch.equal(low.advanced_to(3).logits([]), Prefix(model, BATCH, 3).logits([]))
    assert low.advanced_to(1) is low and low.layer == 1
    with pytest.raises(InputError, match="the prefix ends where L2 begins and cannot go back to L1"):
        high.advanced_to(1)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_where_a_layer_ends_the_next_begins_and_an_edit_there_leaves_the_layer_to_the_prefix(layer: int) -> None:
    model = tiny_model()
    edits = [Edit(Site("resid_post", layer), lambda value, _: value + torch.arange(32.0).cos())]
    prefix = Prefix.below(model, BATCH, [edits])
    assert prefix.layer == layer + 1
    expected = model.run(BATCH, Taps(edits=edits))
    found = prefix.logits(edits)
    for row, length in enumerate(BATCH.lengths):
        assert torch.allclose(found[row, :length], expected[row, :length], atol=1e-5)
    assert not torch.allclose(found[0], prefix.logits([])[0], atol=1e-2), "the control: the edit does something"


def test_a_repeated_prefix_gives_each_copy_its_own_edits() -> None:
    model = tiny_model()
    ones, twos = (torch.full((32,), by).cos() for by in (1.0, 2.0))

    def by_row(value: torch.Tensor, span: object) -> torch.Tensor:
        return value + torch.where(span.rows[:, None, None] < 2, ones, twos)  # type: ignore[attr-defined]

    prefix = Prefix(model, BATCH, 1, prompt_lengths=[3, 2])
    together = prefix.repeated(2).logits([Edit(Site("resid_pre", 1), by_row)], read_at=[[1, 4], [0, 2]] * 2)
    assert together.shape == (4, 2, 262)
    for copy, by in enumerate((ones, twos)):
        alone = prefix.logits([Edit(Site("resid_pre", 1), lambda value, _, by=by: value + by)])
        for row, places in enumerate(([1, 4], [0, 2])):
            assert torch.allclose(together[2 * copy + row], alone[row, places], atol=1e-5)
    assert prefix.repeated(2).span.prompt_lengths.tolist() == [3, 2, 3, 2]


@pytest.mark.parametrize("architecture", [GPT2, LLAMA])
def test_what_rows_have_in_common_is_computed_once_in_each_branch(architecture: str) -> None:
    model = tiny_model(architecture)
    batch = Prompts.of([[1, 2, 3, 4, 5, 6], [1, 2, 3, 9], [1, 2, 3, 7, 8]])
    vectors = [
        SteeringVector(site=Site("resid_pre", 1), values=by * torch.arange(32.0).cos(), identity=model.identity)
        for by in (1.0, -2.0)
    ]
    widths: list[tuple[int, int]] = []

    def edits(rows: int) -> list[Edit]:
        seen = Edit(Site("resid_post", 2), lambda value, _: widths.append(tuple(value.shape[:2])) or value)
        return [*model.edits_of(PerRow([vector for vector in vectors for _ in range(rows)])), seen]

    read_at = [[3, 5], [3, 3], [4, 3]]
    prefix = Prefix(model, batch, 1)
    [apart] = finish_together([prefix.branches(2, edits, read_at)])
    assert widths == [(6, 6)]
    head = prefix.head(2, edits, shared=3)
    [together] = finish_together([prefix.branches(2, edits, read_at, head)], head)
    assert widths[1:] == [(2, 3), (6, 3)], "3 tokens once a branch, then what is left of each row"
    assert torch.allclose(together, apart, atol=1e-5)
    assert not torch.allclose(apart[:3], apart[3:], atol=1e-1), "the control: branches differ"
