"""What ships: dictionaries of the default model and of a small model of our own, small enough, told of honestly, in the wheel."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from glassbook.activations.capture import capture
from glassbook.core.errors import InputError
from glassbook.features import list_dictionaries, open_dictionary, open_evaluation, splice
from glassbook.features.metrics.kept import ABSORPTION, PROBING, open_kept
from glassbook.features.opening import shipped_model
from glassbook.files.hashes import hash_json
from glassbook.models.loading.opening import open_model
from glassbook.text.corpora import open_corpus

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "src" / "glassbook" / "features" / "data"
DEFAULT = "smollm2-135m/L15.resid_post"
TRANSCODERS = [f"bookworm/L{layer}.mlp_out" for layer in range(4)]
EVERY = ("dictionary.json", "dictionary.safetensors", "evaluation.json", "run.json")
CARDS = ("cards.json", "packed.bin", "table.safetensors", "vocabulary.msgpack")
MODEL = ("config.json", "manifest.json", "model.safetensors", "run.json", "tokenizer.json", "tokenizer_config.json")
SHIPS = {
    *(f"{name}/{file}" for name in (DEFAULT, *TRANSCODERS) for file in EVERY),
    *(f"{DEFAULT}/{file}" for file in ("labels.json", PROBING, ABSORPTION, *(f"cards/{file}" for file in CARDS))),
    *(f"bookworm/model/{file}" for file in MODEL),
}
MB = 1_000_000


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def bookworm():
    """Return the small model."""
    return open_model(shipped_model())


@pytest.fixture(scope="module")
def text(bookworm):
    """Return the first tokens of a book that ships with the package."""
    return bookworm.to_tokens(next(iter(open_corpus("willows")))[:700])[:, :128]


def nats(model, tokens, **how) -> float:
    """Return the mean loss of the next token."""
    scores = model(tokens, **how)[0, :-1].log_softmax(-1)
    return -float(scores.gather(-1, tokens[0, 1:, None]).mean())


def test_five_dictionaries_have_names():
    assert set(list_dictionaries()) >= {DEFAULT, *TRANSCODERS}


def test_what_ships_is_small():
    assert size(DATA / DEFAULT) <= 20 * MB
    assert size(shipped_model()) <= 8 * MB
    assert sum(size(DATA / name) for name in TRANSCODERS) <= 12 * MB


@pytest.mark.parametrize("name", [DEFAULT, *TRANSCODERS])
def test_a_shipped_dictionary_says_what_it_was_trained_on_and_how(name):
    facts = open_dictionary(name).facts
    assert facts["corpus"]["licence"] == "public domain (US)"
    assert facts["tokens"] > 0 and facts["steps"] > 0
    assert facts["weights"]["fingerprint"] and facts["site"]
    record = json.loads((DATA / name / "run.json").read_text())
    asked = record["asked"]
    assert asked["sha256"] == hash_json([record["kind"], asked["config"], asked["seed"]])
    assert asked["sha256"] != hash_json([record["kind"], asked["config"] | {"out": "elsewhere"}, asked["seed"]])
    assert record["status"] == "done" and record["versions"]["torch"]
    assert record["asked"]["command"][:3] == ["glassbook", "features", "train"]


@pytest.mark.parametrize("name", [DEFAULT, *TRANSCODERS])
def test_what_a_shipped_dictionary_does_was_measured_on_books_that_it_never_saw(name):
    words, found = open_dictionary(name), open_evaluation(DATA / name)
    learned, told = words.facts["harvest"]["documents"], found["facts"]["harvest"]["documents"]
    assert told[0] >= learned[1] and found["facts"]["corpus"]["sha256"] != words.facts["corpus"]["sha256"]
    assert found["facts"]["weights"]["lineage"] == words.facts["weights"]["lineage"]
    assert 0.85 < found["intervals"]["ce_score"]["low"] < found["ce_score"] < 1
    assert 0 < found["fvu"] < 0.2 and sum(found["histogram"]) == round((1 - found["dead"]) * words.n_features)


def test_nothing_that_ships_says_where_it_was_made():
    texts = [path for path in DATA.rglob("*.json") if path.name != "tokenizer.json"]
    assert len(texts) > 10
    for path in texts:
        assert not any(word in path.read_text() for word in ('"/', "hostname", "/home/", "/tmp/")), path


def test_the_small_model_foretells_a_book_far_better_than_chance(bookworm, text):
    assert nats(bookworm, text) < math.log(bookworm.config.d_vocab) / 1.5
    shuffled = text[:, torch.randperm(text.shape[1], generator=torch.Generator().manual_seed(0))]
    assert nats(bookworm, shuffled) > nats(bookworm, text) + 1


@pytest.mark.parametrize("name", TRANSCODERS)
def test_a_transcoder_stands_in_for_its_mlp_and_an_empty_one_does_not(name, bookworm, text):
    words = open_dictionary(name)
    assert words.facts["weights"]["lineage"] == bookworm.identity.lineage
    whole, spliced = nats(bookworm, text), nats(bookworm, text, steer=splice(words, error=False))
    with torch.no_grad():
        words.decoder.zero_()
    emptied = nats(bookworm, text, steer=splice(words, error=False))
    assert whole - 0.05 < spliced < whole + 0.5 * (emptied - whole)


def test_a_model_that_does_not_ship_is_refused_by_name():
    with pytest.raises(InputError, match="bookworm"):
        shipped_model("bookwurm")


# In a process of its own, since setuptools takes the place of distutils, which another test may have loaded.
PACKAGE_DATA = """
from setuptools import Distribution
distribution = Distribution({"script_name": "setup.py", "package_dir": {"": "src"}})
distribution.parse_config_files(["pyproject.toml"])
# What an earlier build listed must not stand in for a pattern.
distribution.include_package_data = False
build = distribution.get_command_obj("build_py")
build.ensure_finalized()
for _, folder, _, names in build.data_files:
    for name in names:
        print(f"{folder}/{name}")
