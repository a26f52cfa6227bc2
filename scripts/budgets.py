"""Prints how large the code is and how far from its budgets: 400 lines a file, 60 lines a function."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 400
FUNCTION_LINES = 60


@dataclass(frozen=True, slots=True)
class Size:
    """How many lines one file or function has."""

    name: str
    lines: int


def files(*folders: Path) -> list[Size]:
    """Return the size of every Python file below these folders."""
    return [
        Size(str(path), len(path.read_text().splitlines()))
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
    ]


def functions(*folders: Path) -> Iterator[Size]:
    """Yield the size of every function below these folders, decorators left out, named `file:line name`."""
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(), str(path))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert node.end_lineno is not None
                    yield Size(f"{path}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1)


def breaches(*folders: Path) -> list[str]:
    """Return one sentence for each file or function that is over its budget."""
    long_files = [
        f"{size.name} has {size.lines} lines; {FILE_LINES} are the most"
        for size in files(*folders)
        if size.lines > FILE_LINES
    ]
    long_functions = [
        f"{size.name} has {size.lines} lines; {FUNCTION_LINES} are the most"
        for size in functions(*folders)
        if size.lines > FUNCTION_LINES
    ]
    return long_files + long_functions


def growth(folder: str) -> str:
    """Return the lines that the last commit and the working tree changed below a folder; nothing without git."""
    git = ["git", "-C", str(ROOT), "diff", "--numstat", "HEAD~1", "--", folder]
    answer = subprocess.run(git, capture_output=True, text=True, check=False)
    rows = [line.split("\t") for line in answer.stdout.splitlines() if line[0].isdigit()]
    added, removed = (sum(int(row[column]) for row in rows) for column in (0, 1))
    return f" (+{added:,} -{removed:,} since the commit before)" if answer.returncode == 0 else ""


def main() -> int:
    """Print a line for src and for tests, then every breach; return 1 where there is one."""
    for name in ("src", "tests"):
        sizes, parts = files(ROOT / name), list(functions(ROOT / name))
        longest, deepest = max(sizes, key=lambda s: s.lines), max(parts, key=lambda s: s.lines)
        total = sum(size.lines for size in sizes)
        print(
            f"{name}: {total:,} lines in {len(sizes)} files{growth(name)}; "
            f"longest file {longest.lines} of {FILE_LINES}, longest function {deepest.lines} of {FUNCTION_LINES}"
        )
    found = breaches(ROOT / "src", ROOT / "tests", ROOT / "scripts")
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
