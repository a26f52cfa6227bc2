"""What GPT-NeoX does its own way: a part of each head turns, and attention and MLP read the same stream."""

from dataclasses import replace

import pytest
import torch

from conformance.tiny import GPT_NEOX, as_model, our_net_of, tiny_config, tiny_theirs
from glassbook.activations.capture import capture
from glassbook.core.errors import SiteError
from glassbook.core.sites import Site
from glassbook.core.taps import Edit, Taps
from glassbook.models.model import Model

TOKENS = torch.randint(262, (2, 9), generator=torch.Generator().manual_seed(0))


def neox(**changes: object) -> Model:
    """Return a tiny GPT-NeoX of the same weights in another form."""
    return as_model(our_net_of(GPT_NEOX, replace(tiny_config(GPT_NEOX), **changes), tiny_theirs(GPT_NEOX).state_dict()))


@pytest.mark.parametrize("d_rotary", [2, 4, 8])
def test_the_first_dimensions_of_each_head_turn_and_the_others_stand_still(d_rotary: int) -> None:
    cache = capture(neox(d_rotary=d_rotary), TOKENS, ["L1.q", "L1.rot_q", "L1.k", "L1.rot_k"])
    for name in ("q", "k"):
        before, after = cache[name, 1], cache[f"rot_{name}", 1]
        assert torch.equal(after[..., d_rotary:], before[..., d_rotary:])
        turned, plain = after[..., :d_rotary], before[..., :d_rotary]
        assert torch.allclose(turned.norm(dim=-1), plain.norm(dim=-1), rtol=1e-5), "a turn changes no length"
        assert torch.equal(turned[:, 0], plain[:, 0]), "nor anything at position 0"
        assert float((turned[:, 1:] - plain[:, 1:]).abs().amax()) > 0.1


@pytest.mark.parametrize("parallel", [True, False])
def test_an_edit_of_what_attention_writes_reaches_the_mlp_only_where_it_waits(parallel: bool) -> None:
    net = neox(parallel=parallel).net
    seen = []
    for edits in ([], [Edit(Site("attn_out", 0), lambda value, _: value + 1)]):
        net(TOKENS, Taps(edits=edits, readers={Site("mlp_out", 0): lambda value: seen.append(value.clone())}))
    assert torch.equal(*seen) == parallel


def test_the_stream_between_attention_and_mlp_is_refused_where_there_is_none() -> None:
    with pytest.raises(SiteError, match=r"no Site 'L0\.resid_mid'"):
        capture(neox(), TOKENS, "L0.resid_mid")
    assert capture(neox(parallel=False), TOKENS, "L0.resid_mid")["resid_mid", 0].shape == (2, 9, 32)