"""


def taken(patterns: str) -> set[str]:
    """Return what a wheel takes beside the code, below src/glassbook, where `patterns` are set besides pyproject.toml's."""
    script = PACKAGE_DATA.replace("build.ensure_finalized()", f"{patterns}\nbuild.ensure_finalized()")
    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    return {name.removeprefix("src/glassbook/") for name in told.stdout.splitlines()}


def test_every_file_that_ships_is_there_and_in_the_wheel():
    there = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*") if path.is_file()}
    assert there == SHIPS
    assert {f"features/data/{name}" for name in SHIPS} <= taken("")
    package = ROOT / "src" / "glassbook"
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {name for name in files if not name.endswith((".py", ".pyc", ".so", ".cpp"))} <= taken("")


def test_control_a_pattern_that_forgets_the_cards_leaves_them_out_of_the_wheel():
    forgetful = taken('distribution.package_data["glassbook.features"] = ["data/*/*/*"]')
    left_out = {name for name in SHIPS if f"features/data/{name}" not in forgetful}
    assert left_out == {f"{DEFAULT}/cards/{file}" for file in CARDS}


def test_what_ships_of_probing_and_absorption_is_of_these_weights_and_beats_random_directions():
    probing, absorption = (open_kept(DATA / DEFAULT, file) for file in (PROBING, ABSORPTION))
    mean = probing["mean_accuracy"]
    assert mean["random directions"]["20"] < mean["features"]["20"] < mean["stream"]["all"]
    assert all(abs(accuracy - 0.5) < 0.05 for accuracy in mean["shuffled labels"].values())
    told, chance = absorption["mean"]["dictionary"], absorption["mean"]["random directions"]
    assert told["split_f1"]["low"] > chance["split_f1"]["high"] and told["probe_f1"]["low"] > 0.8
    assert 0 < told["full_absorption"]["estimate"] < told["absorption_fraction"]["estimate"] < 0.2
    assert max(score for score in absorption["shuffled_f1"].values() if score is not None) < 0.2


@pytest.mark.model
def test_the_default_dictionary_explains_a_book_that_it_never_saw(default_model):
    words = open_dictionary(DEFAULT)
    tokens = default_model.to_tokens(next(iter(open_corpus("willows")))[:1200])
    x = capture(default_model, tokens, ["L15.resid_post"], stop_at_layer=16)["L15.resid_post"][0, 1:].float()
    left = (x - words(x)).square().sum() / (x - x.mean(0)).square().sum()
    others = words(x.flip(0))
    assert left < 0.35 < (x - others).square().sum() / (x - x.mean(0)).square().sum()
    assert 8 < float((words.encode(x) > 0).sum(1).float().mean()) < 128
