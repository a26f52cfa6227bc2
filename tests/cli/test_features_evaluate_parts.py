"""`glassbook features evaluate --probing --absorption`: what is kept, recorded and written for SAEBench, and what is refused."""

import json

import pytest
import torch

from features.spliced import words
from glassbook.core.errors import FileFormatError
from glassbook.core.seeds import generator
from glassbook.features import make_dictionary, save_dictionary
from glassbook.features.metrics.kept import ABSORPTION, PROBING, open_kept
from glassbook.features.opening import shipped_model
from glassbook.models.loading.opening import open_model
from glassbook.runs import read_run
from glassbook.runs.index import find_run


@pytest.fixture
def folder(tiny, tmp_path):
    """Return the folder of a dictionary of the tiny model's middle stream."""
    return save_dictionary(tmp_path / "dictionary", words(open_model(tiny), "jumprelu"))


@pytest.fixture
def sentences(tmp_path):
    """Return a file of texts of two classes that a letter tells apart."""
    path = tmp_path / "sentences.jsonl"
    rows = [{"text": f"{'aaa' if number % 2 else 'zzz'} {number} the", "label": number % 2} for number in range(80)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def values(said) -> dict[str, float]:
    """Return the metrics of the Run that a document names."""
    run = read_run(find_run(said["run"]).folder)
    assert run.status == "done"
    return {one["name"]: one["value"] for one in run.metrics()}


def test_probing_is_kept_recorded_shown_and_written_for_saebench(cli, tiny, folder, sentences, tmp_path):
    ask = [
        "features",
        "evaluate",
        folder,
        "--model",
        tiny,
        "--tokens",
        0,
        "--probing",
        "--task",
        sentences,
        "--texts",
        20,
    ]
    said = cli(*ask, "--json", "--saebench", tmp_path / "core.json").json()
    kept = open_kept(folder, PROBING)
    assert said["probing"]["mean_accuracy"] == kept["mean_accuracy"] and "explained_variance" not in said
    assert not (folder / "evaluation.json").exists() and not (tmp_path / "core.json").exists()
    accuracy = kept["mean_accuracy"]["features"]["5"]
    assert values(said)["probing-features-5"] == accuracy and values(said)["probing-stream-all"] > 0.8
    bench = json.loads((tmp_path / "core.sparse_probing.json").read_text())
    assert bench["eval_type_id"] == "sparse_probing"
    metrics = bench["eval_result_metrics"]
    assert metrics["sae"]["sae_top_5_test_accuracy"] == accuracy
    assert metrics["llm"]["llm_test_accuracy"] == kept["mean_accuracy"]["stream"]["all"]
    assert metrics["llm"]["llm_top_1_test_accuracy"] == kept["mean_accuracy"]["stream"]["1"]
    assert bench["eval_result_details"] == [{"dataset_name": "sentences", **metrics["llm"], **metrics["sae"]}]
    printed = cli(*ask)
    assert printed.status == 0 and "mean, shuffled labels" in printed.out and f"{accuracy:.3f}" in printed.out


def test_absorption_is_kept_recorded_shown_and_written_for_saebench(cli, tmp_path, monkeypatch):
    model = open_model(shipped_model())
    d, alphabet = model.config.d_model, "abcdefghijklmnopqrstuvwxyz"
    made = make_dictionary("standard", d, 40).requires_grad_(False)
    made.encoder[:26] = torch.eye(d)[:26]
    made.decoder.copy_(made.encoder)
    made.facts |= {"weights": model.identity.to_dict(), "site": "L1.resid_post"}
    folder = save_dictionary(tmp_path / "dictionary", made)

    def planted(model, site, found, progress):
        places = torch.tensor([alphabet.index(letter) for letter in found.letters])
        return 4 * torch.eye(d)[places] + 0.1 * torch.randn(len(places), d, generator=generator(0, "planted"))

    monkeypatch.setattr("glassbook.features.metrics.first_letters.read_words", planted)
    ask = ["features", "evaluate", folder, "--model", "bookworm", "--tokens", 0, "--absorption", "--words", 1200]
    printed = cli(*ask, "--saebench", tmp_path / "core.json")
    assert printed.status == 0 and "too few words" in printed.out and "control: shuffled letters, 0 of" in printed.out
    kept, bench = (
        open_kept(folder, ABSORPTION),
        json.loads((tmp_path / "core.absorption_first_letter.json").read_text()),
    )
    measured = [one for one in kept["letters"] if one["state"] == "measured"]
    assert 1 < len(measured) < len(kept["letters"])
    run = next(line.split()[1] for line in printed.out.splitlines() if line.startswith("run "))
    assert values({"run": run})["absorption-split-f1"] == kept["mean"]["dictionary"]["split_f1"]["estimate"] > 0.9
    means = bench["eval_result_metrics"]["mean"]
    assert means["mean_num_split_features"] == 1 and means["std_dev_num_split_features"] == 0
    assert means["mean_full_absorption_score"] == means["mean_absorption_fraction_score"] == 0
    assert [one["first_letter"] for one in bench["eval_result_details"]] == [one["letter"] for one in measured]


def test_what_cannot_be_measured_is_one_sentence_and_keeps_nothing(cli, tiny, folder, sentences, tmp_path):
    ask = ["features", "evaluate", folder, "--model", tiny, "--tokens", 0]
    one = tmp_path / "one.jsonl"
    one.write_text('{"text": "a", "label": 1}\n')
    for wrong in (
        [],
        ["--absorption"],
        ["--probing", "--task", "nowhere"],
        ["--probing", "--task", one],
        ["--probing", "--task", sentences, "--site", "L0.mlp_post"],
    ):
        assert cli(*ask, *wrong).is_one_sentence(), wrong
    assert not (folder / PROBING).exists() and not (folder / ABSORPTION).exists()


def test_numbers_of_other_weights_and_damaged_ones_are_refused(cli, tiny, folder, sentences):
    with pytest.raises(FileFormatError, match="measure it with glassbook features evaluate --probing"):
        open_kept(folder, PROBING)
    cli("features", "evaluate", folder, "--model", tiny, "--tokens", 0, "--probing", "--task", sentences, "--texts", 20)
    assert open_kept(folder, PROBING)["format"] == "glassbook-probing/1"
    kept = (folder / PROBING).read_bytes()
    save_dictionary(folder, words(open_model(tiny), "jumprelu", seed=1))
    (folder / PROBING).write_bytes(kept)
    with pytest.raises(FileFormatError, match="other weights"):
        open_kept(folder, PROBING)
    for text, why in (("{", "damaged"), ("{}", "none of ours")):
        (folder / PROBING).write_text(text)
        with pytest.raises(FileFormatError, match=why):
            open_kept(folder, PROBING)
