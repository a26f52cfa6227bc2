"""`glassbook steer` shows what the library measures, and leaves a Run that can be read, checked and used again."""

import json
import re
from typing import get_type_hints

import pytest
import torch

from glassbook.cli.steering_experiment import parse_positions, unrelated_windows
from glassbook.cli.steering_options import Acting, Recipe
from glassbook.core.errors import InputError
from glassbook.models.loading.opening import open_model
from glassbook.runs.index import find_run
from glassbook.runs.reading import StoredRun
from glassbook.steering.comparison import measure_effect, say
from glassbook.steering.directions import DIRECTIONS
from glassbook.steering.files import load_vector, save_vector
from glassbook.steering.fluency import perplexity_ratio
from glassbook.steering.operators import OPERATORS
from glassbook.steering.recipes import actadd, direction, mean_difference
from glassbook.steering.vector_set import everywhere
from glassbook.tasks.contrast import ChoiceItem

PROMPT = "The king"
CHOICES = [
    ChoiceItem("I am", " glad", " sad"),
    ChoiceItem("It is", " fine", " foul"),
    ChoiceItem("We", " win", " lose"),
]
PAIR = ["--plus", "Love", "--minus", "Hate", "--site", "L1.resid_pre"]
SHORT = ["--max-new-tokens", "8", "--n-random", "3"]


@pytest.fixture
def choices(tmp_path):
    path = tmp_path / "choices.jsonl"
    rows = [{"prompt": one.prompt, "positive": one.positive, "negative": one.negative} for one in CHOICES]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def ask(tiny, choices):
    return ["steer", tiny, PROMPT, *SHORT, "--choices", choices]


def kept(said) -> StoredRun:
    return find_run(said["run"])


def test_json_tells_the_effect_that_the_library_measures(cli, ask, tiny):
    said = cli(*ask, *PAIR, "--strength", 4, "--seed", 2, "--instruction", "Love! ", "--json").json()
    model = open_model(tiny)
    vector = actadd(model, "Love", "Hate", "L1.resid_pre") * 4.0
    effect = measure_effect(model, vector, CHOICES, label=said["label"], n_random=3, instruction="Love! ", seed=2)
    assert said["effect"]["steered"] == effect.steered
    assert said["effect"]["randoms"] == effect.randoms
    assert said["effect"]["prompted"] == effect.prompted
    assert said["perplexity_ratio"] == perplexity_ratio(model, unrelated_windows(model), vector)
    assert said["sentence"] == say(effect, said["perplexity_ratio"])
    texts = [trial["text"] for trial in said["trials"][0]]
    assert texts == [
        model.generate(PROMPT, max_new_tokens=8, seed=2, prepend_bos=True),
        model.generate(PROMPT, max_new_tokens=8, seed=2, steer=vector),
    ]
    assert texts[0] != texts[1]


def test_a_person_reads_both_texts_the_sentence_and_where_the_run_lies(cli, ask):
    said, lines = cli(*ask, *PAIR, "--json").json(), cli(*ask, *PAIR).out.splitlines()
    assert lines[0].startswith("unsteered, perplexity ")
    assert said["sentence"] in lines
    assert [line.split()[0] for line in lines[-2:]] == ["run", "report"]
    assert all(trial["text"].splitlines()[0] in "\n".join(lines) for trial in said["trials"][0])


def test_the_run_is_whole_and_holds_vector_views_numbers_and_a_page_without_network(cli, ask):
    said = cli(*ask, *PAIR, "--json").json()
    run = kept(said)
    assert run.status == "done" and run.faults() == []
    assert {"vectors", "effects", "effect-0", "completions-0-0"} <= run.views().keys()
    assert {one["name"]: one["value"] for one in run.metrics()}["shift-0"] == said["effect"]["steered_shift"]
    assert run.record["asked"]["command"][:2] == ["glassbook", "steer"]
    assert run.record["asked"]["config"]["plus"] == "Love"
    assert [one["name"] for one in run.record["data"]] == [f"choices {said_name(run)}", "alice"]
    page = run.report.read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page
    assert "Love" in page and "random directions" in page


def said_name(run: StoredRun) -> str:
    return run.record["asked"]["config"]["choices"]


def test_every_part_says_what_it_cost(cli, ask):
    run = kept(cli(*ask, *PAIR, "--json").json())
    parts = [one["part"] for one in run.record["cost"]["parts"]]
    assert parts == [
        "make the vector",
        "complete with and without",
        "effect beside 3 random directions",
        "cost on unrelated text",
    ]
    assert all(one["wall_s"] > 0 and one["peak_bytes"] > 0 for one in run.record["cost"]["parts"])


def test_the_kept_vector_steers_again_with_the_same_effect(cli, ask):
    first = cli(*ask, *PAIR, "--strength", 3, "--json").json()
    path = kept(first).folder / "artifacts" / "vector-0.safetensors"
    again = cli(*ask, "--vector", path, "--json").json()
    assert again["effect"]["steered"] == first["effect"]["steered"]
    assert again["vector"]["strength"] == 3.0
    weaker = cli(*ask, "--vector", path, "--strength", 0.5, "--json").json()
    assert weaker["vector"]["strength"] == 1.5
    assert weaker["effect"]["steered"] != first["effect"]["steered"]


