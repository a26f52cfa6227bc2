"""The hash of code covers what a module means and imports, and nothing else."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from glassbook.core.errors import RunError
from glassbook.runs.code_hash import closure, code_hash

FILES = {
    "__init__.py": "",
    "steer.py": '"""Steers."""\nfrom glassbook.room import tool\nfrom glassbook.far import far\nX = 1\n',
    "far.py": "import json\n\n\ndef far(a, b=2):\n    return a + b\n",
    "room/__init__.py": "",
    "room/tool.py": 'from . import near\n\n\ndef tool():\n    """Return three."""\n    # why\n    return 3\n',
    "room/near.py": "class Near:\n    y: int = 1\n",
    "outside.py": "Z = 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A small package that stands where ours does."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    spec = ModuleSpec("glassbook", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    return tmp_path


def change(folder: Path, name: str, old: str, new: str) -> tuple[str, str]:
    """Return the hash before and after a change of one file."""
    before = code_hash(["glassbook.steer"])
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return before, code_hash(["glassbook.steer"])


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("steer.py", '"""Steers."""', '"""Steers well."""'),
        ("room/tool.py", '    """Return three."""\n', ""),
        ("room/tool.py", "# why", "# because"),
        ("room/tool.py", "    return 3", "\n\n    return (3)"),
        ("far.py", "a + b", "a+b"),
        ("steer.py", "X = 1", "X = 1\n\"\"\"What X is.\"\"\""),
        ("outside.py", "Z = 1", "Z = 2"),
    ],
)
def test_comments_docstrings_layout_and_code_outside_the_closure_do_not_count(package, name, old, new):
    before, after = change(package, name, old, new)
    assert before == after


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("steer.py", "X = 1", "X = 2"),
        ("steer.py", "X = 1", "X = 1.0"),
        ("steer.py", "X = 1", "X = None"),
        ("room/tool.py", "return 3", "return '3'"),
        ("far.py", "b=2", "b=3"),
        ("far.py", "a + b", "a - b"),
        ("far.py", "    return a + b", "    return None"),
        ("room/near.py", "= 1", "= 2"),
        ("room/__init__.py", "", "import glassbook.outside"),
    ],
)
def test_what_the_code_means_counts_wherever_in_the_closure_it_is(package, name, old, new):
    before, after = change(package, name, old, new)
    assert before != after


def test_the_closure_follows_imports_absolute_and_relative(package):
    assert set(closure(["glassbook.steer"])) == {
        "glassbook.steer", "glassbook.far", "glassbook.room", "glassbook.room.tool", "glassbook.room.near",
    }  # fmt: skip
    assert set(closure(["glassbook.outside"])) == {"glassbook.outside"}


def test_the_order_of_the_modules_does_not_count_and_their_choice_does(package):
    assert code_hash(["glassbook.steer", "glassbook.outside"]) == code_hash(["glassbook.outside", "glassbook.steer"])
    assert code_hash(["glassbook.steer"]) != code_hash(["glassbook.outside"])


def test_what_is_left_out_does_not_count_nor_what_only_it_imports(package):
    def hashes() -> tuple[str, str]:
        return code_hash(["glassbook.steer"]), code_hash(["glassbook.steer"], without=["glassbook.room"])

    before = hashes()
    (package / "room" / "near.py").write_text("class Near:\n    y: int = 2\n")
    after = hashes()
    assert before[0] != after[0] and before[1] == after[1]
    (package / "far.py").write_text("def far(a, b=2):\n    return a - b\n")
    assert hashes()[1] != after[1]


@pytest.mark.parametrize("name", ["glassbook.nothing", "json", "glassbook", "../steer"])
def test_a_module_that_is_not_there_is_refused(package, name):
    with pytest.raises(RunError, match="no module is named"):
        code_hash([name])


@pytest.mark.parametrize(
    "around",
    [
        "def f():\n    {}",
        "class A:\n    {}",
        "async def f():\n    for x in []:\n        pass\n    else:\n        {}",
        "if X:\n    pass\nelse:\n    {}",
        "with X:\n    while X:\n        {}",
        "try:\n    pass\nexcept ValueError:\n    {}",
        "try:\n    pass\nfinally:\n    {}",
        "match X:\n    case 1:\n        {}",
    ],
)
def test_an_import_is_followed_wherever_it_stands(package, around):
    (package / "steer.py").write_text(f"X = lambda: 1\n{around.format('import glassbook.far')}\n")
    assert "glassbook.far" in closure(["glassbook.steer"])
    (package / "steer.py").write_text(f"X = lambda: 1\n{around.format('import json')}\n")
    assert "glassbook.far" not in closure(["glassbook.steer"])


def test_our_own_closure_holds_what_is_imported_and_no_torch():
    found = set(closure(["glassbook.steering.operators"]))
    assert "glassbook.steering.operators" in found and "glassbook.core.errors" in found
    assert not any(name.startswith("torch") for name in found)
    assert not {name for name in found if name.startswith("glassbook.cli")}
    assert "glassbook.runs.code_hash" in sys.modules
