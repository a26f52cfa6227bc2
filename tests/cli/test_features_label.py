"""`glassbook features label` and `search`: what they keep, say and record, and what they refuse."""

import json

import pytest

from features.spliced import words
from glassbook.features import save_dictionary, shipped_model
from glassbook.features.cards import open_cards
from glassbook.features.labels import Searcher, open_labels
from glassbook.models.loading.opening import open_model
from glassbook.runs import read_run
from glassbook.runs.index import find_run


@pytest.fixture
def carded(cli, tiny, tmp_path):
    """Return a dictionary's folder with cards, and the store that they were made of."""
    folder = save_dictionary(tmp_path / "dictionary", words(open_model(tiny), "jumprelu"))
    ask = ["--context", "32", "--site", "L1.resid_post", "--dtype", "float32", "--tokens", 6000]
    assert cli("features", "harvest", tiny, "alice", *ask, "--out", tmp_path / "store").status == 0
    ask = ["--store", tmp_path / "store", "--model", tiny, "--dtype", "float32"]
    assert cli("features", "cards", folder, *ask).status == 0
    return folder, ask


def test_labels_are_kept_beside_the_dictionary_recorded_and_found_again(cli, carded):
    folder, ask = carded
    said = cli("features", "label", folder, *ask, "--passages", 300, "--json").json()
    kept = open_labels(folder)
    assert said["labels"] == len(kept) == 40 and said["kinds"] == kept.counts()
    assert said["detection"]["shuffled"]["estimate"] < said["detection"]["told"]["estimate"]
    run = read_run(find_run(said["run"]).folder)
    assert run.status == "done" and json.loads((run.folder / "artifacts" / "labels.json").read_text())["facts"]
    assert not (folder / "labels.part.jsonl").exists()
    rule = next(one for one in kept if one.rule is not None)
    (word, *_) = [part.split("”")[0] for part in rule.text.split("“")[1:]]
    assert rule.feature in [
        one["feature"] for one in cli("features", "search", folder, word, "--json").json()["features"]
    ]
    text = cli("features", "search", folder, "--text", "the inn was full", *ask[2:], "--json").json()
    assert text["found"] > 0 and text["features"][0]["feature"] in range(40)
    searcher = Searcher(open_cards(folder), kept)
    counts = {
        word: len(searcher.words(word))
        for feature in range(40)
        for word in searcher.peak_words(feature)
        if word.isalpha()
    }
    one, several = (next(word for word, n in counts.items() if (n == 1) == only) for only in (True, False))
    assert "1 feature\n" in cli("features", "search", folder, one).out
    assert f"{counts[several]} features\n" in cli("features", "search", folder, several).out
    printed = cli("features", "label", folder, *ask, "--passages", 300, "--feature", 3, "--feature", 5)
    assert printed.status == 0 and "scorer" in printed.out
    assert len(open_labels(folder)) == 2


def test_a_judge_that_is_not_able_shows_no_figure(cli, carded):
    folder, ask = carded
    # It spells and makes little sense.
    judge = ["--judge", shipped_model(), "--judged", 1]
    said = cli("features", "label", folder, *ask, "--passages", 100, *judge, "--json").json()
    assert max(one["estimate"] for one in said["told_of_planted_features"].values()) < 0.8
    assert said["detection"] == said["fuzzing"] == "scorer not able"


def test_what_cannot_be_labelled_or_searched_is_said_in_one_sentence(cli, tiny, carded, tmp_path, monkeypatch):
    folder, ask = carded
    refused = {
        "no feature 40": ["label", folder, *ask, "--feature", 40],
        "balanced accuracy": ["label", folder, *ask, "--bar", 0.4],
        "no folder with a dictionary": ["label", tmp_path / "store", *ask],
        "give one thing": ["search", folder],
        "no word": ["search", folder, "…"],
        "--text to search for is empty": ["search", folder, "--text", ""],
        "ships with the package": ["label", "bookworm/L0.mlp_out", *ask],
    }
    for said, what in refused.items():
        answer = cli("features", *what)
        assert answer.is_one_sentence() and said in answer.err, answer
    bare = save_dictionary(tmp_path / "bare", words(open_model(tiny), "topk"))
    assert "cards" in cli("features", "search", bare, "ship").err

    def stopped(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("glassbook.features.labels.labelling.Labelling.score", stopped)
    answer = cli("features", "label", folder, *ask, "--passages", 300)
    assert answer.status == 130 and "go on with" in answer.err and not (folder / "labels.json").exists()
