"""The code keeps its budgets: 400 lines a file, 60 lines a function."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


budgets = _load("budgets")


@pytest.mark.parametrize("folder", ["src", "tests", "scripts", "benchmarks"])
def test_no_file_and_no_function_is_over_its_budget(folder):
    assert budgets.breaches(ROOT / folder) == []


def test_the_walk_sees_the_whole_package():
    names = {size.name for size in budgets.files(ROOT / "src")}
    assert str(ROOT / "src" / "glassbook" / "core" / "sites.py") in names
    assert any(size.name.endswith(" expand") for size in budgets.functions(ROOT / "src"))


def test_control_a_long_file_and_a_long_function_are_found(tmp_path):
    body = "".join(f"    x = {i}\n" for i in range(budgets.FUNCTION_LINES))
    (tmp_path / "long_function.py").write_text(f"def f():\n{body}")
    (tmp_path / "long_file.py").write_text("x = 1\n" * (budgets.FILE_LINES + 1))
    found = budgets.breaches(tmp_path)
    assert len(found) == 2
    assert "long_file.py has 401 lines" in found[0]
    assert "f has 61 lines" in found[1]


def test_exactly_the_budget_is_allowed(tmp_path):
    body = "".join(f"    x = {i}\n" for i in range(budgets.FUNCTION_LINES - 1))
    (tmp_path / "function.py").write_text(f"def f():\n{body}")
    (tmp_path / "file.py").write_text("x = 1\n" * budgets.FILE_LINES)
    assert budgets.breaches(tmp_path) == []
