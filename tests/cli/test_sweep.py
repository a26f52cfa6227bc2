"""`glassbook sweep` shows what the library finds, leaves a Run that can be gone on with, and refuses in one sentence."""

import io
import json
from contextlib import redirect_stdout

import pytest

import glassbook.cli.sweep_run as sweep_run
from glassbook.cli.app import run
from glassbook.cli.sweep_options import read_effect, read_layers, read_strengths
from glassbook.core.errors import InputError
from glassbook.models.loading.opening import open_model
from glassbook.runs.index import find_run, list_runs
from glassbook.steering.files import load_vector
from glassbook.steering.sweep import sweep
from glassbook.views.view import plain
from views.html_checks import check, text_of

SHORT = [
    "--layers",
    "0-1",
    "--strengths",
    "1,4",
    "--n-random",
    "19",
    "--n-items",
    "4",
    "--n-tokens",
    "2",
    "--budget",
    "1.5",
]
TEXTS = (["I love it", "What a joy"], ["I hate it", "What a pain"])
WORDS = [("glad", "sad"), ("fine", "foul"), ("win", "lose"), ("love", "hate"), ("good", "bad"), ("warm", "cold")]


@pytest.fixture(scope="module")
def ask(tiny, tmp_path_factory) -> list[object]:
    """Return a whole command, its texts and choices in files."""
    folder = tmp_path_factory.mktemp("asked")
    rows = [{"prompt": f"{number} is", "positive": f" {a}", "negative": f" {b}"} for number, (a, b) in enumerate(WORDS)]
    (folder / "choices.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, texts in zip(("good", "bad"), TEXTS, strict=True):
        (folder / f"{name}.txt").write_text("\n".join(texts))
    pairs = ["--positives", folder / "good.txt", "--negatives", folder / "bad.txt"]
    return [
        "sweep",
        "--model",
        tiny,
        *pairs,
        *SHORT,
        "--choices",
        folder / "choices.jsonl",
        "--instruction",
        "Be glad. ",
    ]


@pytest.fixture(scope="module")
def done(ask, tmp_path_factory):
    """Return what one sweep said as JSON, and where its run is kept."""
    root = tmp_path_factory.mktemp("runs")
    with redirect_stdout(io.StringIO()) as out:
        assert run([*map(str, ask), "--seed", "3", "--root", str(root), "--json"]) == 0
    return json.loads(out.getvalue()), root


def test_json_tells_what_the_library_finds(done, ask, tiny):
    said, _ = done
    choices = str(ask[ask.index("--choices") + 1])
    found = sweep(
        open_model(tiny), TEXTS, [0, 1], (1, 4), items=choices, budget=1.5, n_random=19, n_items=4, n_tokens=2,
        instruction="Be glad. ", seed=3,
    )  # fmt: skip
    whole = json.loads(json.dumps(plain(found.to_dict())))
    for name in ("grid", "verdict", "sentence", "prompted", "written"):
        assert said[name] == whole[name]
    assert said["chosen"] == whole["chosen"] and len(said["chosen"]["randoms"]) == 19


def test_the_run_keeps_the_vector_at_its_chosen_cell_every_picture_and_the_page(done):
    said, root = done
    kept, chosen = find_run(said["run"], root), said["chosen"]["vector"]["cell"]
    vector = load_vector(said["vectors"][0])
    assert (vector.site.layer, vector.strength) == (chosen["layer"], chosen["strength"])
    assert kept.status == "done" and kept.faults() == []
    assert {"sweep-map", "frontier", "controls", "choices", "dose", "fluency"} <= set(kept.views())
    page = kept.report.read_text()
    shown = text_of(page)
    assert said["sentence"][1:] in shown and "Effect beside fluency" in shown
    assert check(page).faults == []
    names = {row["name"].rpartition("/")[2] for row in kept.record["data"]}
    assert names == {"good.txt", "bad.txt", "choices.jsonl", "alice"}


def test_a_sweep_that_was_stopped_goes_on_to_the_same_numbers_and_shows_them_to_people(cli, ask, done, monkeypatch):
    def stop(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sweep_run, "keep_sweep", stop)
        assert cli(*ask, "--seed", 3).status == 130
    stopped = list_runs(kind="sweep")[0]
    assert stopped.status == "interrupted"
    answer = cli("sweep", "--resume", "latest")
    lines, run = answer.out.splitlines(), find_run(stopped.id)
    assert answer.status == 0 and run.status == "done"
    assert lines[0].split() == ["layer", "1", "4"] and sum(line.count("*") for line in lines[1:3]) == 1
    numbers = json.loads((run.folder / "artifacts" / "sweep.json").read_text())
    said, _ = done
    assert said["sentence"][1:] in answer.out
    assert all(numbers[name] == said[name] for name in ("grid", "chosen", "written"))


def test_what_is_done_or_asked_otherwise_or_no_sweep_is_not_gone_on_with(cli, done):
    said, root = done
    at = ["--root", root]
    assert "is done" in cli("sweep", "--resume", said["run"], *at).err
    other = cli("sweep", "--resume", said["run"], "--budget", "3", *at)
    assert other.is_one_sentence() and "other options" in other.err
    assert cli("sweep", "--resume", "nowhere", *at).is_one_sentence()


def test_a_function_of_the_users_is_an_effect_and_where_it_raises_the_cell_says_so(cli, ask, tmp_path):
    # The first four texts, two of each half, are unsteered; the fifth is of the first cell.
    source = "calls = []\n\ndef fussy(text):\n    calls.append(text)\n    if len(calls) == 5:\n"
    (tmp_path / "mine.py").write_text(source + "        raise ValueError('I do not like it')\n    return len(text)\n")
    said = cli(*ask, "--effect", f"{tmp_path / 'mine.py'}:fussy", "--json").json()
    run = find_run(said["run"])
    assert said["effect"] == "fussy" and [cell["effect"] is None for cell in said["grid"]] == [
        True,
        False,
        False,
        False,
    ]
    assert "raised ValueError: I do not like it" in text_of(run.report.read_text())
    assert len(run.record["asked"]["config"]["effect_sha256"]) == 64


def test_a_function_that_always_raises_is_told_of_in_one_sentence_and_the_run_is_kept(cli, ask, tmp_path):
    (tmp_path / "mine.py").write_text("def never(text):\n    raise ValueError('not today')\n")
    answer = cli(*ask, "--effect", f"{tmp_path / 'mine.py'}:never", "--json")
    assert answer.is_one_sentence() and "raised ValueError: not today" in answer.err
    assert [run.status for run in list_runs()] == ["failed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "a sweep tries one direction"),
        (["--contrast", "sentiment", "--vector", "v.safetensors"], "a sweep tries one direction"),
        (["--contrast", "sentiment", "--layers", "9-4"], "empty range"),
        (["--contrast", "sentiment", "--layers", "four"], "cannot be read"),
        (["--contrast", "sentiment", "--strengths", "1;2"], "not numbers with commas"),
        (["--contrast", "sentiment", "--strengths", "0,1"], "0 changes nothing"),
        (["--contrast", "sentiment", "--effect", "nothing"], "no effect is named 'nothing'"),
        (["--contrast", "sentiment", "--effect", "none.py:f"], "no file 'none.py'"),
        (["--contrast", "sentiment", "--budget", "nan"], "budget"),
        (["--contrast", "sentiment", "--n-random", "3"], "3 random directions"),
        (["--contrast", "sentiment", "--topic", "alice"], "--topic is for"),
        (["--contrast", "sentiment", "--layers", "50"], "L50"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_one_sentence_and_leaves_no_run(cli, tiny, options, said):
    answer = cli("sweep", "--model", tiny, *options)
    assert answer.is_one_sentence() and said in answer.err
    assert list_runs() == []


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("4-7", [4, 5, 6, 7]),
        ("4:10:2", [4, 6, 8]),
        ("4:6", [4, 5]),
        ("4,8,12", [4, 8, 12]),
        ("3", [3]),
        ("1-2,9", [1, 2, 9]),
    ],
)
def test_layers_are_read_as_a_person_writes_them(text, layers):
    assert read_layers(text) == layers


@pytest.mark.parametrize("text", ["", "-3", "4-", "4-8-9", "1:2:3:4", "4:8:0", "a", "4:4", "1.5"])
def test_layers_that_cannot_be_read_are_refused(text):
    with pytest.raises(InputError, match="--layers"):
        read_layers(text)


def test_strengths_and_effects_are_read():
    assert read_layers(None) is None
    assert read_strengths("0.5, 1,-2") == [0.5, 1.0, -2.0]
    assert read_effect("choice-log-odds") == "choice-log-odds"


@pytest.mark.parametrize(
    ("source", "said"),
    [("x = 1\n", "has no function 'f'"), ("f = 3\n", "has no function 'f'"), ("1 / 0\n", "ZeroDivisionError")],
)
def test_a_file_without_a_function_or_that_fails_is_refused(tmp_path, source, said):
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(InputError, match=said):
        read_effect(f"{path}:f")
