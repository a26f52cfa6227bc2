"""What `open_model` may be given, what it says to everything else, and the cache that known models are opened from."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from glassbook.core.errors import GlassbookError, InputError, ModelError
from glassbook.files.gguf_writing import write_gguf
from glassbook.files.manifest import verify_manifest
from glassbook.models.loading import known, opening
from glassbook.models.loading.known import converted_folder
from glassbook.models.loading.opening import open_model
from glassbook.sources.obtain import is_cached, obtain_default_gguf
from glassbook.text.chat import render_chat
from oracles.transformers_pairs import LlamaShape, llama_of_gguf, logits_of, random_llama, tolerance

needs_model = pytest.mark.skipif(not is_cached("smollm2-135m"), reason="the default model is not cached; run make demo")


@pytest.mark.parametrize(
    "name, said",
    {
        "smolm2-135": "did you mean 'smollm2",
        "nonsense": "known names: smollm2-135m",
        "./nothing": "no file or folder './nothing'",
        "weights.gguf": "no file or folder 'weights.gguf'",
        "somewhere/weights.safetensors": "no file or folder",
    }.items(),
)
def test_an_unknown_name_is_answered_with_what_may_be_given(name, said):
    with pytest.raises(ModelError, match=said) as caught:
        open_model(name)
    assert "hub id owner/name" in str(caught.value)


@pytest.mark.parametrize("given, asked", [("a/b", ("a/b", None)), ("a/b@v1.0", ("a/b", "v1.0"))])
def test_a_hub_id_is_fetched_and_gives_the_model_its_name(given, asked, tmp_path, monkeypatch):
    _, folder = random_llama(LlamaShape(n_layers=1), 0, tmp_path)
    calls = []
    monkeypatch.setattr(opening, "fetch_hub_model", lambda *arguments: calls.append(arguments) or folder)
    model = open_model(given)
    assert calls == [(*asked, None)]
    assert model.identity.name == given.partition("/")[2]


def test_a_folder_that_is_there_comes_before_a_hub_id(tmp_path, monkeypatch):
    random_llama(LlamaShape(n_layers=1), 0, tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    assert open_model("owner/name").identity.name == "name"


def test_a_folder_without_a_model_and_a_file_of_another_kind_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        open_model(tmp_path)
    with pytest.raises(ModelError, match="neither a folder nor"):
        open_model(tmp_path / "notes.txt")


def test_precisions_and_devices_that_are_not_there_are_refused(tmp_path):
    _, folder = random_llama(LlamaShape(n_layers=1), 0, tmp_path)
    assert open_model(folder, torch.bfloat16, torch.device("cpu")).identity.dtype == "bfloat16"
    with pytest.raises(InputError, match="'int3' is not a precision"):
        open_model(folder, "int3")
    with pytest.raises(InputError, match="'warp' cannot be used here"):
        open_model(folder, device="warp")


def test_an_opened_model_is_frozen_and_reports_its_progress(tmp_path):
    _, folder = random_llama(LlamaShape(n_layers=1), 0, tmp_path)
    seen = []
    model = open_model(folder, progress=lambda *step: seen.append(step))
    assert not any(weight.requires_grad for weight in model.net.parameters())
    assert not model.net.training
    assert seen[-1][1] == seen[-1][2] == sum(weight.nbytes for weight in model.net.parameters())


@pytest.fixture
def small_known(tmp_path, monkeypatch) -> Path:
    """Let the known model be a small random GGUF, in a cache of its own; return where its converted form lies."""
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "small.gguf"
    write_small_gguf(path)
    monkeypatch.setattr(known, "obtain", lambda key, progress: path)
    return converted_folder("smollm2-135m")


def write_small_gguf(path: Path) -> None:
    draw = np.random.default_rng(0)
    shapes = {"token_embd": (64, 32), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,)}
    shapes |= {f"blk.0.{name}": (32, 32) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
    shapes |= {"blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64)}
    sizes = {"block_count": 1, "embedding_length": 32, "attention.head_count": 4, "feed_forward_length": 64}
    metadata = {"general.architecture": "llama", "general.name": "Small"}
    metadata |= {f"llama.{key}": size for key, size in (sizes | {"context_length": 64}).items()}
    metadata["llama.attention.layer_norm_rms_epsilon"] = 1e-5
    arrays = {f"{name}.weight": draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    kinds = {name: "Q4_1" if array.ndim == 2 else "F32" for name, array in arrays.items()}
    stored = {name: gguf.quantize(array, gguf.GGMLQuantizationType[kinds[name]]) for name, array in arrays.items()}
    write_gguf(path, metadata, [(name, kinds[name], array.shape, stored[name]) for name, array in arrays.items()])


def test_a_known_model_is_converted_once_and_is_the_model_of_its_file(small_known, tmp_path):
    first = open_model("smollm2-135m")
    written = (small_known / "model.safetensors").stat().st_mtime_ns
    again = open_model("SmolLM2-135M-Instruct", "bfloat16")
    assert (small_known / "model.safetensors").stat().st_mtime_ns == written
    assert verify_manifest(small_known) == []
    direct = open_model(tmp_path / "small.gguf")
    assert first.identity == direct.identity
    assert again.identity == open_model(tmp_path / "small.gguf", "bfloat16").identity
    assert first.identity.label == "Small, dequantized Q4_1"


@pytest.mark.parametrize(
    "damage", ["cut the weights", "alter the header", "alter the configuration", "lose the manifest"]
)
def test_a_damaged_cache_is_noticed_and_made_anew_with_one_line(damage, small_known, caplog):
    sound = open_model("smollm2-135m").identity
    name = {"cut the weights": "model.safetensors", "alter the header": "model.safetensors"}.get(damage, "config.json")
    data = bytearray((small_known / name).read_bytes())
    data[30] ^= 1
    if damage == "lose the manifest":
        (small_known / "manifest.json").unlink()
    else:
        (small_known / name).write_bytes(data[:-4] if damage == "cut the weights" else data)
    with caplog.at_level(logging.WARNING):
        assert open_model("smollm2-135m").identity == sound
    assert len(caplog.messages) == 1
    assert "made anew" in caplog.messages[0]
    caplog.clear()
    assert open_model("smollm2-135m").identity == sound
    assert caplog.messages == []


def test_an_interrupted_conversion_leaves_nothing_that_is_trusted(small_known):
    def interrupt(label: str, done: int, total: int) -> None:
        if label.startswith("converting") and done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_model("smollm2-135m", progress=interrupt)
    assert list(small_known.parent.iterdir()) == []
    open_model("smollm2-135m")
    assert [path.name for path in small_known.parent.iterdir()] == ["smollm2-135m"]


KILLED = """
import os, signal, sys
from pathlib import Path
from glassbook.models.loading import known
known.obtain = lambda key, progress: Path(sys.argv[1])
known.open_known("smollm2-135m", lambda label, done, total: done > total // 2 and os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_killed_conversion_leaves_nothing_that_is_trusted(small_known, tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "small.gguf"], env=os.environ, check=False)
    assert killed.returncode == -9
    assert not small_known.exists()
    assert len(list(small_known.parent.iterdir())) == 1
    open_model("smollm2-135m")
    assert [path.name for path in small_known.parent.iterdir()] == ["smollm2-135m"]


def test_a_fault_of_the_source_is_told_and_not_taken_for_a_damaged_cache(small_known, tmp_path, caplog):
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    with pytest.raises(GlassbookError, match=r"small\.gguf"):
        open_model("smollm2-135m")
    assert caplog.messages == []


# On one sentence this is held by tests/models/test_default_model.py, from numbers that transformers wrote down.
@pytest.mark.slow
@pytest.mark.model
@needs_model
def test_the_default_model_gives_the_logits_of_transformers_on_real_text():
    model = open_model("smollm2-135m")
    text = (Path(__file__).parents[3] / "src/glassbook/text/data/alice.jsonl").read_text()[2000:12000]
    tokens = model.to_tokens(text)[:, :1024]
    assert tokens.shape == (1, 1024)
    net = llama_of_gguf(obtain_default_gguf())
    theirs = logits_of(net, tokens)
    bound = tolerance(net, tokens, theirs)
    with torch.inference_mode():
        ours = model(tokens)
    assert (ours - theirs).abs().max() <= bound
    top = theirs.topk(2).values[0]
    is_clear = top[:, 0] - top[:, 1] > 2 * bound
    assert is_clear.sum() >= 1000
    assert (ours.argmax(-1) == theirs.argmax(-1))[0, is_clear].all()


@pytest.mark.model
@needs_model
def test_the_default_model_has_one_identity_whichever_way_it_is_opened():
    cached, direct = open_model("smollm2-135m", "bfloat16"), open_model(obtain_default_gguf(), "bfloat16")
    assert cached.identity == direct.identity
    assert cached.identity.label == "SmolLM2-135M-Instruct, dequantized Q4_1"
    assert cached.tokenizer is not None and cached.tokenizer.chat_template
    hello = [{"role": "user", "content": "Hello"}]
    assert "<|im_start|>user\nHello<|im_end|>" in render_chat(cached.tokenizer.chat_template, hello)
