"""Each choice that tells a descendant from Llama is computed: left out, the logits are not transformers' any more."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from conformance.shapes import RELATIVES, config_of
from conformance.tiny import our_net, their_net
from glassbook.models.architectures import ARCHITECTURES

TOKENS = torch.randint(0, 80, (3, 16), generator=torch.Generator().manual_seed(7))
CHOICES: list[tuple[str, str, dict[str, Any]]] = [
    ("llama", "golden of Mistral", {"windows": ()}),
    ("llama", "golden of Mistral", {"windows": (5, 5)}),
    ("llama", "golden of Mistral", {"windows": (3, 3)}),
    ("llama", "golden of Qwen2", {"qkv_bias": False}),
    ("llama", "golden of Qwen3", {"qk_norm": False}),
    ("llama", "Llama 3: angles slowed down, read beyond the first context", {"rope_scaling": None}),
    ("llama", "YaRN", {"rope_scaling": None}),
    ("llama", "Qwen2: bias, a window in the second layer alone", {"windows": (5, 0)}),
    ("gemma", "golden", {"windows": (0, 4)}),
    ("gemma", "golden", {"attn_softcap": 0.0}),
    ("gemma", "golden", {"final_softcap": 0.0}),
    ("gemma", "golden", {"query_pre_attn_scalar": 8.0}),
    ("gemma", "golden of Gemma 3", {"qk_norm": False}),
    ("gemma", "golden of Gemma 3", {"windows": ()}),
    ("gemma", "golden of Gemma 3", {"rope_scaling": None}),
    ("gemma", "golden of Gemma 3", {"local_rope_base": None}),
    ("gemma", "golden of Gemma 3", {"local_rope_base": 1000.0}),
]


@pytest.mark.parametrize(("architecture", "label"), RELATIVES, ids=[label for _, label in RELATIVES])
def test_a_relative_computes_what_transformers_does_at_once_and_by_chunks_into_a_cache(
    architecture: str, label: str
) -> None:
    net, theirs = our_net(architecture, label), their_net(architecture, label)(TOKENS).logits
    assert float((net(TOKENS) - theirs).abs().max()) < 1e-4
    cache = net.new_cache(3, 16)
    parts = [net(TOKENS[:, first:end], cache=cache) for first, end in ((0, 5), (5, 6), (6, 13), (13, 16))]
    assert float((torch.cat(parts, 1) - theirs).abs().max()) < 1e-4
    shorter = net.new_cache(3, 16)
    net(TOKENS[:, 1:5], cache=shorter)
    assert float((net(TOKENS[:, 5:6], cache=shorter) - parts[1]).abs().max()) > 1e-3, "the control: a token forgotten"


@pytest.mark.parametrize(
    ("architecture", "label", "without"), CHOICES, ids=[f"{label}: {without}" for _, label, without in CHOICES]
)
def test_a_choice_left_out_is_noticed(architecture: str, label: str, without: dict[str, Any]) -> None:
    theirs = their_net(architecture, label)(TOKENS).logits
    assert float((our_net(architecture, label)(TOKENS) - theirs).abs().max()) < 1e-4
    config = replace(config_of(architecture, label), **without)
    net = ARCHITECTURES.find(architecture)(config).requires_grad_(False)
    net.load_state_dict(our_net(architecture, label).state_dict(), strict=False)
    assert float((net(TOKENS) - theirs).abs().max()) > 1e-3


def test_a_token_outside_the_window_of_every_layer_is_not_seen_through_a_cache_either() -> None:
    net = our_net("llama", "golden of Mistral")
    far = TOKENS.clone()
    far[:, 0] = (far[:, 0] + 1) % 80
    last = []
    for tokens in (TOKENS, far):
        cache = net.new_cache(3, 16)
        net(tokens[:, :15], cache=cache)
        last.append(net(tokens[:, 15:], cache=cache))
    assert torch.equal(*last)
    wide = ARCHITECTURES.find("llama")(replace(net.config, windows=()))
    wide.load_state_dict(net.state_dict())
    assert not torch.equal(wide(TOKENS)[:, -1], wide(far)[:, -1]), "the control: without a window it is seen"
