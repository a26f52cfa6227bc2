"""Chat messages to the one text that an instruction-tuned model was trained on, by the model's own Jinja template.

A template is a program by a stranger. It runs in Jinja's sandbox, where it can neither change our objects nor reach
attributes that begin with an underscore; and with a budget of steps and characters, so that it cannot run for ever.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import do_center, do_indent
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from glassbook.core.errors import InputError

MAX_STEPS = 200_000  # loop turns and calls in one rendering; real templates take some dozens a message
MAX_CHARS = 8_000_000  # of the text and of every string on the way to it
# Noncharacters, which no text holds: they stand around a special token of a message while the template runs.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"

Messages = Sequence[Mapping[str, Any]]

_steps: ContextVar[list[int]] = ContextVar("steps")


def render_chat(
    template: str,
    messages: Messages | Any,
    bos: str = "",
    eos: str = "",
    add_generation_prompt: bool = True,
    now: datetime | None = None,
) -> str:
    """Return the text of `messages` (each with `role` and `content`) as the model's `template` writes it.

    `bos` and `eos` are the special tokens that the template may write; `now` is the time for templates that print the
    date. Raises InputError for malformed messages, and for a template that is broken, refuses them or costs too much.
    """
    _check_messages(messages)
    compiled = _compile(template)
    token = _steps.set([0])
    try:
        return _join(
            compiled.generate(
                messages=_plain(messages),
                bos_token=bos,
                eos_token=eos,
                add_generation_prompt=add_generation_prompt,
                strftime_now=(now or datetime.now()).strftime,
                tools=None,
                documents=None,
            )
        )
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = _brief(error)
        raise InputError(f"the model's chat template refuses: {reason}; change the messages or the template") from None
    except (RecursionError, MemoryError):
        raise InputError("the model's chat template costs too much to render; give another template") from None
    finally:
        _steps.reset(token)


def mark(messages: Messages, special: Iterable[str]) -> list[Any]:
    """Return `messages` with every special token that they spell marked as the message's own plain text."""
    names = sorted(filter(None, special), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def marked(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda found: _OPEN + found.group() + _CLOSE, re.sub(f"[{_OPEN}{_CLOSE}]", "", value))
        if isinstance(value, Mapping):
            return {key: marked(item) for key, item in value.items()}
        return [marked(item) for item in value] if isinstance(value, list | tuple) else value

    return [marked(message) for message in messages]


def split_marked(text: str) -> list[tuple[str, bool]]:
    """Return `text` in pieces without the marks, each with whether special tokens in it are the template's own."""
    pieces = re.split(f"{_OPEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}", text)
    clean = [re.sub(f"[{_OPEN}{_CLOSE}]", "", piece) for piece in pieces]
    return [(piece, index % 2 == 0) for index, piece in enumerate(clean)]


def _check_messages(messages: Messages | Any) -> None:
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise InputError("a chat is a list of messages such as {'role': 'user', 'content': 'Hello'}; give at least one")
    for number, message in enumerate(messages):
        for key in ("role", "content"):
            if not isinstance(message, Mapping) or not isinstance(message.get(key), str):
                wanted = "{'role': 'user', 'content': 'Hello'}"
                raise InputError(f"message {number} of the chat has no text under '{key}'; write it like {wanted}")


def _plain(value: Any) -> Any:
    """Return `value` out of plain types only: the sandbox does not know what methods other objects have."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _join(parts: Iterable[str]) -> str:
    text, n_chars = [], 0
    for part in parts:
        n_chars += len(part)
        if n_chars > MAX_CHARS:
            raise SecurityError(f"it writes more than {MAX_CHARS:,} characters")
        text.append(part)
    return "".join(text)


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]


def _count(n_steps: int = 1) -> None:
    steps = _steps.get()
    steps[0] += n_steps
    if steps[0] > MAX_STEPS:
        raise SecurityError(f"it takes more than {MAX_STEPS:,} steps")


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _count()
        yield value


def _check_size(n_chars: int) -> None:
    if n_chars > MAX_CHARS:
        raise SecurityError(f"it builds a text of more than {MAX_CHARS:,} characters")


def _check_numbers(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, int):
            _check_size(abs(value))


def _limited(value: Any) -> Any:
    if isinstance(value, str | list | tuple):
        _check_size(len(value))
    return value


def _center(text: str, width: int = 80) -> str:
    _check_size(width)
    return do_center(text, width)


def _indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    n_chars = width if isinstance(width, int) else len(width)
    _check_size(n_chars * (text.count("\n") + 1))
    return do_indent(text, width, first, blank)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    _check_size(text.count(old) * len(new))
    return text.replace(old, new, count)


class _BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with a budget: turns of loops and calls are counted, and texts measured before they are built."""

    intercepted_binops = frozenset(["*", "**", "+", "%"])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return _CountSteps().visit(super()._parse(source, name, filename))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        _count()
        _check_numbers(args)
        method = getattr(obj, "__wrapped__", obj)
        text, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(text, str) and name == "replace" and len(args) >= 2:
            _check_size(text.count(args[0]) * len(args[1]))
        if isinstance(text, str) and name in ("format", "format_map") and re.search(r"\d{6}", text):
            raise SecurityError("it formats with a width that no chat template needs")
        return _limited(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        for one, other in ((left, right), (right, left)):
            if operator == "*" and isinstance(one, str | list | tuple) and isinstance(other, int):
                _check_size(len(one) * other)
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise SecurityError(f"it uses the operator {operator} in a way that no chat template needs")
        return _limited(super().call_binop(context, operator, left, right))


class _CountSteps(NodeTransformer):
    """Wraps what a template loops over and what it joins, so that both are counted as they happen."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return nodes.Filter(node, "limited", [], [], None, None, lineno=node.lineno)


class _GenerationTag(Extension):
    """Reads `{% generation %} ... {% endgeneration %}`, which marks the assistant's words for training, as its body."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's own attribute)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False, sort_keys: bool = False) -> str:
    # Jinja's own filter escapes for HTML, and a prompt is not HTML.
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, sort_keys=sort_keys)


_FILTERS: dict[str, Callable[..., Any]] = {
    "tojson": _to_json,
    "counted": _counted,
    "limited": _limited,
    "center": _center,
    "indent": _indent,
    "replace": _replace,
}


@lru_cache(maxsize=32)
def _compile(template: str) -> Template:
    environment = _BoundedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols])
    environment.filters.update(_FILTERS)
    for name in ("format", "wordwrap", "urlize", "filesizeformat"):
        del environment.filters[name]
    environment.globals["raise_exception"] = _raise_exception
    del environment.globals["lipsum"]
    try:
        return environment.from_string(template)
    except (TemplateError, RecursionError, SyntaxError, ValueError) as error:
        raise InputError(f"the model's chat template cannot be read: {_brief(error)}; give another template") from None
