"""What the tests of cards share."""

import os

import pytest


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out waiting for the disk, which takes longer than all else; `tests/crash` tests what it is for."""
    monkeypatch.setattr(os, "fsync", lambda number: None)
