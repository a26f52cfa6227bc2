"""Sizes that no network can have are refused by name, before anything is built of them."""

import pytest

from conformance.tiny import GPT2, GPT_NEOX, LLAMA, MIXTRAL, tiny_config
from glassbook.core.errors import ModelError
from glassbook.models.architectures import ARCHITECTURES


@pytest.mark.parametrize(
    ("architecture", "changes", "why"),
    [
        (LLAMA, {"n_kv_heads": 3}, "4 query heads cannot share 3 key/value heads evenly"),
        (LLAMA, {"n_kv_heads": 0}, "n_kv_heads = 0; it must be at least 1"),
        (LLAMA, {"d_head": 7}, "d_head = 7 cannot be rotated in pairs; mend the configuration to an even number"),
        (
            GPT_NEOX,
            {"d_rotary": 3},
            "d_rotary = 3 dimensions of a head of 8 cannot be rotated in pairs; .* from 2 to 8",
        ),
        (GPT_NEOX, {"d_rotary": 10}, "d_rotary = 10 dimensions of a head of 8"),
        (GPT_NEOX, {"d_rotary": 0}, "d_rotary = 0 dimensions of a head of 8"),
        (MIXTRAL, {"n_experts": 0}, "n_experts = 0; it must be at least 1"),
        (MIXTRAL, {"top_k": 5}, "cannot meet top_k = 5 of 4 experts; mend the configuration to a number from 1 to 4"),
        (MIXTRAL, {"top_k": 0}, "cannot meet top_k = 0 of 4 experts"),
        (GPT2, {"d_mlp": -4}, "d_mlp = -4; it must be at least 1"),
    ],
)
def test_a_size_that_cannot_be_is_refused_in_one_sentence(architecture: str, changes: dict, why: str) -> None:
    good, build = tiny_config(architecture), ARCHITECTURES.find(architecture)
    with pytest.raises(ModelError, match=why) as refusal:
        build(type(good)(**good.to_dict() | changes))
    assert "\n" not in str(refusal.value)
    assert build(type(good)(**good.to_dict())).config == good


def test_sizes_name_every_axis_that_a_site_can_have() -> None:
    sizes = tiny_config(LLAMA).sizes
    assert (sizes["n_heads"], sizes["n_kv_heads"], sizes["one"]) == (4, 2, 1)
    assert tiny_config(GPT2).sizes["n_kv_heads"] == 4
    assert tiny_config(MIXTRAL).sizes == sizes | {"n_experts": 4}
