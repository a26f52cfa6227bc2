"""Atomic writing: all or nothing, also when the block fails or the disk is full."""

import errno
import json
import os
import subprocess
import sys

import pytest

from glassbook.core.errors import GlassbookError
from glassbook.files import atomic
from glassbook.files.atomic import atomic_file, atomic_folder, write_bytes, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_each_writer_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "note"
    for write, value, expected in [
        (write_bytes, b"longer than the next", b"longer than the next"),
        (write_text, "käse", "käse".encode()),
        (write_json, {"a": [1]}, b'{\n  "a": [\n    1\n  ]\n}\n'),
    ]:
        write(path, value)
        assert path.read_bytes() == expected and names(tmp_path) == ["note"]
    assert json.loads(path.read_text()) == {"a": [1]}


@pytest.mark.parametrize("fault", [RuntimeError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_a_block_that_fails_leaves_the_old_file_and_no_temporary_one(tmp_path, fault):
    path = tmp_path / "note"
    write_bytes(path, b"old")
    with pytest.raises(type(fault)), atomic_file(path) as file:
        file.write(b"half")
        raise fault
    assert path.read_bytes() == b"old" and names(tmp_path) == ["note"]
    with atomic_file(path) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"


def test_a_replaced_file_keeps_its_permissions_and_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    write_bytes(real, b"1")
    real.chmod(0o640)
    link.symlink_to(real)
    write_bytes(link, b"2")
    assert link.is_symlink() and real.read_bytes() == b"2" and real.stat().st_mode & 0o777 == 0o640


def test_a_folder_takes_the_place_of_the_old_one_in_one_step(tmp_path):
    target = tmp_path / "run"
    for generation in ("one", "two"):
        with atomic_folder(target) as folder:
            (folder / generation).write_text(generation)
            assert not target.exists() or names(target) == ["one"]
        assert names(target) == [generation] and names(tmp_path) == ["run"]


def test_without_exchange_on_the_file_system_a_folder_is_still_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    test_a_folder_takes_the_place_of_the_old_one_in_one_step(tmp_path)


def test_a_folder_whose_block_fails_leaves_the_old_one(tmp_path):
    target = tmp_path / "run"
    with atomic_folder(target) as folder:
        (folder / "old").write_text("old")
    with pytest.raises(RuntimeError), atomic_folder(target) as folder:
        (folder / "new").write_text("new")
        raise RuntimeError
    assert names(target) == ["old"] and names(tmp_path) == ["run"]


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "note"
    write_bytes(path, b"old")

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", full)
        with pytest.raises(GlassbookError, match=r"disk is full.*note.*MB are left.*choose another folder"):
            write_bytes(path, b"new")
    assert path.read_bytes() == b"old" and names(tmp_path) == ["note"]
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(GlassbookError, match="missing"):
        write_bytes(tmp_path / "missing" / "note", b"x")
    with pytest.raises(GlassbookError, match="missing"), atomic_folder(tmp_path / "missing" / "run"):
        pass


def test_an_error_of_the_callers_own_passes_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_file(tmp_path / "note"):
        (tmp_path / "elsewhere").read_bytes()


def test_leavings_of_a_dead_process_are_removed_and_those_of_a_living_one_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".note.{dead.pid}-00.part").write_bytes(b"half")
    living = tmp_path / f".note.{os.getpid()}-00.part"
    living.write_bytes(b"half")
    write_bytes(tmp_path / "note", b"whole")
    assert names(tmp_path) == [living.name, "note"]
