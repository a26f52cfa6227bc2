"""`glassbook features harvest`: what it keeps, says and records, and going on."""

import json

import pytest
import typer

import glassbook.activations.store as store_room
from glassbook.activations.store import open_store
from glassbook.cli import long_work
from glassbook.cli.app import build
from glassbook.cli.features_harvest import Pace, read_range
from glassbook.core.errors import InputError
from glassbook.runs import read_run
from glassbook.runs.index import find_run, list_runs

SMALL = ["--context", "16", "--site", "L0.resid_post", "--site", "blocks.1.hook_resid_post", "--dtype", "float32"]


@pytest.fixture
def text(tmp_path):
    """Return a file of documents."""
    path = tmp_path / "text.jsonl"
    rows = [{"text": f"document {number}: " + "some words of its own " * 4} for number in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_harvest_is_kept_told_and_recorded(cli, tiny, text, tmp_path):
    said = cli("features", "harvest", tiny, text, *SMALL, "--out", tmp_path / "store", "--json").json()
    store = open_store(said["folder"])
    assert store.n_tokens == said["counts"]["tokens"] > 300 and store.facts["counts"]["ended"] == "corpus"
    assert (
        list(map(str, store.sites)) == ["L0.resid_post", "L1.resid_post"]
        and store.facts["settings"]["dtype"] == "float32"
    )
    run = read_run(find_run(said["run"]).folder)
    assert run.status == "done" and run.record["weights"]["fingerprint"] == said["weights"]["fingerprint"]
    assert run.record["data"] == [
        {"name": "text.jsonl", "sha256": said["corpus"]["sha256"], "rows": 8, "licence": "unknown"}
    ]
    assert {row["name"]: row["value"] for row in run.metrics()}["tokens"] == store.n_tokens
    assert run.record["asked"]["config"]["context"] == 16 and run.record["code"]["modules"]


def test_people_are_told_what_was_kept_left_out_and_why_it_ended_and_more_can_be_added(cli, tiny, text, tmp_path):
    ask = ["features", "harvest", tiny, text, *SMALL, "--out", tmp_path / "store"]
    said = cli(*ask, "--tokens", 100)
    assert said.status == 0 and "more with a larger --tokens" in said.out and "8 documents of text.jsonl" in said.out
    assert "at the start of contexts and documents, 0 of a norm beyond" in said.out and "(width 32)" in said.out
    first = open_store(tmp_path / "store").tokens().tolist()
    assert "all of the corpus" in cli(*ask).out
    assert open_store(tmp_path / "store").tokens()[: len(first)].tolist() == first
    small = cli(*ask[:-1], tmp_path / "other", "--max-gb", 0.00003)
    assert "more with a larger --max-gb" in small.out


def test_options_shape_what_is_kept(cli, tiny, text, tmp_path):
    ask = ["features", "harvest", tiny, text, *SMALL, "--json", "--values-dtype", "bf16", "--documents", "2:5"]
    options = ["--keep-start", "--norm-multiple", "0", "--one-document", "--mixed", "0", "--seed", "3"]
    said = cli(*ask, "--out", tmp_path / "store", *options).json()
    settings = said["settings"]
    assert settings["policy"] == {"start_token": None, "drop_start": False, "norm_multiple": None}
    assert (settings["documents"], settings["packed"], settings["mixed"], settings["seed"]) == ([2, 5], False, 0, 3)
    assert settings["dtype"] == "bfloat16" and said["counts"]["left_out"] == {"start": 0, "norm": 0}
    assert set(open_store(tmp_path / "store").documents().tolist()) == {2, 3, 4}
    without = cli(*ask, "--out", tmp_path / "without", "--no-start-token").json()
    assert without["start_token"] is None


def test_ctrl_c_keeps_what_was_harvested_and_says_how_to_go_on(cli, tiny, text, tmp_path, monkeypatch):
    ask = ["features", "harvest", tiny, text, *SMALL, "--out", tmp_path / "store", "--batch-size", "4"]
    whole = cli(*ask[:-3], tmp_path / "whole", *ask[-2:], "--json").json()
    plain, calls = store_room.harvest, iter(range(100))

    def stopped(*arguments, **named):
        *rest, settings, report = arguments

        def watch(label, done, total):
            report(label, done, total)
            if next(calls) == 3:
                raise KeyboardInterrupt

        return plain(*rest, small_shards(settings), watch)

    def small_shards(settings):
        changed = {name: getattr(settings, name) for name in settings.__slots__} | {"shard_bytes": 20_000}
        return type(settings)(**changed)

    monkeypatch.setattr(store_room, "harvest", stopped)
    said = cli(*ask)
    assert said.status == 130 and f"is kept; go on with: glassbook features harvest {tiny}" in said.err
    assert 0 < open_store(tmp_path / "store").n_tokens < whole["counts"]["tokens"]
    assert [row.status for row in list_runs(kind="harvest", limit=1)] == ["interrupted"]
    monkeypatch.setattr(store_room, "harvest", plain)
    assert cli(*ask, "--json").json()["counts"]["tokens"] == whole["counts"]["tokens"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--documents", "5"], "'5' is no range of documents; write FROM:TO"),
        (["--documents", "5:2"], "documents 5 to 2 are none"),
        (["--norm-multiple", "0.5"], "would leave out ordinary positions"),
        (["--values-dtype", "float8"], "'float8' is not a precision"),
        (["--site", "L0.pattern"], "there is no vector for each token at L0.pattern"),
        (["--site", "L7.resid_post"], "layers run from 0 to 2"),
        (["--context", "100"], "a context of 100 tokens is longer than"),
        (["--max-gb", "0.000001"], "leaves no room for one context"),
        (["--out", "nosuch://store"], "cannot be opened by fsspec"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(cli, tiny, text, tmp_path, changes, words):
    said = cli("features", "harvest", tiny, text, *SMALL, "--out", tmp_path / "store", *changes)
    assert said.is_one_sentence() and words in said.err


def test_a_corpus_that_is_not_there_is_told_before_the_model_is_opened(cli, tmp_path):
    said = cli(
        "features", "harvest", "no-such-model", "no-such-corpus", "--site", "L0.resid_post", "--out", tmp_path / "store"
    )
    assert said.is_one_sentence() and "neither a known corpus" in said.err


@pytest.mark.parametrize(("spelled", "found"), [(":", (0, None)), ("3:", (3, None)), (":4", (0, 4)), ("3:4", (3, 4))])
def test_ranges_of_documents_are_read(spelled, found):
    assert read_range(spelled) == found
    with pytest.raises(InputError):
        read_range(spelled.replace(":", "-"))


def test_every_verb_of_the_group_takes_json(cli):
    command = typer.main.get_command(build())
    for verb in command.commands["features"].commands:
        assert "--json" in cli("features", verb, "--help").out


def test_without_a_terminal_a_line_a_minute_tells_rate_and_time_left(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 30.0, 70.0, 100.0, 140.0])
    monkeypatch.setattr(long_work.time, "monotonic", lambda: next(clock))
    with long_work.long_work("tokens") as report:
        for done in (100, 500, 3100, 4000, 10_000):
            report("harvesting", done, 10_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "glassbook: harvesting: 3,100 of 10,000 tokens (43 a second, 3 min left)",
        "glassbook: harvesting: 10,000 of 10,000 tokens (71 a second)",
    ]
    assert [long_work.spelled(seconds) for seconds in (4, 600, 9000)] == ["4 s", "10 min", "2.5 h"]


def test_the_pace_counts_from_the_first_report(monkeypatch):
    clock = iter([10.0, 11.0, 14.0])
    monkeypatch.setattr("glassbook.cli.features_harvest.time.monotonic", lambda: next(clock))
    pace = Pace(lambda label, done, total: None)
    assert pace.rate == 0.0
    for done in (1000, 1100, 1400):
        pace("harvesting", done, 2000)
    assert pace.rate == 100.0