def test_files_of_texts_and_a_contrast_set_of_the_same_texts_make_the_same_vector(cli, ask, tiny, tmp_path):
    good, bad = ["a good day", "a kind word"], ["a bad day", "a mean word"]
    (tmp_path / "good.txt").write_text("\n\n".join(good) + "\n")
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in bad))
    pairs = [{"positive": plus, "negative": minus} for plus, minus in zip(good, bad, strict=True)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    site = ["--site", "L2.resid_post", "--choices", "none", "--json"]
    files = cli(*ask, "--positives", tmp_path / "good.txt", "--negatives", tmp_path / "bad.jsonl", *site).json()
    whole = cli(*ask, "--contrast", tmp_path / "pairs.jsonl", *site).json()
    expected = mean_difference(open_model(tiny), good, bad, "L2.resid_post")
    assert [one["rows"] for one in kept(files).record["data"]] == [2, 2]
    assert [one["rows"] for one in kept(whole).record["data"]] == [4]
    for said in (files, whole):
        vector = load_vector(kept(said).folder / "artifacts" / "vector-0.safetensors")
        assert torch.equal(vector.values, expected.values)


def test_positions_and_operator_are_the_recipe_s_own_unless_they_are_given(cli, ask):
    quiet = ["--choices", "none", "--json"]
    own = cli(*ask, *PAIR, *quiet).json()["vector"]
    given = cli(*ask, *PAIR, *quiet, "--positions", "1,2", "--operator", "ablate", "--strength", -2).json()["vector"]
    assert (own["positions"], own["operator"], own["strength"]) == ("front", "add", 1.0)
    assert (given["positions"], given["operator"], given["strength"]) == ([1, 2], "ablate", -2.0)


def test_with_nothing_measured_nothing_is_claimed(cli, ask):
    said = cli(*ask, *PAIR, "--choices", "none", "--json").json()
    assert said["effect"] is None and said["perplexity_ratio"] is None
    assert said["sentence"].endswith("no effect was measured, so nothing can be said of one.")
    assert "effect-0" not in kept(said).views()


@pytest.mark.parametrize(("text", "positions"), [("all", "all"), ("front", "front"), ("0", (0,)), ("0, 3", (0, 3))])
def test_positions_are_names_or_indices(text, positions):
    assert parse_positions(text) == positions


@pytest.mark.parametrize("text", ["", "first", "1,", "-1", "1.5"])
def test_other_positions_are_refused(text):
    with pytest.raises(InputError, match="is neither one of"):
        parse_positions(text)


def test_windows_of_unrelated_text_fit_the_context_and_do_not_overlap(tiny):
    model = open_model(tiny)
    windows = unrelated_windows(model)
    assert {len(window) for window in windows} == {model.config.n_ctx - 1}
    joined = model.to_string([token for window in windows for token in window])
    assert joined and joined in "".join(open_text())


def open_text() -> list[str]:
    from glassbook.text.corpora import open_corpus

    return list(open_corpus("alice"))


def test_several_sites_make_a_set_that_is_kept_and_steers_again(cli, ask, tiny):
    sites = ["--site", "L0-1.resid_post", "--site", "L2.H1.z"]
    said = cli(*ask, *PAIR[:-2], *sites, "--strength", 2, "--json").json()
    wanted = ["L0.resid_post", "L1.resid_post", "L2.H1.z"]
    assert [one["site"] for one in said["vector"]["set"]] == wanted
    assert [one["strength"] for one in said["vector"]["set"]] == [2.0] * 3
    path = kept(said).folder / "artifacts" / "vector-0.safetensors"
    assert load_vector(path).sites == open_model(tiny).sites(wanted)
    again = cli(*ask, "--vector", path, "--json").json()
    assert again["effect"]["steered"] == said["effect"]["steered"]
    part = cli(*ask, "--vector", path, "--site", "L1.resid_post", "--json").json()
    assert part["vector"]["site"] == "L1.resid_post"
    assert part["effect"]["steered"] != said["effect"]["steered"]


def test_a_vector_from_a_file_stands_at_every_site_that_is_given(cli, ask, tiny, tmp_path):
    model = open_model(tiny)
    vector = mean_difference(model, ["good", "kind"], ["bad", "mean"], "L1.resid_post")
    save_vector(tmp_path / "v.safetensors", vector)
    how = ["--vector", tmp_path / "v.safetensors", "--operator", "ablate", "--site", "L*.resid_post", "--json"]
    said = cli(*ask, *how).json()
    ablated = everywhere(model, vector.with_(operator="ablate"), "L*.resid_post")
    assert [one["operator"] for one in said["vector"]["set"]] == ["ablate"] * 3
    assert said["effect"]["steered"] == measure_effect(model, ablated, CHOICES, label="", n_random=1).steered


@pytest.mark.parametrize("kind", list(DIRECTIONS))
def test_every_direction_can_be_asked_for_by_name(cli, ask, tiny, tmp_path, kind):
    good, bad = ["a good day", "a kind word", "so glad"], ["a bad day", "a mean word", "how sad"]
    (tmp_path / "good.txt").write_text("\n".join(good))
    (tmp_path / "bad.txt").write_text("\n".join(bad))
    sides = ["--positives", tmp_path / "good.txt", "--negatives", tmp_path / "bad.txt"]
    how = ["--direction", kind, "--token", -2, "--site", "L2.resid_post", "--choices", "none", "--json"]
    said = cli(*ask, *sides, *how).json()
    vector = load_vector(kept(said).folder / "artifacts" / "vector-0.safetensors")
    expected = direction(open_model(tiny), good, bad, "L2.resid_post", kind, position=-2)
    assert torch.equal(vector.values, expected.values)
    assert said["vector"]["made"]["recipe"] == kind and said["label"].startswith(kind.replace("-", " "))


def test_the_help_names_every_operator_and_every_direction():
    hints = (
        get_type_hints(Acting, include_extras=True)["operator"],
        get_type_hints(Recipe, include_extras=True)["direction"],
    )
    for hint, names in zip(hints, (OPERATORS, DIRECTIONS), strict=True):
        said = re.findall(r"[a-z]+(?:-[a-z]+)*", hint.__metadata__[0].help)
        assert set(names) <= set(said)
