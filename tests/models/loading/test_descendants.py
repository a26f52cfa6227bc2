"""Folders of Llama's descendants and of Gemma as transformers writes them, and as earlier releases did; and refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

from conformance.shapes import RELATIVES, ROWS, config_of
from conformance.tiny import their_net, tiny_config
from glassbook.core.errors import ModelError
from glassbook.models.llama import LlamaConfig
from glassbook.models.loading.dialect import make_config
from glassbook.models.loading.opening import open_model
from glassbook.models.loading.own_folder import save_model
from glassbook.models.rotary import Scaling
from oracles.seeded_weights import seeded

TOKENS = torch.randint(0, 80, (2, 16), generator=torch.Generator().manual_seed(7))
CASES = [*RELATIVES, ("llama", "golden of Qwen3"), ("gemma", "golden"), ("gemma", "golden of Gemma 3")]
NEAR = 1e-4


def saved(architecture: str, label: str, folder: Path, **changes: Any) -> Path:
    """Write a folder as transformers does, then change its configuration: "absent" removes a key."""
    their_net(architecture, label).save_pretrained(folder)
    return configure(folder, **changes)


def configure(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    said = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in said.items() if value != "absent"}))
    return folder


def error(folder: Path, architecture: str, label: str) -> float:
    return float((open_model(folder)(TOKENS) - their_net(architecture, label)(TOKENS).logits).abs().max())


@pytest.mark.parametrize(("architecture", "label"), CASES, ids=[label for _, label in CASES])
def test_a_folder_gives_the_configuration_and_the_logits_of_transformers(
    architecture: str, label: str, tmp_path: Path
) -> None:
    folder = saved(architecture, label, tmp_path)
    assert open_model(folder).config == config_of(architecture, label)
    assert error(folder, architecture, label) <= NEAR


LLAMA_3 = "Llama 3: angles slowed down, read beyond the first context"
RULE = {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
EARLIER: list[tuple[str, str, dict[str, Any]]] = [
    ("llama", LLAMA_3, {"rope_parameters": "absent", "rope_theta": 100.0, "rope_scaling": {"rope_type": "llama3"} | RULE}),
    ("llama", LLAMA_3, {"rope_parameters": "absent", "rope_theta": 100.0, "rope_scaling": {"type": "llama3"} | RULE}),
    ("gemma", "golden", {"layer_types": "absent", "rope_parameters": "absent", "rope_theta": 10000.0}),
    (
        "gemma", "golden of Gemma 3",
        {"layer_types": "absent", "sliding_window_pattern": 2, "rope_parameters": "absent", "rope_theta": 1000.0,
         "rope_local_base_freq": 10.0, "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
    ),
    (
        "llama", "Qwen2: bias, a window in the second layer alone",
        {"layer_types": "absent", "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "label", "changes"), EARLIER)
def test_what_earlier_releases_wrote_means_the_same(
    architecture: str, label: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    assert error(saved(architecture, label, tmp_path, **changes), architecture, label) <= NEAR


def test_what_a_configuration_leaves_out_is_what_transformers_takes_for_granted(tmp_path: Path) -> None:
    mistral = saved("llama", "golden of Mistral", tmp_path / "mistral", sliding_window="absent")
    assert open_model(mistral).config.windows == (4096, 4096)
    assert open_model(configure(mistral, sliding_window=None)).config.windows == ()
    qwen = saved("llama", "golden of Qwen3", tmp_path / "qwen", sliding_window=4, layer_types="absent")
    assert open_model(qwen).config.windows == (), "without use_sliding_window a window is not in force"
    gemma = saved("gemma", "golden of Gemma 3", tmp_path / "gemma", layer_types="absent", sliding_window="absent")
    assert open_model(gemma).config.windows == (4096, 4096), "five local layers come before a global one"


def test_of_a_model_that_sees_images_too_the_text_tower_is_read_and_the_name_says_so(tmp_path: Path) -> None:
    text = ROWS["gemma"].their_config(config_of("gemma", "golden of Gemma 3"))
    vision = dict(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=4, patch_size=2
    )
    net = Gemma3ForConditionalGeneration(
        Gemma3Config(text_config=text.to_dict(), vision_config=vision, mm_tokens_per_image=4)
    ).eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.copy_(torch.from_numpy(seeded(name, tuple(weight.shape))))
        expected = net(input_ids=TOKENS).logits
    net.save_pretrained(tmp_path / "both")
    model = open_model(tmp_path / "both")
    assert model.identity.name == "both (its text tower)"
    assert float((model(TOKENS) - expected).abs().max()) <= NEAR
    assert open_model(saved("gemma", "golden of Gemma 3", tmp_path / "text")).identity.name == "text", "the control"


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("llama", LLAMA_3, {"rope_parameters": {"rope_type": "longrope", "factor": 2.0}}, "'longrope'.*linear, llama3, yarn"),
    ("llama", LLAMA_3, {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic'"),
    ("llama", LLAMA_3, {"rope_parameters": {"rope_type": "divisors"}}, "'divisors'"),
    ("llama", LLAMA_3, {"rope_parameters": {"rope_type": "linear", "factor": "2"}}, "factor = 2"),
    ("llama", LLAMA_3, {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "truncate": False}}, "truncate"),
    ("llama", LLAMA_3, {"sliding_window": 8}, "sliding_window"),
    ("llama", "golden of Qwen3", {"attention_bias": True}, "attention_bias"),
    ("llama", "golden of Qwen3", {"model_type": "qwen3_moe"}, "'qwen3_moe'.*gb.wrap"),
    (
        "llama", "golden of Qwen2",
        {"use_sliding_window": True, "sliding_window": 4, "layer_types": ["chunked_attention", "full_attention"]},
        "chunked_attention",
    ),
    ("gemma", "golden", {"hidden_activation": "relu"}, "hidden_activation"),
    ("gemma", "golden", {"sliding_window": None}, "no sliding_window"),
    ("gemma", "golden", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
    ("gemma", "golden of Gemma 3", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "label", "changes", "named"), REFUSED)
def test_what_is_not_computed_here_is_refused_by_name(
    architecture: str, label: str, changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    open_model(saved(architecture, label, tmp_path))
    with pytest.raises(ModelError, match=named):
        open_model(configure(tmp_path, **changes))


def test_our_own_folder_keeps_every_choice(tmp_path: Path) -> None:
    model = open_model(saved("gemma", "golden of Gemma 3", tmp_path / "theirs"))
    save_model(model, tmp_path / "ours")
    again = open_model(tmp_path / "ours")
    assert again.config == model.config and isinstance(again.config.rope_scaling, Scaling)
    assert torch.equal(again(TOKENS), model(TOKENS))


def test_a_configuration_written_before_these_choices_were_there_means_what_it_meant() -> None:
    plain = tiny_config("llama")
    later = ("rope_scaling", "windows", "qkv_bias", "qk_norm")
    before = {name: value for name, value in plain.to_dict().items() if name not in later}
    assert len(before) == len(plain.to_dict()) - len(later)
    assert make_config(LlamaConfig, before, "this") == plain
