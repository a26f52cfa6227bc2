"""Which code a run imported: a hash that changes when its meaning does, and not when a comment or docstring does."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from glassbook.core.errors import RunError

_PACKAGE = "glassbook"
_SPELLING = ("kind", "type_comment")


@dataclass(frozen=True, slots=True)
class Module:
    """What counts of one module: its meaning as text, and the names that it imports."""

    meaning: str
    imports: tuple[str, ...]


def code_hash(modules: Iterable[str], without: Iterable[str] = ()) -> str:
    """Return the SHA-256 of the import closure of `modules` inside this package, comments and docstrings removed.

    Modules and rooms named in `without` do not count: those that draw or keep numbers and make none. Nor do names loaded only
    when used (the package's own `__getattr__`, the verbs of the command line) until a module that imports them is named.
    Raises RunError for a module that is not there.
    """
    digest = hashlib.sha256()
    for name, module in sorted(closure(modules, without).items()):
        digest.update(f"{name}\n{module.meaning}\n".encode())
    return digest.hexdigest()


def closure(modules: Iterable[str], without: Iterable[str] = ()) -> dict[str, Module]:
    """Return what counts of `modules` and of all that they import inside this package, `without` left out."""
    waiting, left_out = list(modules), tuple(without)
    for name in waiting:
        if _source(name) is None:
            raise RunError(f"no module is named '{name}', so its code cannot be hashed; name modules of {_PACKAGE}")
    found: dict[str, Module] = {}
    while waiting:
        name = waiting.pop()
        if name in found or _lies_in(name, left_out) or (path := _source(name)) is None:
            continue
        here = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found[name] = _read(path.read_bytes(), here)
        waiting += found[name].imports
    return found


# A process that keeps many runs reads the same modules for each of them.
@lru_cache(maxsize=1024)
def _read(source: bytes, here: str) -> Module:
    tree = ast.parse(source)
    return Module(_meaning(_without_docstrings(tree)), tuple(_imports(tree, here)))


def _lies_in(name: str, rooms: Iterable[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def _source(name: str) -> Path | None:
    if not name.startswith(f"{_PACKAGE}."):
        return None
    root = importlib.util.find_spec(_PACKAGE)
    assert root is not None and root.submodule_search_locations is not None
    path = Path(root.submodule_search_locations[0], *name.split(".")[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imports(tree: ast.Module, here: str) -> Iterator[str]:
    """Yield what a module of the package `here` imports, by absolute names."""
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), here)
            # `from glassbook.core import sites` names a module, `from glassbook.core.sites import Site` lives in one.
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement below `node`; imports and docstrings are never deeper, and expressions are most of a tree."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, block, ()):
            yield statement
            yield from _statements(statement)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in (tree, *_statements(tree)):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # Docstrings of modules, classes and functions, and those under a constant, are strings that stand alone.
            node.body = [one for one in body if not _is_lone_string(one)] or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _is_lone_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _meaning(node: object) -> str:
    """Return a syntax tree as text, without empty fields: `ast.dump` writes those in one version of Python, not another."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in _SPELLING)
        kept = (f"{name}={_meaning(value)}" for name, value in fields if value not in (None, []) or name == "value")
        return f"{type(node).__name__}({','.join(kept)})"
    if isinstance(node, list):
        return f"[{','.join(map(_meaning, node))}]"
    return repr(node)
