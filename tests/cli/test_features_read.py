"""`glassbook features read`: the active features of a text, what makes its next token likely, and what is refused."""

import json

import pytest

from features.spliced import PAIR, words
from glassbook.circuits import active_features
from glassbook.cli.features_opening import say_loss
from glassbook.features import known_model, open_dictionary, save_dictionary
from glassbook.models.loading.opening import open_model
from glassbook.runs import read_run
from glassbook.runs.index import find_run

TEXT = "the inn was full"


@pytest.fixture
def dictionary(tiny, tmp_path):
    """Return the folder of a dictionary of the tiny model's middle stream."""
    return save_dictionary(tmp_path / "dictionary", words(open_model(tiny), "jumprelu"))


def test_every_token_is_told_with_all_its_features_and_the_run_keeps_them(cli, tiny, dictionary):
    said = cli("features", "read", dictionary, "--model", tiny, TEXT, "--json").json()
    model = open_model(tiny)
    own = active_features(model, words(model, "jumprelu"), TEXT)
    assert [token["text"] for token in said["tokens"]] == list(own.strings)
    assert [len(token["features"]) for token in said["tokens"]] == [len(one) for one in own.features]
    assert said["l0"] == pytest.approx(own.l0) and said["l0"] > 1
    run = read_run(find_run(said["run"]).folder)
    assert run.status == "done" and (run.folder / "report.html").is_file()
    assert json.loads((run.folder / "artifacts" / "reading.json").read_text())["tokens"] == said["tokens"]
    other = cli("features", "read", dictionary, "--model", tiny, "another text", "--json").json()
    assert other["tokens"] != said["tokens"]


@pytest.mark.parametrize("against", [[], ["--against", "b"]])
def test_what_makes_a_token_likely_is_told_beside_exact_ablation(cli, tiny, dictionary, against):
    ask = ["features", "read", dictionary, "--model", tiny, TEXT, "--token", "a", *against]
    found = cli(*ask, "--top", 4, "--others", 3, "--json").json()["attribution"]
    assert len(found["checked"]["largest"]) == 4 and len(found["checked"]["others"]) == 3
    scores = {one["feature"]: one["score"] for one in found["features"]}
    assert all(one["score"] == scores[one["feature"]] for one in found["checked"]["largest"])
    assert found["checked"]["correlation"] > 0.9
    printed = cli(*ask, "--top", 4)
    assert printed.status == 0 and "exact ablation" in printed.out and ("log-odds" in printed.out) == bool(against)


def test_a_transcoder_is_read_at_its_two_sites(cli, tiny, tmp_path):
    folder = save_dictionary(tmp_path / "dictionary", words(open_model(tiny), "transcoder", PAIR))
    plain = cli("features", "read", folder, "--model", tiny, TEXT, "--json").json()
    asked = cli("features", "read", folder, "--model", tiny, TEXT, "--site", PAIR[0], "--site", PAIR[1], "--json").json()
    assert plain["tokens"] == asked["tokens"] and plain["l0"] > 0
    assert cli("features", "read", folder, "--model", tiny, TEXT, "--site", PAIR[0]).is_one_sentence()


def test_a_model_that_ships_is_opened_by_its_name_and_a_misspelt_one_is_not(cli):
    said = cli("features", "read", "bookworm/L0.mlp_out", TEXT, "--json").json()
    assert said["l0"] > 0 and said["weights"] is None
    refused = cli("features", "read", "bookworm/L0.mlp_out", TEXT, "--model", "bookwurm")
    assert refused.is_one_sentence() and "no model is named 'bookwurm'" in refused.err


@pytest.mark.parametrize(
    ("loss", "words"),
    [(0.02, "0.020 less than"), (-0.02, "0.020 more than"), (-0.0001, "as much as"), (None, "not recorded")],
)
def test_what_a_dictionary_explains_on_other_weights_is_compared_in_words(loss, words):
    told = say_loss({"explained_variance": 0.8, "loss": loss, "text": "oz", "trained_on": "a model"})
    assert words in told and "-0.000" not in told


def test_what_cannot_be_read_is_said_in_one_sentence_and_leaves_no_run(cli, tiny, dictionary, tmp_path):
    refused = {
        "several tokens": [dictionary, TEXT, "--token", "abracadabra"],
        "--against": [dictionary, TEXT, "--against", "a"],
        "empty": [dictionary, ""],
        "no dictionary": [tmp_path, TEXT],
        "is 32 wide": [dictionary, TEXT, "--site", "L0.mlp_post"],
        "3 Sites": [dictionary, TEXT, *("--site", "L1.resid_post") * 3],
    }
    said = {name: cli("features", "read", *asked, "--model", tiny) for name, asked in refused.items()}
    assert [name for name, answer in said.items() if not answer.is_one_sentence()] == []
    assert "log-odds of a token" in said["--against"].err and "is 32 wide" in said["is 32 wide"].err
    assert cli("features", "read", dictionary, "--model", tiny, TEXT).status == 0


def test_the_model_is_found_by_what_a_dictionary_was_trained_on_or_must_be_named(cli, dictionary):
    assert known_model(open_dictionary("bookworm/L1.mlp_out")) == "bookworm"
    assert known_model(open_dictionary("smollm2-135m/L15.resid_post")) == "smollm2-135m"
    assert known_model(open_dictionary(dictionary)) is None
    refused = cli("features", "read", dictionary, TEXT)
    assert refused.is_one_sentence() and "name it with --model" in refused.err
