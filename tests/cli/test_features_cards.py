"""`glassbook features cards`: what it keeps, says and records, and what it refuses."""

import json

import pytest

from glassbook.cli import features_cards
from glassbook.features import make_dictionary, save_dictionary
from glassbook.features.cards import has_cards, open_cards
from glassbook.runs import read_run
from glassbook.runs.index import find_run


@pytest.fixture
def harvested(cli, tiny, tmp_path):
    """Return a store's folder and a dictionary's, of the tiny model."""
    import torch

    text = tmp_path / "text.jsonl"
    text.write_text(json.dumps({"text": "some <b>words</b> of its own & more " * 12}) + "\n")
    ask = ["--context", "16", "--site", "L0.resid_post", "--dtype", "float32", "--out", tmp_path / "store"]
    said = cli("features", "harvest", tiny, text, *ask, "--json").json()
    made = make_dictionary("standard", 32, 10)
    with torch.no_grad():
        made.encoder.copy_(torch.randn(10, 32, generator=torch.Generator().manual_seed(0)))
        made.decoder.copy_(made.encoder)
        made.b_enc[0] = -1000
    made.facts |= {"site": "L0.resid_post", "weights": said["weights"]}
    return tmp_path / "store", save_dictionary(tmp_path / "dictionary", made)


def test_cards_are_kept_beside_the_dictionary_shown_on_a_page_and_recorded(cli, tiny, harvested):
    store, folder = harvested
    ask = ["features", "cards", folder, "--store", store, "--model", tiny, "--dtype", "float32"]
    said = cli(*ask, "--feature", 3, "--feature", 5, "--ablate", 1, "--json").json()
    kept = open_cards(folder)
    assert said["features"] == kept.n_features == 10 and said["tokens"] == kept.n_tokens and said["dead"] == 1
    assert len(kept.card(3).ablation) == 1 and kept.card(4).ablation == ()
    run = read_run(find_run(said["run"]).folder)
    page = (run.folder / "report.html").read_text()
    assert run.status == "done" and said["page"] == str(run.folder / "report.html")
    assert "Feature 3" in page and "Feature 5" in page and "Feature 4<" not in page
    assert "&lt;b" in page and "<b>" not in page
    written = (folder / "cards" / "cards.json").stat().st_mtime_ns
    shown = cli("features", "cards", folder, "--model", tiny, "--feature", 3, "--json").json()
    assert shown["tokens"] == said["tokens"] and (folder / "cards" / "cards.json").stat().st_mtime_ns == written
    every = cli(*ask, "--all")
    assert every.status == 0 and "10 features" in every.out and "1 of them never active" in every.out


def test_what_cannot_be_done_is_said_before_anything_is_kept(cli, tiny, harvested, tmp_path, monkeypatch):
    store, folder = harvested
    ask = ["features", "cards", folder, "--store", store, "--model", tiny, "--dtype", "float32"]
    assert "no feature 10; they run from 0 to 9" in cli(*ask, "--feature", 10).err
    assert (
        "give the harvest" in cli(*ask[:3], "--model", tiny).err
        and "too many for one page" in cli(*ask, *["--feature", 1] * 401).err
    )
    assert "no folder with a dictionary" in cli("features", "cards", tmp_path, "--store", store, "--model", tiny).err
    assert "ships with the package" in cli(*ask[:2], "bookworm/L0.mlp_out", *ask[3:]).err
    assert "holds no activations" in cli(*ask[:3], "--store", tmp_path, "--model", tiny).err
    assert "allow more" in cli(*ask, "--max-gb", "0.001").err

    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("glassbook.features.cards.make_cards", stopped)
    said = cli(*ask)
    assert said.status == 130 and "nothing was written" in said.err
    assert not has_cards(folder) and features_cards.MODULES
