"""A build knows which claims are stale: from the code and the bars, without torch, and without hashing twice."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glassbook.cli import stale_claims
from glassbook.cli.stale_claims import known_of

PROJECT = Path(__file__).parents[2]
PLACE, CLAIM = "gpt2-from-scratch/laptop", "character-preset"


@pytest.fixture
def notebook(tmp_path):
    """Return a folder that keeps the project's own results of one study."""
    shutil.copytree(PROJECT / "entries/studies" / PLACE, tmp_path / "entries/studies" / PLACE)
    return tmp_path


def alter(notebook, change):
    for path in notebook.glob("entries/studies/*/*/seed-*/run.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        change(record)
        path.write_text(json.dumps(record), encoding="utf-8")


def test_other_code_makes_every_claim_stale_and_another_bar_its_own(notebook):
    before = known_of(notebook).stale[PLACE]
    alter(notebook, lambda record: record["asked"]["config"]["bars"].update({CLAIM: "0" * 64}))
    assert "its bar has changed" in known_of(notebook).stale[PLACE][CLAIM]
    others = {name: why for name, why in known_of(notebook).stale[PLACE].items() if name != CLAIM}
    assert others == {name: why for name, why in before.items() if name != CLAIM}
    alter(notebook, lambda record: record["code"].update(sha256="0" * 64))
    stale = known_of(notebook).stale[PLACE]
    assert len(stale) >= 16
    assert all("the code that measured it has changed" in why for why in stale.values())


def test_a_module_that_went_is_code_that_changed(notebook):
    alter(notebook, lambda record: record["code"].update(modules=["glassbook.nothing_of_this_name"]))
    assert len(known_of(notebook).stale[PLACE]) >= 16


def test_code_is_hashed_once_for_as_long_as_no_file_changes(notebook, monkeypatch):
    calls = []
    plain = stale_claims.code_hash
    monkeypatch.setattr(stale_claims, "code_hash", lambda *given: calls.append(given) or plain(*given))
    first = known_of(notebook)
    assert known_of(notebook).stale == first.stale
    assert len(calls) == 1
    cache = notebook / ".glassbook/cache/code.json"
    cache.write_text(cache.read_text(encoding="utf-8").replace('"state": "', '"state": "0'), encoding="utf-8")
    assert known_of(notebook).stale == first.stale
    assert len(calls) == 2, "control: other files are hashed again"
    cache.write_text("{", encoding="utf-8")
    assert known_of(notebook).stale == first.stale, "a damaged cache is no fault"


def test_no_torch_is_loaded(notebook):
    told = "import sys; from pathlib import Path; from glassbook.cli.stale_claims import known_of; "
    told += "known_of(Path(sys.argv[1])); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told, str(notebook)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
