"""What a person hands to a verb: a prompt, as an argument or on standard input; a file of texts, or of choices."""

import sys
from pathlib import Path

from glassbook.core.errors import InputError


def read_prompt(argument: str) -> str:
    """Return the prompt that an argument means: itself, or all of standard input for `-`, less one newline at its end.

    Raises InputError for an empty prompt and for bytes that are no UTF-8.
    """
    text = argument
    if argument == "-":
        try:
            text = sys.stdin.buffer.read().decode().removesuffix("\n")
        except UnicodeDecodeError as fault:
            raise InputError(
                f"standard input is no UTF-8 text (byte {fault.start}); convert it and try again"
            ) from fault
    if not text:
        where = "standard input" if argument == "-" else "the prompt"
        raise InputError(f"{where} is empty; give at least one token of text")
    return text


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not blank; raise InputError when there is none or it cannot be read."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as fault:
        raise InputError(
            f"'{path}' cannot be read ({(fault.strerror or str(fault)).lower()}); check the path"
        ) from fault
    except UnicodeDecodeError as fault:
        raise InputError(f"'{path}' is no UTF-8 text (byte {fault.start}); convert it and try again") from fault
    if not lines:
        raise InputError(f"'{path}' holds no text; write one text a line")
    return lines
