"""The one door: whatever goes wrong inside becomes a sentence and a status, and a traceback only when asked for."""

import errno
import logging
import subprocess
import sys
import warnings

import pytest
import typer

from glassbook.cli.door import guarded, sentence
from glassbook.core.errors import GlassbookError, SiteError
from glassbook.steering.vectors import LineageWarning


def failing(fault):
    def work():
        raise fault

    return work


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own, which a door without torch can only know by its name."""


FAULTS = [
    (SiteError("no Site is spelled 'L6.resid'; did you mean 'resid_pre'?"), 2, "did you mean 'resid_pre'?"),
    (GlassbookError("a thing\nin two lines; do this"), 2, "a thing in two lines; do this"),
    (OSError(errno.ENOSPC, "No space left on device", "/data/x"), 2, "the disk is full: '/data/x'"),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), 2, "the disk is full: the output"),
    (
        PermissionError(errno.EACCES, "Permission denied", "/locked/x"),
        2,
        "'/locked/x' cannot be used (permission denied)",
    ),
    (MemoryError(), 2, "not enough memory"),
    (OutOfMemoryError("CUDA out of memory"), 2, "not enough memory"),
    (
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"),
        2,
        "not enough memory",
    ),
    (KeyboardInterrupt(), 130, "stopped; what was finished is kept"),
    (typer.Abort(), 130, "stopped; what was finished is kept"),
    (ZeroDivisionError("division by zero"), 2, "GLASSBOOK_DEBUG=1"),
]


@pytest.mark.parametrize(("fault", "status", "words"), FAULTS, ids=lambda value: type(value).__name__)
def test_every_fault_becomes_one_sentence_and_its_status(capsys, fault, status, words):
    assert guarded(failing(fault)) == status
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert "Traceback" not in said.err


def test_control_work_that_ends_well_says_nothing_and_keeps_its_status(capsys):
    assert [guarded(lambda: 0), guarded(lambda: 1)] == [0, 1]
    assert guarded(failing(typer.Exit(1))) == 1
    assert capsys.readouterr().err == ""


def test_a_traceback_comes_only_when_it_is_asked_for(capsys, monkeypatch):
    monkeypatch.setenv("GLASSBOOK_DEBUG", "1")
    assert guarded(failing(SiteError("no such Site"))) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_error_of_another_kind_is_not_said_to_be_of_memory():
    assert "memory" not in sentence(RuntimeError("shapes cannot be multiplied"))


def test_our_warnings_are_heard_as_a_line_and_those_of_libraries_are_not(capsys):
    def work():
        warnings.warn("the vector was made on another precision", LineageWarning, stacklevel=1)
        warnings.warn("a library speaks to its developers", UserWarning, stacklevel=1)
        logging.getLogger("glassbook.models").warning("the cached model is made anew")
        return 0

    assert guarded(work) == 0
    notes = ["the vector was made on another precision", "the cached model is made anew"]
    assert capsys.readouterr().err.splitlines() == [f"glassbook: note: {note}" for note in notes]
    assert logging.getLogger("glassbook").handlers == []


def test_a_hostile_name_in_an_error_moves_no_cursor(capsys):
    guarded(failing(GlassbookError("the file '\x1b[2Jx' is damaged; fetch it again")))
    assert "\x1b" not in capsys.readouterr().err


def in_a_process(work: str, stdout) -> subprocess.CompletedProcess:
    program = f"import sys\nfrom glassbook.cli.door import guarded\n{work}\nsys.exit(guarded(work))"
    return subprocess.run([sys.executable, "-c", program], stdout=stdout, stderr=subprocess.PIPE, text=True)


def test_a_full_disk_under_the_output_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = in_a_process("def work():\n    print('x' * 10)\n    return 0", full)
    assert done.returncode == 2
    assert (
        done.stderr
        == "glassbook: the disk is full: the output could not be written; free some space and run this again\n"
    )


def test_a_reader_that_goes_away_is_no_error_to_speak_of():
    program = (
        "import sys\nfrom glassbook.cli.door import guarded\n\ndef work():\n    while True:\n        print('x' * 80)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program + "\nsys.exit(guarded(work))"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"x" * 80 + b"\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
