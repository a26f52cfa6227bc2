"""When each entry came and when it changed, from git, in one call for the whole notebook."""

import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_LOG = (
    "log",
    "-z",
    "--format=%x01%ad%x02%s",
    "--date=short",
    "--name-status",
    "-M",
    "--no-color",
    "--no-show-signature",
)
_PATIENCE_S = 30


@dataclass(frozen=True, slots=True)
class Change:
    """One commit that touched an entry: its day (ISO) and its subject."""

    date: str
    subject: str


def history(root: Path, below: str = "entries") -> Mapping[Path, tuple[Change, ...]]:
    """Return the changes of every file below `root/below`, newest first; of a renamed file those before its new name too.

    Where there is no git, no repository or no commit, nothing is known, and nothing fails.
    """
    said = _git(root, *_LOG, "--", below)
    top = _git(root, "rev-parse", "--show-toplevel").strip()
    if not said or not top:
        return {}
    found: dict[str, list[Change]] = defaultdict(list)
    # Read from the newest to the oldest, so that a file's later names are known when its earlier ones appear.
    later: dict[str, str] = {}
    for change, status, names in _changes(said):
        now = later.get(names[-1], names[-1])
        if status.startswith("R"):
            later[names[0]] = now
        found[now].append(change)
    return {Path(top, name): tuple(changes) for name, changes in found.items()}


def _changes(said: str) -> Iterator[tuple[Change, str, list[str]]]:
    """Yield each change of a file: its commit, git's letter for it, and the file's name or its old and new ones."""
    for commit in said.split("\x01")[1:]:
        head, *fields = commit.split("\0")
        date, _, subject = head.partition("\x02")
        change, waiting = Change(date, subject.strip()), iter(field.strip("\n") for field in fields)
        for status in waiting:
            if status:
                n_names = 2 if status[0] in "RC" else 1
                names = [name for _, name in zip(range(n_names), waiting, strict=False)]
                if len(names) == n_names:
                    yield change, status, names


def _git(root: Path, *arguments: str) -> str:
    """Return what git prints, or nothing; neither the person's configuration nor a surrounding git changes the answer."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env = kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C.UTF-8",
    }
    try:
        done = subprocess.run(
            ["git", "--no-pager", "-C", str(root), *arguments],
            capture_output=True,
            env=env,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
