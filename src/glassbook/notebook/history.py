"""When each entry came and when it changed, from git, in one call for the whole notebook."""

import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# No path holds two slashes, so no name of a file is taken for a commit.
_BEGIN = "//%x01"
_LOG = (
    "log",
    "-z",
    f"--format={_BEGIN}%ad%x02%P%x02%s",
    "--date=short",
    "--name-status",
    "-M",
    "--no-merges",
    "--no-relative",
    "--no-ext-diff",
    "--no-color",
    "--no-show-signature",
)
# What a repository's own configuration could change in the answer, or could run.
_PLAIN = ("log.showRoot=true", "log.follow=false", "diff.renameLimit=1000", "i18n.logOutputEncoding=UTF-8")
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
    where = _git(root, "rev-parse", "--show-toplevel", "--is-shallow-repository").removesuffix("\n")
    top, _, shallow = where.rpartition("\n")
    if not said or not top:
        return {}
    found: dict[str, list[Change]] = defaultdict(list)
    # Read from the newest to the oldest, so that a file's later names are known when its earlier ones appear.
    later: dict[str, str] = {}
    for change, status, names in _changes(said, without_roots=shallow == "true"):
        now = later.get(names[-1], names[-1])
        if status.startswith("R"):
            later[names[0]] = now
        found[now].append(change)
    return {Path(top, name): tuple(changes) for name, changes in found.items()}


def _changes(said: str, without_roots: bool) -> Iterator[tuple[Change, str, list[str]]]:
    """Yield each change of a file: its commit, git's letter for it, and the file's name or its old and new ones.

    Where a clone is shallow, its oldest commit seems to bring every file; `without_roots` leaves that out.
    """
    for commit in said.split(_BEGIN.replace("%x01", "\x01"))[1:]:
        head, *fields = commit.split("\0")
        date, parents, subject = [*head.split("\x02", 2), "", ""][:3]
        if without_roots and not parents:
            continue
        # A name is kept as its bytes are; a subject is shown.
        shown = subject.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
        change, waiting = Change(date, shown), iter(field.strip("\n") for field in fields)
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
    plain = [word for setting in _PLAIN for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", "--no-pager", "-C", str(root), *plain, *arguments],
            capture_output=True,
            env=env,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(done.stdout) if done.returncode == 0 else ""
