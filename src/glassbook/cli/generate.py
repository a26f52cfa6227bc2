"""`glassbook generate`: a text continued, as it comes."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassbook.cli.options import Bos, Json, PromptText, Weights, Writing
from glassbook.cli.output import print_heading, print_json, printable
from glassbook.cli.reading import read_prompt
from glassbook.core.errors import InputError

if TYPE_CHECKING:
    from glassbook.models.generation import Completion
    from glassbook.models.model import Model

Samples = Annotated[int, typer.Option("--n", help="How many continuations to write.")]
NoStream = Annotated[bool, typer.Option("--no-stream", help="Print each continuation when it is whole.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the model is given to go on from."""

    prompt: PromptText
    chat: Annotated[bool, typer.Option("--chat", help="A user's turn, written by the model's chat template.")] = False
    bos: Bos = None


def generate(
    weights: Weights, asked: Asked, how: Writing, n: Samples = 1, no_stream: NoStream = False, as_json: Json = False
) -> None:
    """Continue a text.

    Ctrl-C stops at once and keeps what is printed.
    """
    text, wanted = read_prompt(asked.prompt), how.checked()
    model = weights.open()
    given = _chat_ids(model, text) if asked.chat else text
    wanted["prepend_bos"] = asked.bos
    model.read(given, asked.bos)
    if n == 1 and not (no_stream or as_json):
        _stream(model, given, wanted)
        return
    with _stops_on_interrupt() as stopped:
        done = model.complete(given, n_samples=n, should_stop=stopped.is_set, **wanted)
    if as_json:
        completions = [_document(model, one) for one in done]
        print_json({"model": model.identity.to_dict(), "prompt": text, "completions": completions})
    else:
        _print_all(done)
    if stopped.is_set():
        raise KeyboardInterrupt


def _chat_ids(model: "Model", text: str) -> list[list[int]]:
    if model.tokenizer is None:
        raise InputError(f"{model.identity.name} has no tokenizer and so no chat template; leave out --chat")
    return [model.tokenizer.encode_chat([{"role": "user", "content": text}])]


def _stream(model: "Model", prompt: str | list[list[int]], wanted: dict[str, Any]) -> None:
    """Print the continuation piece by piece; the line is ended whatever ends the work."""
    shown = printable if sys.stdout.isatty() else str
    try:
        for piece in model.stream(prompt, **wanted):
            print(shown(piece.text), end="", flush=True)
    finally:
        print(flush=True)


def _print_all(done: "list[Completion]") -> None:
    shown = printable if sys.stdout.isatty() else str
    for number, one in enumerate(done):
        if len(done) > 1:
            print_heading(f"[{number}]")
        print(shown(one.text))


def _document(model: "Model", one: "Completion") -> dict[str, Any]:
    return {
        "text": one.text,
        "stopped_by": one.stopped_by,
        "tokens": one.tokens,
        "token_strings": model.tokenizer.token_strings(one.tokens) if model.tokenizer else None,
        "prompt_tokens": one.prompt_tokens,
    }


@contextmanager
def _stops_on_interrupt() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets, so that what is finished by then is still printed; a second Ctrl-C raises."""
    stopped = threading.Event()
    usual = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, note)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, usual)
