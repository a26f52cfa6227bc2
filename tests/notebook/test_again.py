"""How a run is made again: the command as a shell reads it, and Python that does what it says."""

import shlex

import pytest

from glassbook.notebook.again import command_of, python_of
from glassbook.runs.index import list_runs
from glassbook.runs.record import start_run
from glassbook.studies.running import find
from studies.toy.study import Toy


@pytest.fixture(autouse=True)
def own_runs(tmp_path, monkeypatch):
    """Keep runs in the test's own folder."""
    monkeypatch.setenv("GLASSBOOK_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)


def record(words, kind="trial"):
    return {"kind": kind, "asked": {"command": words, "config": {}, "seed": 0}}


@pytest.mark.parametrize("words", [["glassbook", "steer", "two words", "it's"], ["python", "-c", "print('a')\n"]])
def test_the_command_is_read_by_a_shell_as_it_was_typed(words):
    assert shlex.split(command_of(record(words))) == words


def test_the_python_of_a_study_measures_the_same_seed_again(capsys):
    first = find(Toy.name).run(size="smoke", seed=1)
    exec(python_of(first.record), {})
    assert capsys.readouterr().out.strip() == str(first.folder), "what was measured serves again"
    exec(python_of(dict(first.record) | {"asked": first.record["asked"] | {"seed": 0}}), {})
    assert capsys.readouterr().out.strip() != str(first.folder), "control: another seed is another run"


def test_the_python_of_any_command_of_ours_runs_it_and_shows_its_numbers(capsys, monkeypatch):
    def trial(words):
        with start_run("trial", ["glassbook", *words], {}) as run:
            run.metric("loss", 0.5)
        return 0 if words == ["trial", "it's"] else 1

    monkeypatch.setattr("glassbook.cli.app.run", trial)
    exec(python_of(record(["glassbook", "trial", "it's"])), {})
    assert "'value': 0.5" in capsys.readouterr().out and len(list_runs()) == 1
    with pytest.raises(AssertionError):
        exec(python_of(record(["glassbook", "trial", "other"])), {})


def test_the_python_of_another_program_calls_it(tmp_path):
    exec(python_of(record(["touch", "a file"])), {})
    assert (tmp_path / "a file").exists()
