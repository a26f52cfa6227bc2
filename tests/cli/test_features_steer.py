"""`glassbook features steer`: both texts, the effect beside its controls, what the Run keeps, and what is refused."""

import pytest
import torch

from features.spliced import most_active, words
from glassbook.features import save_dictionary
from glassbook.models.loading.opening import open_model
from glassbook.runs import read_run
from glassbook.runs.index import find_run
from glassbook.steering.features import feature_vector
from glassbook.steering.files import load_vector

PROMPT = ["--prompt", "the inn was", "--max-new-tokens", 6, "--n-controls", 4]


@pytest.fixture
def dictionary(tiny, tmp_path):
    """Return the folder of a dictionary of the tiny model's middle stream."""
    return save_dictionary(tmp_path / "dictionary", words(open_model(tiny), "jumprelu"))


def test_a_prompt_is_continued_with_and_without_and_the_effect_stands_beside_its_controls(cli, tiny, dictionary):
    ask = ["features", "steer", dictionary, "--model", tiny, "--feature", 3, "--add", 9, *PROMPT]
    said = cli(*ask, "--instruction", "Speak of inns.", "--json").json()
    plain, steered = said["trials"]
    assert plain["n_touched"] == 0 < steered["n_touched"] and plain["tokens"] != steered["tokens"]
    effect = said["effect"]
    assert len(effect["similar_shifts"]) == len(effect["direction_shifts"]) == 4
    assert effect["shift"] > 0 > effect["flipped_shift"] and effect["prompting_shift"] is not None
    run = read_run(find_run(said["run"]).folder)
    assert run.status == "done" and "random direction 3" in (run.folder / "report.html").read_text()
    kept = load_vector(run.folder / "artifacts" / "vector-0.safetensors")
    wanted = feature_vector(words(open_model(tiny), "jumprelu"), 3) * 9
    assert torch.allclose(kept.values * kept.strength, wanted.values * wanted.strength)
    printed = cli(*ask)
    assert printed.status == 0 and said["label"] in printed.out and "no instruction was tried" in printed.out


def test_adding_nothing_writes_the_same_text_and_shows_no_effect(cli, tiny, dictionary):
    said = cli("features", "steer", dictionary, "--model", tiny, "--feature", 3, "--add", 0, *PROMPT, "--json").json()
    plain, same = said["trials"]
    assert plain["tokens"] == same["tokens"] and said["effect"]["shift"] == 0 and not said["works"]


def test_every_way_of_changing_several_features_goes_through(cli, tiny, dictionary):
    model = open_model(tiny)
    one, other = most_active(model, words(model, "jumprelu"), model.read("the inn was").row(0), 2)
    ask = ["features", "steer", dictionary, "--model", tiny, "--feature", one, "--feature", other, *PROMPT]
    changed = {
        tuple(how): cli(*ask, "--token", "a", "--json", *how).json()
        for how in (["--clamp", 8], ["--scale", 3], ["--ablate"])
    }
    labels = [said["label"] for said in changed.values()]
    named = f"features {one}, {other}"
    assert labels == [f"Clamping to 8 {named}", f"Adding 3 times {named}", f"Ablating {named}"]
    assert all(said["effect"]["token_strings"] == ["a"] for said in changed.values())
    assert len({said["effect"]["shift"] for said in changed.values()}) == 3


def test_what_cannot_be_steered_is_said_in_one_sentence_and_leaves_no_run(cli, tiny, dictionary, tmp_path):
    front = ["features", "steer", dictionary, "--model", tiny, *PROMPT]
    refused = {
        "in one way": [*front, "--feature", 3],
        "one of --add": [*front, "--feature", 3, "--add", 1, "--ablate"],
        "no feature 40": [*front, "--feature", 40, "--ablate"],
        "given twice": [*front, "--feature", 3, "--feature", 3, "--ablate"],
        "nan": [*front, "--feature", 3, "--add", "nan"],
        "no folder with a dictionary": [*front[:2], tmp_path, *front[3:], "--feature", 3, "--ablate"],
        "positions": [*front, "--feature", 3, "--ablate", "--positions", "sideways"],
        "touches nothing": [*front, "--feature", 3, "--ablate", "--positions", "4000"],
    }
    for words_of_it, ask in refused.items():
        said = cli(*ask)
        assert said.is_one_sentence() and words_of_it in said.err, said
    assert not list((tmp_path / "runs").glob("*features-steer*"))
