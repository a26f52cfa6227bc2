"""Front matter: the fields of an entry, in YAML between two lines of `---` at the top of its file."""

import datetime
from collections.abc import Hashable, Mapping
from typing import Any

import yaml

from glassbook.notebook.faults import NotebookError

_FENCE = "---"
_ENDS = ("---", "...")


def split_front_matter(text: str, path: str = "") -> tuple[dict[str, Any], str, int]:
    """Return the fields of a text, its body, and the line on which the body begins; a text without fields has none.

    Raises NotebookError with file and line for YAML that is broken, repeats a key, or holds more than plain values.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return {}, text, 1
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() in _ENDS), None)
    if end is None:
        raise NotebookError(
            "the front matter that begins here has no end; close it with a line '---'", path=path, line=1
        )
    fields = _read("\n".join(lines[1:end]), path)
    body = lines[end + 1 :]
    blank = next((number for number, line in enumerate(body) if line.strip()), len(body))
    return fields, "\n".join(body[blank:]), end + 2 + blank


def join_front_matter(fields: Mapping[str, Any], body: str) -> str:
    """Return a text that `split_front_matter` takes apart into the same fields, in the same order, and the same body."""
    if not fields:
        return body
    written = yaml.dump(dict(fields), Dumper=_Writer, allow_unicode=True, sort_keys=False, width=1_000_000)
    return f"{_FENCE}\n{written}{_FENCE}\n\n{body}"


def _read(text: str, path: str) -> dict[str, Any]:
    try:
        _refuse_aliases(text, path)
        # A safe loader that builds plain values only.
        found = yaml.load(text, Loader=_Reader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.context_mark or fault.problem_mark
        line = (mark.line if mark else 0) + 2
        said = fault.problem or fault.context or "it cannot be read"
        raise NotebookError(f"the front matter is not YAML ({said}); mend it there", path=path, line=line) from fault
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        said = str(fault).split("\n")[0] or "it cannot be read"
        raise NotebookError(f"the front matter is not YAML ({said}); mend it there", path=path, line=1) from fault
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise NotebookError("the front matter is no list of fields; write one 'name: value' a line", path=path, line=2)
    return {str(name): value for name, value in found.items()}


def _refuse_aliases(text: str, path: str) -> None:
    """Raise NotebookError for YAML's aliases, by which a few lines can unfold into more than a machine holds."""
    if "*" not in text:
        return
    for event in yaml.parse(text, Loader=_Reader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 2
            sentence = f"'*{event.anchor}' repeats a value by YAML's alias; write the value again, or put it in quotes"
            raise NotebookError(sentence, path=path, line=line)


_Reader: Any = type("_Reader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
_Writer: Any = type("_Writer", (yaml.SafeDumper,), {"ignore_aliases": lambda self, data: True})


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[Hashable] = set()
    for key, _ in node.value:
        name = loader.construct_object(key, deep=True)
        if not isinstance(name, Hashable) or name in seen:
            raise yaml.constructor.ConstructorError(None, None, f"'{name}' stands twice", key.start_mark)
        seen.add(name)
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))


def _date(loader: Any, node: yaml.ScalarNode) -> datetime.date | datetime.datetime:
    try:
        return yaml.SafeLoader.construct_yaml_timestamp(loader, node)
    except ValueError as fault:
        raise yaml.constructor.ConstructorError(None, None, f"'{node.value}' is no date", node.start_mark) from fault


_Reader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Reader.add_constructor("tag:yaml.org,2002:timestamp", _date)
