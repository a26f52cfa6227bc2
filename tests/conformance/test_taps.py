"""What every architecture must do when it is read and edited: reading changes nothing, and no tap is dead."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from conformance.conftest import Case
from conformance.probes import WeightsRead, same_routes
from conformance.shapes import ROWS
from glassbook.activations.capture import capture
from glassbook.core.sites import KINDS, Site
from glassbook.core.taps import Edit, Span, Taps

# Sites that a fused kernel never forms: to read or edit them the pass takes another path to the same values.
FORMED_ON_DEMAND = ("attn_scores", "pattern", "result", *(name for name in KINDS if name.endswith("_scale")))


def edited(case: Case, *edits: Edit) -> Tensor:
    """Return the logits of a pass under these edits."""
    return case.net(case.tokens, Taps(edits=edits))


def _formed_anyhow(case: Case) -> list[Site]:
    """Return the Sites that are read on the way, so that one pass reads them all; the others put it on another path."""
    return [site for site in case.sites if site.name not in FORMED_ON_DEMAND]


def unchanged(value: Tensor, _: Span) -> Tensor:
    """Hand the value back."""
    return value


def nudge(value: Tensor, _: Span) -> Tensor:
    """Move every number by a different amount, so that no norm or softmax can undo it."""
    noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(3))
    return value + 0.3 * noise.to(value.dtype)


def test_reading_a_site_changes_no_bit_of_the_logits(case: Case) -> None:
    plain = case.net(case.tokens)
    for site in case.sites:
        seen: list[Tensor] = []
        logits = case.net(case.tokens, Taps(readers={site: seen.append}))
        assert len(seen) == 1, f"{site} was read {len(seen)} times"
        if site.name in FORMED_ON_DEMAND:
            assert float((logits - plain).abs().max()) <= 1e-5 * max(1.0, float(plain.abs().max())), str(site)
        else:
            assert torch.equal(logits, plain), str(site)


def test_reading_a_site_in_bfloat16_changes_the_logits_by_rounding_only(case: Case) -> None:
    net, routes = copy.deepcopy(case.net).to(torch.bfloat16), same_routes(case)
    plain = net(case.tokens, Taps(edits=routes))
    rounding = float((plain - case.net(case.tokens, Taps(edits=routes))).abs().max())
    allowed = max(0.02 * float(plain.abs().max()), rounding)
    for site in case.sites:
        logits = net(case.tokens, Taps(edits=routes, readers={site: lambda _: None}))
        assert float((logits - plain).abs().max()) <= allowed, str(site)
    halved = net(case.tokens, Taps(edits=[*routes, Edit(case.sites[0], lambda value, _: value / 2)]))
    assert float((halved - plain).abs().max()) > allowed, "the control: an edit moves them further"


def test_an_edit_that_changes_nothing_leaves_the_logits_as_they_were(case: Case) -> None:
    plain = case.net(case.tokens)
    for site in case.sites:
        logits = edited(case, Edit(site, unchanged))
        assert float((logits - plain).abs().max()) <= 1e-5 * max(1.0, float(plain.abs().max())), str(site)
        assert site.name in FORMED_ON_DEMAND or torch.equal(logits, plain), str(site)


def test_no_tap_is_dead_an_edit_at_every_site_reaches_the_logits(case: Case) -> None:
    plain = case.net(case.tokens)
    for site in case.sites:
        assert float((edited(case, Edit(site, nudge)) - plain).abs().max()) > 1e-3, f"{site} is edited in vain"


def test_an_edit_of_one_token_never_reaches_an_earlier_one(case: Case) -> None:
    plain, place = case.net(case.tokens), case.tokens.shape[1] // 2

    def at_one_token(value: Tensor, span: Span) -> Tensor:
        here = (span.positions == place).reshape(*span.positions.shape, *[1] * (value.ndim - 2))
        return torch.where(here, nudge(value, span), value)

    for site in case.sites:
        if "query" in site.kind.axes:
            continue
        difference = (edited(case, Edit(site, at_one_token)) - plain).abs().amax((0, 2))
        assert float(difference[:place].max()) <= 1e-5 * max(1.0, float(plain.abs().max())), str(site)
        assert float(difference[place:].max()) > 1e-4, str(site)


def test_an_edit_of_a_head_or_neuron_changes_that_slice_alone(case: Case) -> None:
    last = case.net.config.n_layers - 1
    for name, part in (("z", {"head": 0}), ("k", {"head": 0}), ("pattern", {"head": 0}), ("mlp_post", {"neuron": 2})):
        if name not in case.net.site_names:
            continue
        site = Site(name, last, **part)
        whole, before = site.whole, capture(case.model, case.tokens, site.whole)[site.whole]
        after = capture(case.model, case.tokens, whole, edits=[Edit(site, nudge)])[whole]
        axis, index = site.part
        changed = (after != before).movedim(axis, 0).flatten(1).any(1)
        assert changed.tolist() == [i == index for i in range(len(changed))], str(site)
        assert torch.equal(after.select(axis, index), nudge(before.select(axis, index), None)), str(site)


def test_a_reader_sees_what_the_edits_at_its_site_made(case: Case) -> None:
    together = capture(case.model, case.tokens, _formed_anyhow(case))
    for site in case.sites:
        before = together[site] if site in together else capture(case.model, case.tokens, site)[site]
        after = capture(case.model, case.tokens, site, edits=[Edit(site, nudge)])[site]
        assert torch.equal(after, nudge(before, None)), str(site)


def read_whole(case: Case, *sites: Site) -> dict[Site, Tensor]:
    """Return the values at these Sites, read in one pass that goes on to the logits."""
    seen: dict[Site, Tensor] = {}
    readers = {site: lambda value, site=site: seen.update({site: value.clone()}) for site in sites}
    with WeightsRead(case.net) as whole:
        case.net(case.tokens, Taps(readers=readers))
    assert whole.reads_logits, "the control: a whole pass reaches the end"
    assert whole.blocks == set(range(case.net.config.n_layers))
    return seen


def test_a_pass_that_stops_early_reads_the_same_bits_and_computes_nothing_above(case: Case) -> None:
    together = read_whole(case, *_formed_anyhow(case))
    for site in case.sites:
        whole = together if site in together else read_whole(case, site)
        with WeightsRead(case.net) as early:
            found = capture(case.model, case.tokens, site)[site]
        assert torch.equal(found, whole[site]), str(site)
        if KINDS[site.name].per_layer:
            assert early.blocks <= set(range(site.layer + 1)), f"{site} was read and then {early.blocks} computed"
            assert not early.reads_logits, str(site)
            above = f"blocks.{site.layer}.mlp.experts." if "router" in site.name else f"blocks.{site.layer}.mlp."
            assert site.name.startswith(("mlp", "ln2_post", "resid_post")) or not any(
                name.startswith(above) for name in early.names
            )
        elif "embed" in site.name:
            assert not early.blocks, str(site)


def scalar(logits: Tensor) -> Tensor:
    """Return one number made of all logits."""
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(11), dtype=logits.dtype)
    return (logits * weights).sum()


def test_gradients_at_every_site_equal_finite_differences(case: Case) -> None:
    double = case.fresh_net().double()
    model = type(case.model)(double, None, case.model.identity)
    cache = capture(model, case.tokens, case.sites, grad=True)
    scalar(cache["logits"]).backward()
    for site in case.sites:
        value, grad = cache[site].detach(), cache.grad(site)
        candidates = ((value > -1e30) & (grad.abs() > grad.abs().max() / 10)).nonzero()
        places = [tuple(candidates[i].tolist()) for i in (0, len(candidates) // 2)]
        for place, slope in zip(places, _slopes(double, case.tokens, site, places), strict=True):
            assert slope == pytest.approx(float(grad[place]), rel=1e-5, abs=1e-8), f"{site} at {place}"


def _slopes(
    net: torch.nn.Module, tokens: Tensor, site: Site, places: list[tuple[int, ...]], step: float = 1e-5
) -> list[float]:
    """Return the slope at each place, all from one pass over as many copies of the tokens as there are steps."""
    moves = [(place, by) for place in places for by in (step, -step)]

    def change(value: Tensor, _: Span) -> Tensor:
        copies = value.reshape(len(moves), -1, *value.shape[1:]).clone()
        for copy_, (place, by) in zip(copies, moves, strict=True):
            copy_[place] += by
        return copies.reshape(value.shape)

    logits = net(tokens.repeat(len(moves), 1), Taps(edits=[Edit(site, change)])).chunk(len(moves))
    up_and_down = torch.stack([scalar(one) for one in logits]).reshape(-1, 2)
    return ((up_and_down[:, 0] - up_and_down[:, 1]) / (2 * step)).tolist()


def test_gradients_of_a_part_are_the_part_of_the_gradients(case: Case) -> None:
    last = case.net.config.n_layers - 1
    for name, part in (("z", {"head": 0}), ("mlp_post", {"neuron": 1})):
        if name not in case.net.site_names:
            continue
        site = Site(name, last, **part)
        whole = capture(case.model, case.tokens, [site.whole, "logits"], grad=True)
        alone = capture(case.model, case.tokens, [site, "logits"], grad=True)
        for cache in (whole, alone):
            scalar(cache["logits"]).backward()
        assert torch.allclose(alone.grad(site), whole.grad(site.whole).select(*site.part), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_untapped_network_compiles_without_a_graph_break() -> None:
    # In a process of its own: the tests' checks of shapes are Python that no compiler sees through.
    script = Path(__file__).with_name("compile_untapped.py")
    folders = [str(Path(__file__).parents[1])]
    code = f"import sys; sys.path[:0] = {folders!r}; exec(open({str(script)!r}).read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [
        *(f"compiled {architecture}" for architecture in ROWS),
        "refused a tap that prints",
    ]
