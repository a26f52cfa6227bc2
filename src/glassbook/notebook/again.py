"""How a run is made again: the command, and Python that does the same."""

import shlex
from collections.abc import Mapping
from typing import Any

_OURS, _STUDY = "glassbook", "study"


def command_of(record: Mapping[str, Any]) -> str:
    """Return the command line that a run was made with, as a shell reads it."""
    return shlex.join(_words(record))


def python_of(record: Mapping[str, Any]) -> str:
    """Return a few lines of Python that make a run again: a study measures itself, all else is done by its command."""
    words, config = _words(record), record["asked"]["config"]
    if record["kind"] == _STUDY and "study" in config:
        return python_of_study(config, int(record["asked"]["seed"]))
    if words[:1] != [_OURS]:
        return f"import subprocess\n\nsubprocess.run({words!r}, check=True)"
    lines = ("from glassbook.cli.app import run", "from glassbook.runs import find_run, list_runs", "")
    again = ("print(find_run(list_runs(limit=1)[0].id).metrics())",)
    return "\n".join((*lines, f"assert run({words[1:]!r}) == 0", *again))


def python_of_study(config: Mapping[str, Any], seed: int) -> str:
    """Return Python that measures one seed of a study as `config` asked it."""
    weights = (config.get("settings") or {}).get("weights")
    asked = {"size": config["size"], "seed": seed, "only": config.get("only"), "weights": weights}
    given = ", ".join(f"{name}={value!r}" for name, value in asked.items() if value not in (None, ""))
    return f"import glassbook as gb\n\nrun = gb.studies.find({config['study']!r}).run({given})\nprint(run.folder)"


def _words(record: Mapping[str, Any]) -> list[str]:
    return [str(word) for word in record["asked"]["command"]]
