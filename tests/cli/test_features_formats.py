"""`glassbook features import` and `export`: what is carried is said, what is not is said too, and nothing is overwritten."""

import json
import shutil

import pytest
import torch

from features.cards.cards_samples import a_card, a_dictionary_folder, some_cards
from features.formats.samples import GOLDEN, INPUTS, misses
from glassbook.features import load_dictionary, open_dictionary, save_dictionary
from glassbook.features.cards import save_cards
from glassbook.features.labels import Ability, Label, Labels, Scored, Scorer, Told, save_labels
from glassbook.features.labels.rules import Words


@pytest.mark.parametrize("source", ["saelens/jumprelu", "dictionary_learning/gated", "sparsify/layers.4"])
def test_an_import_becomes_a_dictionary_of_ours_with_the_same_outputs(cli, tmp_path, source):
    answer = cli("features", "import", GOLDEN / source, "--out", tmp_path / "mine", "--json")
    assert answer.status == 0, answer.err
    told = answer.json()["dictionaries"][0]
    assert told["format"] == source.partition("/")[0] and told["folder"] == str(tmp_path / "mine")
    ours, theirs = load_dictionary(tmp_path / "mine"), open_dictionary(GOLDEN / source)
    assert torch.equal(ours(INPUTS), theirs(INPUTS))
    assert ours.facts["imported"]["format"] == told["format"]


def test_without_a_folder_an_import_only_looks(cli, tmp_path):
    answer = cli("features", "import", GOLDEN / "saelens" / "topk")
    assert answer.status == 0, answer.err
    assert "topk (k 3)" in answer.out and "24 features of width 8" in answer.out and "L5.resid_pre" in answer.out
    assert "only looked at" in answer.out and not list(tmp_path.iterdir())


def test_what_was_taken_to_be_so_is_said_in_a_sentence(cli):
    answer = cli("features", "import", GOLDEN / "dictionary_learning" / "topk")
    assert "only its layer is said" in answer.out
    assert "not carried" not in cli("features", "import", GOLDEN / "saelens" / "topk").out


def test_a_site_can_be_given_where_the_files_name_none(cli, tmp_path):
    out = tmp_path / "mine"
    answer = cli("features", "import", GOLDEN / "sparsify" / "layers.5.mlp", "--out", out, "--site", "L5.resid_mid")
    assert answer.status == 0, answer.err
    assert load_dictionary(out).facts["site"] == "L5.resid_mid"


@pytest.mark.parametrize("format_name", ["saelens", "dictionary_learning", "sparsify"])
def test_an_export_is_what_the_import_of_it_was(cli, tmp_path, format_name):
    before = open_dictionary(GOLDEN / "ours" / "saelens" / "topk")
    save_dictionary(tmp_path / "mine", before)
    answer = cli(
        "features", "export", tmp_path / "mine", "--format", format_name, "--out", tmp_path / "theirs", "--json"
    )
    assert answer.status == 0, answer.err
    assert sorted(answer.json()["files"]) == sorted(one.name for one in (tmp_path / "theirs").iterdir())
    after = open_dictionary(tmp_path / "theirs")
    assert misses(after(INPUTS), before(INPUTS)) < 1e-6 and after.facts["site"] == before.facts["site"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "nowhere"),
        ("import", "."),
        ("import", GOLDEN / "saelens" / "topk", "--format", "gguf"),
        ("import", GOLDEN / "saelens" / "topk", "--format", "sparsify"),
        ("import", GOLDEN / "saelens" / "topk", "--out", GOLDEN / "saelens" / "topk"),
        ("import", GOLDEN / "saelens" / "topk", "--site", "L5.nothing"),
        ("export", GOLDEN / "saelens" / "gated", "--format", "sparsify", "--out", "new"),
        ("export", GOLDEN / "saelens" / "gated", "--format", "gemma_scope", "--out", "new"),
        ("export", GOLDEN / "saelens" / "gated", "--format", "neuronpedia", "--out", "new"),
        ("export", GOLDEN / "saelens" / "gated", "--format", "saelens", "--out", GOLDEN),
        ("export", "nowhere", "--format", "saelens", "--out", "new"),
    ],
    ids=lambda arguments: " ".join(str(one).rpartition("/")[2] for one in arguments),
)
def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(cli, tmp_path, arguments):
    answer = cli("features", *arguments)
    assert answer.is_one_sentence(), answer
    assert not (tmp_path / "new").exists()


def some_labels():
    """Return a label that says something, scored by a judge that is able to detect, and one that says nothing."""
    ability = Ability(Told(9, 10, 9, 10), Told(5, 10, 5, 10))
    scored = Scored(Told(4, 5, 5, 5))
    inn = Label(2, "token", "the word “inn”", Words(("inn",)), Told(4, 5, 5, 5), scored, scored)
    return Labels({}, Scorer("somebody", ability), [Label(1, "none", "never active"), inn])


def test_cards_become_feature_files_with_their_examples_intervals_and_logits(cli, tmp_path):
    folder = tmp_path / "L1-of-a-model"
    dictionary = a_dictionary_folder(folder)
    torch.nn.init.normal_(dictionary.decoder)
    save_dictionary(folder, dictionary, {"site": "L1.resid_post", "weights": {"name": "a-model"}})
    save_cards(folder, some_cards())
    answer = cli("features", "export", folder, "--format", "neuronpedia", "--out", tmp_path / "np", "--json")
    assert answer.status == 0, answer.err
    assert answer.json()["files"] == ["batch-0.json"]
    batch = json.loads((tmp_path / "np" / "batch-0.json").read_text())
    assert (batch["model_id"], batch["layer"], batch["sae_set"]) == ("a-model", 1, "L1-of-a-model")
    one, card = batch["features"][2], a_card(2)
    assert one["feature_index"] == 2 and one["frac_nonzero"] == card.density
    assert one["pos_str"] == [token for token, _ in card.logits_up]
    assert one["neg_values"] == [round(value, 3) for _, value in card.logits_down]
    assert one["vector"] == open_dictionary(folder).decoder[2].tolist()
    top, *_, sample = one["activations"]
    assert (top["bin_min"], top["bin_max"], top["bin_contains"]) == (-1, 99, -1)
    assert sample["values"][sample["qualifying_token_index"]] == card.examples[-1].activations[card.examples[-1].peak]
    assert top["tokens"] == [f"<{token}>" for token in card.examples[0].tokens]
    # With labels their rows come beside; the control: without cards there is nothing to write.
    save_labels(folder, some_labels())
    said = cli("features", "export", folder, "--format", "neuronpedia", "--out", tmp_path / "labeled", "--json").json()
    assert said["files"] == ["batch-0.json", "explanations.jsonl"]
    (row,) = map(json.loads, (tmp_path / "labeled" / "explanations.jsonl").read_text().splitlines())
    assert (row["index"], row["layer"]) == ("2", "1-L1-of-a-model") and row["description"] == "the word “inn”"
    assert [score["type"] for score in row["scores"]] == ["detection"]
    shutil.rmtree(folder / "cards")
    assert cli("features", "export", folder, "--format", "neuronpedia", "--out", tmp_path / "no").is_one_sentence()
