"""A prompt as a person hands it to a verb: as an argument, or on standard input."""

import sys

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
