"""A harvest killed with SIGKILL at any moment goes on without repeating or losing a token, and ends with the same bytes."""

import errno
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from activations.store.material import SITES, content, settings, texts
from conformance.tiny import tiny_model
from glassbook.activations.store import harvest, open_store
from glassbook.activations.store.journal import read_facts, read_journal
from glassbook.activations.store.places import as_place
from glassbook.core.errors import GlassbookError

FEW = {"shard_bytes": 40_000, "batch_size": 8}


def _harvest(folder: Path, **how: Any) -> None:
    harvest(tiny_model(), texts(), SITES, folder, settings(**how))


def _deadly(folder: Path, after: int) -> None:
    """Harvest, and die before the call number `after` of those that reach the disk."""
    left = iter(range(after, -1, -1))

    def wrapped(call: Any) -> Any:
        def either(*arguments: Any, **named: Any) -> Any:
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return either

    for name in ("fsync", "replace", "mkdir"):
        setattr(os, name, wrapped(getattr(os, name)))
    _harvest(folder, **FEW)


def _child(work: Any, *arguments: Any, **named: Any) -> Any:
    child = multiprocessing.get_context("fork").Process(target=work, args=arguments, kwargs=named)
    child.start()
    return child


def _acknowledged(folder: Path) -> list[Any]:
    """Return what the journal acknowledges, after holding every byte of it to its checksum."""
    place = as_place(folder)
    if read_facts(place) is None:
        assert read_journal(place) == []
        return []
    assert open_store(folder).faults() == []
    return read_journal(place)


def _killed_before_calls(tmp_path: Path, step: int) -> None:
    """Kill a harvest before its first call that reaches the disk, go on with it, and so with every `step`-th call."""
    _harvest(tmp_path / "whole", **FEW)
    whole, numbers = content(tmp_path / "whole"), []
    for after in range(0, 200, step):
        folder = tmp_path / "cut"
        shutil.rmtree(folder, ignore_errors=True)
        child = _child(_deadly, folder, after)
        child.join()
        numbers.append(len(_acknowledged(folder)))
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        _harvest(folder, **FEW)
        assert content(folder) == whole
    n_shards = len(read_journal(as_place(tmp_path / "whole")))
    assert after > 6 * n_shards and numbers == sorted(numbers) and numbers[-1] == n_shards and len(set(numbers)) > 2


def test_killed_before_calls_that_reach_the_disk_a_harvest_ends_with_the_same_bytes(tmp_path):
    _killed_before_calls(tmp_path, step=15)


@pytest.mark.slow
def test_killed_before_each_call_that_reaches_the_disk_a_harvest_ends_with_the_same_bytes(tmp_path):
    _killed_before_calls(tmp_path, step=1)


def _killed_at_random(tmp_path: Path, n_kills: int, seed: int) -> None:
    """Kill harvests at random moments, going on with each until it is done, and hold every one to the undisturbed one."""
    started = time.perf_counter()
    _harvest(tmp_path / "whole")
    took, chance = time.perf_counter() - started, random.Random(seed)
    whole, known, reached = content(tmp_path / "whole"), [], set()
    folder = tmp_path / "cut"
    for _ in range(n_kills):
        child = _child(_harvest, folder)
        time.sleep(chance.uniform(0, 0.7) * took)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        found = _acknowledged(folder)
        assert found[: len(known)] == known, "what was acknowledged stays"
        known = found
        reached.add(len(known))
        if child.exitcode == 0 or (known and known[-1].ended):
            assert content(folder) == whole
            shutil.rmtree(folder)
            known = []
    _harvest(folder)
    assert content(folder) == whole and open_store(folder).facts["counts"]["ended"] == "corpus"
    assert len(reached) > min(n_kills, 6) // 2, "the kills fell into the harvest"


@pytest.mark.slow
def test_killed_at_random_moments_a_harvest_ends_with_the_same_bytes(tmp_path):
    _killed_at_random(tmp_path, 3, seed=0)


@pytest.mark.slow
def test_killed_at_fifty_random_moments_a_harvest_ends_with_the_same_bytes(tmp_path):
    _killed_at_random(tmp_path, 50, seed=1)


def test_control_a_shard_acknowledged_before_it_is_whole_is_caught(tmp_path):
    _harvest(tmp_path / "store", **FEW)
    last = sorted((tmp_path / "store/shards").iterdir())[-1]
    last.write_bytes(bytes(last.stat().st_size))
    with pytest.raises(AssertionError):
        _acknowledged(tmp_path / "store")


@pytest.mark.parametrize("after", [0, 4, 9, 16])
def test_a_full_disk_is_one_sentence_and_what_was_harvested_is_kept(tmp_path, monkeypatch, after):
    _harvest(tmp_path / "whole", **FEW)
    left, plain = iter(range(after, -100, -1)), os.fsync

    def full(number: int) -> None:
        if next(left) <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(number)

    with (
        monkeypatch.context() as patch,
        pytest.raises((GlassbookError, OSError), match=r"the disk is full|No space left"),
    ):
        patch.setattr(os, "fsync", full)
        _harvest(tmp_path / "store", **FEW)
    assert len(_acknowledged(tmp_path / "store")) >= (after - 4) // 8
    _harvest(tmp_path / "store", **FEW)
    assert content(tmp_path / "store") == content(tmp_path / "whole")


@pytest.fixture
def tiny_disk(tmp_path):
    """Yield a folder on a file system of so few bytes that a harvest does not fit."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount; the same law is tested with a simulated full disk above")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_on_a_truly_full_disk_a_harvest_says_so_once_and_goes_on_when_there_is_room(tiny_disk, tmp_path):
    _harvest(tmp_path / "whole", **FEW)
    with pytest.raises(GlassbookError, match=r"the disk is full: .*\.safetensors' could not be written"):
        _harvest(tiny_disk / "store", **FEW)
    assert len(_acknowledged(tiny_disk / "store")) >= 2
    subprocess.run(["mount", "-o", "remount,size=2m", str(tiny_disk)], check=True)
    _harvest(tiny_disk / "store", **FEW)
    assert content(tiny_disk / "store") == content(tmp_path / "whole")
