"""The hub: only safetensors, configuration and tokenizer are asked for, and every refusal is a sentence."""

import fnmatch
import os
import subprocess
import sys
import time

import huggingface_hub
import pytest

from glassbook.core.errors import SourceError
from glassbook.sources import hub
from glassbook.sources.hub import fetch_hub_model


@pytest.fixture
def snapshot(monkeypatch, tmp_path):
    """Put a stand-in for the hub in place; return what it was asked and a list whose first error it raises."""
    asked, faults = {}, []
    (tmp_path / "model.safetensors").write_bytes(b"")

    def snapshot_download(repo_id, **options):
        asked.update(repo_id=repo_id, **options)
        if faults:
            raise faults[0]
        if bar := options.get("tqdm_class"):
            with (
                bar(total=0, unit="B", name="bytes", desc="Downloading") as bytes_bar,
                bar(total=3, desc="files") as files,
            ):
                bytes_bar.total = 100
                for count in (40, 60):
                    bytes_bar.update(count)
                    files.update(1)
        return str(tmp_path)

    monkeypatch.setattr(hub.huggingface_hub, "snapshot_download", snapshot_download)
    return asked, faults, tmp_path


def test_only_what_a_model_needs_is_asked_for(snapshot):
    asked, _, folder = snapshot
    assert fetch_hub_model("owner/model", "v1") == folder
    assert asked["repo_id"] == "owner/model" and asked["revision"] == "v1"

    def taken(name):
        return any(fnmatch.fnmatch(name, pattern) for pattern in asked["allow_patterns"])

    assert all(map(taken, ["model.safetensors", "model-00001-of-00002.safetensors", "config.json", "tokenizer.json"]))
    assert not any(
        map(taken, ["pytorch_model.bin", "model.pt", "modeling.py", "consolidated.safetensors", "model.gguf"])
    )


def test_progress_is_of_bytes_and_prints_nothing(snapshot, capfd):
    seen = []
    fetch_hub_model("owner/model", progress=lambda *report: seen.append(report))
    assert seen == [("fetching owner/model", 40, 100), ("fetching owner/model", 100, 100)]
    assert capfd.readouterr() == ("", "")


def test_progress_is_told_where_the_hub_itself_shows_no_bars(snapshot):
    seen = []
    huggingface_hub.utils.disable_progress_bars()
    try:
        fetch_hub_model("owner/model", progress=lambda *report: seen.append(report))
    finally:
        huggingface_hub.utils.enable_progress_bars()
    assert seen[-1] == ("fetching owner/model", 100, 100)


def test_a_model_without_safetensors_is_refused(snapshot):
    (snapshot[2] / "model.safetensors").unlink()
    with pytest.raises(SourceError, match="no safetensors weights"):
        fetch_hub_model("owner/model")


def test_no_network_says_what_to_get(snapshot):
    snapshot[1].append(huggingface_hub.errors.LocalEntryNotFoundError("nothing"))
    with pytest.raises(SourceError, match=r"owner/model.*no network.*hf download owner/model"):
        fetch_hub_model("owner/model")
    snapshot[1][0] = ConnectionError("refused")
    with pytest.raises(SourceError, match="hf download"):
        fetch_hub_model("owner/model")


def test_a_name_that_is_none_is_told_by_the_real_library():
    with pytest.raises(SourceError, match="no name of a hub model"):
        fetch_hub_model("not/a/hub/name")


def test_offline_is_respected_by_the_real_library_and_answers_at_once(tmp_path):
    script = (
        "from glassbook.core.errors import SourceError\nfrom glassbook.sources.hub import fetch_hub_model\n"
        "try:\n    fetch_hub_model('owner/model')\nexcept SourceError as fault:\n    print(fault)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    start = time.perf_counter()
    answer = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert "'owner/model' is not in the hub's cache" in answer.stdout and answer.returncode == 0
    assert time.perf_counter() - start < 10
