"""The entry of the command line: help costs little, a usage error is a sentence, and help names every verb."""

import subprocess
import sys

import pytest

import glassbook
from glassbook.cli.app import VERBS, run

SPY = """
import sys
from glassbook.cli.app import run
status = run({arguments!r})
heavy = sorted({{"torch", "numpy", "transformers", "tokenizers", "jinja2"}} & set(sys.modules))
print(status, *heavy)
"""


def loaded_by(*arguments: str) -> list[str]:
    """Return the exit status and the heavy packages that one command loads in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SPY.format(arguments=list(arguments))], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], *([verb, "--help"] for verb in VERBS)])
def test_help_of_every_verb_loads_neither_torch_nor_any_other_heavy_package(arguments):
    assert loaded_by(*arguments) == ["0"]


def test_control_a_verb_at_work_does_load_torch(tmp_path):
    status, *heavy = loaded_by("open", str(tmp_path / "nothing.gguf"))
    assert status == "2"
    assert "torch" in heavy


def test_the_help_names_every_verb_and_the_version_is_the_package_s(cli):
    said = cli("--help").out
    assert all(f"\n  {verb}" in said for verb in VERBS)
    assert cli("--version").out.strip() == glassbook.__version__


def test_help_in_a_pipe_is_plain_text(cli):
    said = cli("generate", "--help").out
    assert "--max-new-tokens" in said
    assert "\x1b" not in said and "╭" not in said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["opne"], "opne"),
        (["open"], "MODEL"),
        (["open", "x", "--dtpye", "float32"], "--dtpye"),
        (["open", "x", "y"], "y"),
        (["generate", "x", "y", "--top-k", "many"], "--top-k"),
        (["--loud"], "--loud"),
    ],
)
def test_a_usage_error_is_one_sentence_that_names_the_word_and_where_to_look(cli, arguments, named):
    answer = cli(*arguments)
    assert answer.is_one_sentence()
    assert named in answer.err
    assert "--help'" in answer.err


def test_every_verb_takes_json_in_its_help(cli):
    for verb in set(VERBS) - {"runs", "study", "features"}:
        assert "--json" in cli(verb, "--help").out
    for verb in ("list", "run", "report", "compare"):
        assert "--json" in cli("study", verb, "--help").out


def test_run_returns_its_status_and_leaves_the_process_alone():
    assert run(["--version"]) == 0
