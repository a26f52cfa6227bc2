"""A build that is killed leaves the old site or the new one, and the next build is as if nothing had been."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glassbook.core.errors import GlassbookError
from glassbook.notebook.site import placing
from notebook.conftest import FILES, write_files
from notebook.site.test_building import built
from notebook.site.test_building import tree as whole_tree

TESTS = Path(__file__).parents[1]
BUILD = "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path; from notebook.site.test_building import built; "
BUILD += "print('ready', flush=True); built(Path(sys.argv[1]))"
N_ENTRIES = 30


@pytest.fixture
def notebook(tmp_path):
    """Return a notebook of some length, whose every page says 'old'."""
    more = {
        f"entries/posts/p{i}.md": f"# Post {i}\n\nThe old text of [[post {(i + 1) % N_ENTRIES}]].\n"
        for i in range(N_ENTRIES)
    }
    return write_files(tmp_path / "notebook", {**FILES, **more})


def tree(site):
    """Return the files of a site, without the one that says what they were made from."""
    files = whole_tree(site)
    files.pop(".glassbook-site.json")
    return files


def say(root, word):
    for path in (root / "entries/posts").glob("p*.md"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("The old", f"The {word}").replace("The new", f"The {word}"), encoding="utf-8")


def start(root):
    running = subprocess.Popen([sys.executable, "-c", BUILD, str(root), str(TESTS)], stdout=subprocess.PIPE)
    assert running.stdout.readline() == b"ready\n"
    return running


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=pytest.mark.slow)])
def test_a_build_killed_at_any_moment_leaves_a_whole_site(notebook, kills):
    built(notebook)
    old = tree(notebook / "site")
    say(notebook, "new")
    first, begun = start(notebook), time.monotonic()
    assert first.wait() == 0
    lasts = time.monotonic() - begun
    new = tree(notebook / "site")
    assert old != new and old.keys() == new.keys()
    chance, killed, rounds = random.Random(0), 0, 0
    while killed < kills:
        word, rounds = "old" if rounds % 2 == 0 else "new", rounds + 1
        say(notebook, word)
        running = start(notebook)
        time.sleep(chance.random() * lasts)
        running.send_signal(signal.SIGKILL)
        is_killed = running.wait() == -signal.SIGKILL
        # On a machine that has grown quieter builds end sooner, and kills must come sooner too.
        killed, lasts = killed + is_killed, lasts if is_killed else lasts / 2
        assert tree(notebook / "site") in (old, new)
        built(notebook)
        assert tree(notebook / "site") == (old if word == "old" else new)


def test_two_builds_at_once_leave_one_whole_site(notebook):
    built(notebook)
    whole = tree(notebook / "site")
    both = [start(notebook) for _ in range(2)]
    assert {one.wait() for one in both} <= {0, 1}
    assert tree(notebook / "site") == whole


def test_ctrl_c_and_a_full_disk_leave_the_old_site(notebook, monkeypatch):
    built(notebook)
    old = tree(notebook / "site")
    say(notebook, "new")

    def interrupted(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(placing, "_sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        built(notebook)
    assert tree(notebook / "site") == old

    def full(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(placing, "_sync", full)
    with pytest.raises(GlassbookError, match="the disk is full"):
        built(notebook)
    assert tree(notebook / "site") == old
    assert sorted(path.name for path in notebook.iterdir() if "site" in path.name) == ["site"], (
        "nothing half-made is left"
    )
    monkeypatch.undo()
    built(notebook)
    assert tree(notebook / "site") != old, "control: undisturbed, the new site comes"
