"""`glassbook check` tells planted vectors apart, keeps a Run with its page, and refuses what is none in one sentence."""

import json
from pathlib import Path

import pytest
import torch

from conformance.tiny import tiny_model
from glassbook.cli.check import Acting, Measuring
from glassbook.cli.check_run import Check
from glassbook.core.sites import Site
from glassbook.files.gguf_writing import write_gguf
from glassbook.runs.index import find_run
from glassbook.steering.controls import random_like
from glassbook.steering.files import load_vector, save_vector
from glassbook.steering.formats.control_vector import load_control_vector, save_control_vector
from glassbook.steering.recipes import mean_difference
from glassbook.steering.vector_set import VectorSet
from glassbook.steering.vectors import SteeringVector
from glassbook.tasks.contrast import load_choices

TRAINED = Path(__file__).parents[1] / "golden" / "repeng_sentiment.gguf"
SHORT = ["--max-new-tokens", "3", "--n-tokens", "32", "--prompt", "The king"]


def rows(*pairs):
    return "".join(json.dumps({"prompt": p, "positive": a, "negative": b}) + "\n" for p, a, b in pairs)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Vectors and pairs, sound ones and others, by name."""
    folder, model = tmp_path_factory.mktemp("vectors"), tiny_model()
    a, b = (model.transformer.unembed.weight[model.to_single_token(letter)] for letter in "ab")
    own = SteeringVector(site=Site.parse("L2.resid_post"), values=(a - b).detach(), identity=model.identity)
    both = VectorSet((own.with_(site=Site.parse("L1.resid_post")), own))
    save_vector(folder / "own.safetensors", own)
    save_vector(folder / "set.safetensors", both)
    save_control_vector(folder / "own.gguf", own, model)
    wide = [("direction.1", "F32", (16,), torch.ones(16).numpy())]
    head = {"general.architecture": "controlvector", "controlvector.model_hint": "llama"}
    write_gguf(folder / "wide.gguf", head, wide)
    write_gguf(folder / "weights.gguf", {"general.architecture": "llama"}, wide)
    write_gguf(
        folder / "phi3.gguf",
        head | {"controlvector.model_hint": "phi3"},
        [("direction.1", "F32", (32,), a.detach().numpy())],
    )
    (folder / "notes.txt").write_text("no vector at all")
    save_vector(folder / "foreign.safetensors", mean_difference(tiny_model(seed=2), ["good"], ["bad"], "L1.resid_pre"))
    words = ("king", "tree", "day", "sea", "cat", "end", "sun", "bell")
    (folder / "pairs.jsonl").write_text(rows(*((f"The {word}", "a", "b") for word in words)))
    (folder / "empty.jsonl").write_text(rows(("The king", "", "b")))
    (folder / "mute.jsonl").write_text(rows(("", "a", "b")))
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def ask(tiny, files):
    def asked(name, *more):
        return ["check", files[name], "--model", tiny, *SHORT, *(files.get(str(one), one) for one in more)]

    return asked


def test_the_page_and_the_run_hold_vector_numbers_and_pictures_without_network(cli, ask, files):
    answer = cli(*ask("own.gguf", "--pairs", "pairs.jsonl", "--instruction", "a a a ", "--json"))
    said = answer.json()
    run = find_run(said["run"])
    assert answer.status in (0, 1) and answer.err == ""
    assert run.status == "done" and run.faults() == [] and run.kind == "check"
    assert {
        "controls",
        "dose-effect",
        "dose-cost",
        "text",
        "doses",
        "fluency",
        "vectors",
        "written-0",
    } == run.views().keys()
    assert [one["name"] for one in run.record["data"]] == ["own.gguf", f"choices {files['pairs.jsonl']}", "alice"]
    assert {one["name"]: one["value"] for one in run.metrics()}["shift"] == said["effect"]["steered_shift"]
    kept = load_vector(run.folder / "artifacts" / "vector.safetensors")
    assert torch.equal(kept["L2.resid_post"].values, load_vector(files["own.safetensors"]).values)
    page = run.report.read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page
    assert said["verdict"] in page and "Nothing ties the file to these weights but its width" in page
    assert "a a a" in page and "Is it this direction that matters?" in page


def steered_by(files, name, **acting):
    """The logits under the vectors that a check of a file would use."""
    model = tiny_model()
    vectors = Check.of(files[name], Acting(**acting), Measuring()).vectors(model)
    return model("The king", steer=vectors)


def test_a_control_vector_and_ours_of_the_same_numbers_are_one(files):
    ours, theirs = (steered_by(files, name, strength=2.0) for name in ("own.safetensors", "own.gguf"))
    assert torch.equal(ours, theirs) and not torch.equal(ours, tiny_model()("The king"))


def test_strength_and_layers_are_those_asked_for(files):
    once, twice, upper = (
        steered_by(files, "own.safetensors"),
        steered_by(files, "own.safetensors", strength=2.0),
        steered_by(files, "set.safetensors", layers="2"),
    )
    assert torch.equal(upper, once) and not torch.equal(twice, once)
    assert not torch.equal(steered_by(files, "set.safetensors"), once)


def test_another_model_s_vector_can_be_forced_and_remembers_it(files):
    forced = Check.of(files["phi3.gguf"], Acting(force=True), Measuring()).vectors(tiny_model())
    assert all(vector.force for vector in forced)


def test_items_are_drawn_by_the_seed_and_keep_their_order(files):
    path, whole = files["own.gguf"], load_choices("sentiment").items
    drawn = [Check.of(path, Acting(), Measuring(pairs="sentiment", n_items=9, seed=seed)).items for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2] and len(drawn[0]) == 9
    assert [one for one in whole if one in drawn[0]] == drawn[0]
    assert Check.of(path, Acting(), Measuring(pairs="sentiment", n_items=99)).items == list(whole)


def test_a_person_reads_texts_strengths_and_the_sentence_and_the_status_says_what_it_comes_to(cli, ask):
    told = cli(*ask("own.safetensors"))
    lines = told.out.splitlines()
    assert told.status == 1 and "cannot be told, since no pairs were given" in told.out
    assert lines[0] == "The king" and [line.split()[0] for line in lines[-2:]] == ["run", "report"]
    assert any(line.split()[:2] == ["times", "the"] for line in lines)


WRONG = {
    "strength 0": (["own.gguf", "--strength", "0"], ["--strength 0", "other than 0"]),
    "strength NaN": (["own.gguf", "--strength", "nan"], ["--strength nan"]),
    "strength infinite": (["own.gguf", "--strength", "inf"], ["--strength inf"]),
    "an empty range": (["set.safetensors", "--layers", "2:1"], ["'2:1' is an empty range"]),
    "layers that it lacks": (["set.safetensors", "--layers", "8-16"], ["no vector of the set is at layers", "[1, 2]"]),
    "no layers at all": (["set.safetensors", "--layers", "all"], ["'all' cannot be read"]),
    "another width": (["wide.gguf"], ["wide.gguf", "width 16", "width 32"]),
    "another architecture": (["phi3.gguf"], ["phi3", "llama", "--force"]),
    "another model": (["foreign.safetensors"], ["tiny-llama-2", "not the same model"]),
    "weights": (["weights.gguf"], ["weights.gguf", "no control vector"]),
    "no vector": (["notes.txt"], ["notes.txt"]),
    "an option of nothing": (["own.gguf", "--pairs", "empty.jsonl"], ["item 0", "tokenizes to nothing"]),
    "a prompt of nothing": (["own.gguf", "--pairs", "mute.jsonl"], ["item 0", "empty prompt"]),
    "unknown pairs": (["own.gguf", "--pairs", "weather"], ["weather", "sentiment"]),
    "nothing to complete": (["own.gguf", "--prompt", ""], ["prompt"]),
    "no random directions": (["own.gguf", "--n-random", "0"], ["n-random"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_checked_is_one_sentence_and_begins_no_run(cli, ask, tmp_path, case):
    arguments, words = WRONG[case]
    answer = cli(*ask(*arguments))
    assert answer.is_one_sentence(), answer
    assert all(word in answer.err for word in words), answer.err
    assert "mistake of its own" not in answer.err and not (tmp_path / "runs").exists()


def test_a_missing_file_is_one_sentence(cli, tiny):
    answer = cli("check", "nowhere.gguf", "--model", tiny)
    assert answer.is_one_sentence() and "nowhere.gguf" in answer.err


def test_a_tiny_random_control_vector_does_nothing(cli, ask, files):
    random = random_like(load_vector(files["own.safetensors"]), 7, 0)
    save_control_vector(files["own.gguf"].with_name("random.gguf"), random, tiny_model())
    path = files["own.gguf"].with_name("random.gguf")
    answer = cli("check", path, *ask("own.gguf")[2:], "--strength", "0.001", "--pairs", files["pairs.jsonl"], "--json")
    assert (answer.json()["verdict"], answer.status) == ("does nothing", 1)


def test_steer_takes_a_control_vector_too(cli, tiny, files):
    ask = ["steer", tiny, "The king", "--choices", "none", "--max-new-tokens", "2", "--json"]
    said = cli(*ask, "--vector", files["own.gguf"], "--strength", "3").json()
    assert said["vector"]["set"][0]["site"] == "L2.resid_post"


# On the default model: a vector that repeng trained, and random ones.


@pytest.fixture(scope="module")
def at_random(default_model, tmp_path_factory):
    """A control vector of random directions, of the norm that repeng's have."""
    path = tmp_path_factory.mktemp("planted") / "random.gguf"
    trained = load_control_vector(TRAINED, default_model)
    save_control_vector(path, random_like(trained, 7, 0), default_model)
    return path


@pytest.mark.model
@pytest.mark.parametrize(
    ("trained", "strength", "verdict", "status"),
    [
        (True, 8, "works", 0),
        # On a small model this verdict is held by tests/steering/test_check.py.
        pytest.param(False, 1000, "only breaks fluency", 1, marks=pytest.mark.slow),
    ],
)
def test_control_vectors_are_told_apart_by_verdict_and_status(cli, at_random, trained, strength, verdict, status):
    ask = ["check", TRAINED if trained else at_random, "--strength", strength, "--layers", "26-28", "--n-items", "8"]
    answer = cli(*ask, "--pairs", "sentiment", *SHORT, "--json")
    said = answer.json()
    assert (said["verdict"], answer.status) == (verdict, status), said["sentence"]
    assert said["effect"]["works"] == (verdict == "works")
    assert (said["cost"]["perplexity_ratio"] > 1.1) == (verdict == "only breaks fluency")
