"""What is printed is stable in a pipe, safe on a terminal, and strict JSON for programs."""

import json
import math
import sys

import pytest

from glassbook.cli.output import print_facts, print_json, print_table, printable, progress


class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_a_table_in_a_pipe_is_aligned_and_has_no_color(capsys):
    print_table(["name", "value"], [["a", "1.5"], ["longer", "10.25"]], right=["value"])
    assert capsys.readouterr().out == "name    value\na         1.5\nlonger  10.25\n"


def test_facts_stand_in_two_columns(capsys):
    print_facts({"a": "x", "longer": "y"})
    assert capsys.readouterr().out == "a       x\nlonger  y\n"


@pytest.mark.parametrize("value", ["\x1b[2J", "a\rb", "\x07"])
def test_nothing_printed_moves_the_cursor_or_rings(value):
    assert "\ufffd" in printable(value)
    assert not any(char in printable(value) for char in "\x1b\r\x07")


def test_control_text_of_any_script_passes_unchanged():
    text = "Ça va? 日本語 🙂\n\ttab"
    assert printable(text) == text


def test_json_has_no_nan_and_keeps_every_other_number(capsys):
    print_json({"bad": [math.nan, -math.inf], "good": 0.1, "text": "é"})
    out = capsys.readouterr().out
    assert json.loads(out, parse_constant=pytest.fail) == {"bad": ["NaN", "-Infinity"], "good": 0.1, "text": "é"}
    assert "é" in out


def test_progress_is_silent_unless_somebody_watches_stderr(capsys, monkeypatch):
    with progress() as report:
        report("reading", 1, 2)
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress() as report:
        report("reading", 1, 2)
    assert "reading" in terminal.text


def test_a_terminal_gets_whole_names_in_a_table_too_narrow_for_all(monkeypatch):
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", terminal)
    print_table(["run", "weights"], [["20261122T214227Z-capture-971e55", "SmolLM2-135M-Instruct float32"]])
    assert "20261122T214227Z-capture-971e55" in terminal.text
