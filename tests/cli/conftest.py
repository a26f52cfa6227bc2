"""A way to call the command line inside the test's process, and a tiny model in a folder to call it on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conformance.tiny import tiny_model
from glassbook.cli.app import run
from glassbook.models.loading.own_folder import save_model


@dataclass(frozen=True)
class Answer:
    """What one command left: its exit status and what it printed."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Return the one JSON document on stdout; fail where there is anything else."""
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))

    def is_one_sentence(self) -> bool:
        """Return whether stderr holds one line of ours, stdout nothing, and the status says that it cannot be done."""
        lines = self.err.splitlines()
        quiet = self.out == "" and "Traceback" not in self.err
        return self.status == 2 and len(lines) == 1 and lines[0].startswith("glassbook: ") and quiet


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]):
    """Return a function that runs one command and returns its Answer."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        return Answer(status, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny Llama with a tokenizer: 3 layers, 4 heads, 48 neurons, a context of 48 tokens."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(tiny_model("llama"), folder)
    return folder


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work and keep runs in the test's own folder."""
    monkeypatch.setenv("GLASSBOOK_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
