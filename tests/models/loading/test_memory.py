"""Opening a model takes at most 1.3 times its weights, in the precision asked for, above the size after the import."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from glassbook.files.atomic import write_json
from glassbook.files.gguf_writing import write_gguf
from glassbook.files.safetensors import write_safetensors
from glassbook.sources.obtain import is_cached, obtain_default_gguf
from oracles.transformers_pairs import LLAMA_NAMES, LlamaShape, hf_name

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
needs_model = pytest.mark.skipif(not is_cached("smollm2-135m"), reason="the default model is not cached; run make demo")

in_either_precision = pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "bfloat16"])

MOST = 1.3
SHAPE = LlamaShape(n_layers=4, d_model=1024, n_heads=16, n_kv_heads=8, d_head=64, d_mlp=2816, d_vocab=8192, tied=True)
KV = SHAPE.n_kv_heads * SHAPE.d_head
SIZES = {
    "token_embd": (SHAPE.d_vocab, 1024), "output_norm": (1024,), "attn_norm": (1024,), "ffn_norm": (1024,),
    "attn_q": (1024, 1024), "attn_k": (KV, 1024), "attn_v": (KV, 1024), "attn_output": (1024, 1024),
    "ffn_gate": (SHAPE.d_mlp, 1024), "ffn_up": (SHAPE.d_mlp, 1024), "ffn_down": (1024, SHAPE.d_mlp),
}  # fmt: skip
NAIVELY = "from safetensors.torch import load_file"

MEASURE = """
import re, sys, torch
from pathlib import Path
from glassbook.models.loading.opening import open_model
{setup}
def peak():
    # Not ru_maxrss, which a process inherits from the one that started it.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
before = peak()
{opening}
weights = sum(weight.nbytes for weight in weights)
print((peak() - before) / weights)
"""
OURS = "weights = open_model(sys.argv[1], sys.argv[2]).net.parameters()"
NAIVE = """
held = load_file(sys.argv[1] + "/model.safetensors")
weights = [weight.to(getattr(torch, sys.argv[2])).clone() for weight in held.values()]
"""


def measure(path: Path | str, dtype: str, opening: str = OURS, setup: str = "") -> float:
    """Return what opening a model takes at its peak, in weights, in a process of its own."""
    program = MEASURE.format(opening=opening, setup=setup)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), dtype], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def names() -> Iterator[tuple[str, tuple[int, ...]]]:
    for part in LLAMA_NAMES:
        if part in ("token_embd", "output_norm"):
            yield f"{part}.weight", SIZES[part]
        elif part != "output":
            yield from ((f"blk.{layer}.{part}.weight", SIZES[part]) for layer in range(SHAPE.n_layers))


def write_folder(folder: Path, dtype: str, n_files: int) -> Path:
    kind, bits = {"F32": ("<f4", 0x3C23D70A), "BF16": ("<u2", 0x3C24), "F16": ("<u2", 0x211F)}[dtype]
    value = np.frombuffer(bits.to_bytes(np.dtype(kind).itemsize, "little"), kind)[0]
    folder.mkdir()
    entries = [(hf_name(name), dtype, shape, np.full(shape, value, kind)) for name, shape in names()]
    files = [f"model-{i}.safetensors" for i in range(n_files)] if n_files > 1 else ["model.safetensors"]
    for i, file in enumerate(files):
        write_safetensors(folder / file, entries[i::n_files])
    if n_files > 1:
        index = {name: files[i % n_files] for i, (name, *_) in enumerate(entries)}
        write_json(folder / "model.safetensors.index.json", {"weight_map": index})
    said = {"model_type": "llama", "num_hidden_layers": 4, "hidden_size": 1024, "num_attention_heads": 16}
    said |= {"num_key_value_heads": 8, "intermediate_size": SHAPE.d_mlp, "vocab_size": SHAPE.d_vocab}
    write_json(folder / "config.json", said | {"tie_word_embeddings": True, "head_dim": 64})
    return folder


def write_quantized(path: Path) -> Path:
    sizes = {"block_count": 4, "embedding_length": 1024, "attention.head_count": 16, "attention.head_count_kv": 8}
    metadata = {f"llama.{key}": size for key, size in (sizes | {"feed_forward_length": SHAPE.d_mlp}).items()}
    metadata |= {"general.architecture": "llama", "llama.context_length": 64}
    metadata |= {"llama.attention.layer_norm_rms_epsilon": 1e-5}
    block = np.frombuffer(np.float16([1e-2, -0.1]).tobytes() + bytes(range(16)), np.uint8)
    entries = []
    for name, shape in names():
        blocks = np.tile(block, np.prod(shape) // 32) if len(shape) == 2 else np.ones(shape, "<f4")
        entries.append((name, "Q4_1" if len(shape) == 2 else "F32", shape, blocks))
    write_gguf(path, metadata, entries)
    return path


@pytest.mark.parametrize(
    "stored, dtype, n_files",
    [
        pytest.param("F32", "float32", 1, marks=pytest.mark.slow),
        ("F32", "bfloat16", 3),
        ("BF16", "float32", 1),
        pytest.param("F16", "bfloat16", 1, marks=pytest.mark.slow),
    ],
)
def test_a_folder_is_read_straight_into_its_weights(stored, dtype, n_files, tmp_path):
    assert 1.0 <= measure(write_folder(tmp_path / "model", stored, n_files), dtype) <= MOST


@in_either_precision
def test_a_quantized_file_is_dequantized_piece_by_piece(dtype, tmp_path):
    assert 1.0 <= measure(write_quantized(tmp_path / "model.gguf"), dtype) <= MOST


def test_reading_all_and_converting_then_would_be_noticed(tmp_path):
    folder = write_folder(tmp_path / "model", "F32", 1)
    assert measure(folder, "bfloat16", NAIVE, NAIVELY) > MOST


# The first opening, below, holds the same model and tokenizer to the same limit.
@pytest.mark.slow
@pytest.mark.model
@needs_model
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_default_model_with_its_tokenizer_keeps_to_the_limit(dtype):
    assert measure("smollm2-135m", dtype) <= MOST
    assert measure(obtain_default_gguf(), dtype) <= MOST


@pytest.mark.slow
@pytest.mark.model
@needs_model
def test_the_first_opening_converts_one_weight_at_a_time(tmp_path, monkeypatch):
    source = obtain_default_gguf()
    cached = tmp_path / "cache" / "files" / "smollm2-135m" / source.name
    cached.parent.mkdir(parents=True)
    cached.symlink_to(source)
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "cache"))
    assert "GLASSBOOK_CACHE" in os.environ
    assert measure("smollm2-135m", "bfloat16") <= MOST
