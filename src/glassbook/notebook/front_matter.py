"""Front matter: the fields of an entry, in YAML between two lines of `---` at the top of its file.

What is read is YAML 1.2's plain values: text, whole numbers, true and false, days. `no` is a word, `012` and `2308.10248` stay as
they are typed. Names are text, none stands twice, and nothing unfolds into more than what is written.
"""

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from glassbook.notebook.faults import NotebookError

_FENCE = "---"
_ENDS = ("---", "...")
_LARGEST, _DEEPEST = 200_000, 16
# Without these nothing is repeated or tagged, and each level of depth needs one of those.
_MORE, _DEEPER = re.compile("[*&!\x85\u2028\u2029]"), ("[", "{", "-", "?", "\n ", "\n\t")
_NEXT_STEPS = {
    "mapping values are not allowed": "put a value that holds a colon in quotes",
    "cannot start any token": "put the value in quotes, and indent with spaces",
    "could not find expected ':'": "write 'name: value', and put a value of several lines in quotes",
    "unknown escape character": "within \"…\" write a backslash twice, or use '…'",
}


def split_front_matter(text: str, path: str = "") -> tuple[dict[str, Any], str, int]:
    """Return the fields of a text, its body, and the line on which the body begins; a text without fields has none.

    Raises NotebookError with file and line for YAML that is broken, repeats a name, or holds more than plain values.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return {}, text, 1
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() in _ENDS), None)
    if end is None:
        sentence = "the front matter that begins here has no end; close it with a line '---'"
        raise NotebookError(sentence, path=path, line=1)
    fields = _read("\n".join(lines[1:end]), path)
    body = lines[end + 1 :]
    blank = next((number for number, line in enumerate(body) if line.strip()), len(body))
    return fields, "\n".join(body[blank:]), end + 2 + blank


def join_front_matter(fields: Mapping[str, Any], body: str) -> str:
    """Return a text that `split_front_matter` takes apart into the same fields, in the same order, and the same body."""
    if not fields:
        return f"{_FENCE}\n{_FENCE}\n\n{body}" if body.split("\n")[0].rstrip() == _FENCE else body
    written = yaml.dump(dict(fields), Dumper=_Writer, allow_unicode=True, sort_keys=False, width=1_000_000)
    return f"{_FENCE}\n{written}{_FENCE}\n\n{body}"


def _read(text: str, path: str) -> dict[str, Any]:
    if len(text) > _LARGEST:
        sentence = (
            f"the front matter has over {_LARGEST:,} characters; close it with a line '---' where the text begins"
        )
        raise NotebookError(sentence, path=path, line=1)
    try:
        for sentence, mark in _more_than_plain(text):
            raise NotebookError(sentence, path=path, line=mark.line + 2)
        # A safe loader that builds plain values only.
        found = yaml.load(text, Loader=_Reader)
    except yaml.MarkedYAMLError as fault:
        # What is never closed is told where it begins; within a list of fields the place itself is known.
        whole = fault.context_mark if "block" not in (fault.context or "block") else None
        mark = whole or fault.problem_mark or fault.context_mark
        said = fault.problem or fault.context or "it cannot be read"
        sentence = f"the front matter is not YAML ({said}); {_next_step(said)}"
        raise NotebookError(sentence, path=path, line=(mark.line if mark else 0) + 2) from fault
    except (yaml.YAMLError, ValueError) as fault:
        said = str(fault).split("\n")[0] or "it cannot be read"
        raise NotebookError(f"the front matter is not YAML ({said}); mend it there", path=path, line=1) from fault
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise NotebookError("the front matter holds no fields; write one 'name: value' a line", path=path, line=2)
    return found


def _next_step(said: str) -> str:
    return next((step for part, step in _NEXT_STEPS.items() if part in said), "mend it there")


def _more_than_plain(text: str) -> Iterator[tuple[str, Any]]:
    """Yield what goes beyond plain values: aliases and depth, by which a few lines unfold into a great deal, and tags.

    These are found before anything is built, since the compiled loader ends the process where lists lie too deep.
    """
    if not _MORE.search(text) and sum(map(text.count, _DEEPER)) < _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Reader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            yield f"lists lie {_DEEPEST} deep in each other here; write them flatter", event.start_mark
        if isinstance(event, yaml.AliasEvent):
            yield f"'*{event.anchor}' repeats a value by YAML's alias; write it again, or in quotes", event.start_mark
        elif isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None) not in (None, "!"):
            yield f"'{event.tag}' asks for more than plain values; write the value without it", event.start_mark


_Reader: Any = type("_Reader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {"yaml_implicit_resolvers": {}})
_Writer: Any = type("_Writer", (yaml.SafeDumper,), {"ignore_aliases": lambda self, data: True})
_TAG = "tag:yaml.org,2002:"
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,4000})", list("-+0123456789")),
    (
        "timestamp",
        r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d?:\d\d:\d\d(?:\.\d+)?(?: ?(?:Z|[-+]\d\d?(?::\d\d)?))?)?",
        list("0123456789"),
    ),
):
    _Reader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "the name of a field is no list", key.start_mark)
        if key.value in found:
            raise yaml.constructor.ConstructorError(None, None, f"'{key.value}' stands twice", key.start_mark)
        found[key.value] = loader.construct_object(value, deep=True)
    return found


def _date(loader: Any, node: yaml.ScalarNode) -> datetime.date | datetime.datetime:
    try:
        return yaml.SafeLoader.construct_yaml_timestamp(loader, node)
    except ValueError as fault:
        raise yaml.constructor.ConstructorError(None, None, f"'{node.value}' is no date", node.start_mark) from fault


_Reader.add_constructor(f"{_TAG}map", _mapping)
_Reader.add_constructor(f"{_TAG}timestamp", _date)
