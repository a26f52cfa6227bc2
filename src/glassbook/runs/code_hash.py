"""Which code a run imported: a hash that changes when its meaning does, and not when a comment or docstring does."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

_PACKAGE = "glassbook"


def code_hash(modules: Iterable[str]) -> str:
    """Return the SHA-256 of the import closure of `modules` inside this package, comments and docstrings removed.

    Names loaded only when used (the package's own `__getattr__`, the verbs of the command line) do not count until a
    module that imports them is named.
    """
    digest = hashlib.sha256()
    for name, tree in sorted(closure(modules).items()):
        digest.update(f"{name}\n{ast.dump(_without_docstrings(tree))}\n".encode())
    return digest.hexdigest()


def closure(modules: Iterable[str]) -> dict[str, ast.Module]:
    """Return the syntax trees of `modules` and of all that they import inside this package."""
    found: dict[str, ast.Module] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or (path := _source(name)) is None:
            continue
        found[name] = ast.parse(path.read_bytes())
        waiting += _imports(found[name])
    return found


def _source(name: str) -> Path | None:
    if name != _PACKAGE and not name.startswith(f"{_PACKAGE}."):
        return None
    root = importlib.util.find_spec(_PACKAGE)
    assert root is not None and root.submodule_search_locations is not None
    path = Path(root.submodule_search_locations[0], *name.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file() and name != _PACKAGE:
            return candidate
    return None


def _imports(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from glassbook.core import sites` names a module, `from glassbook.core.sites import Site` lives in one.
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
