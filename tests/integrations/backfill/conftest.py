"""The cast of tests about backfill."""

import pytest

from tests.integrations.backfill.installed import know_every_walk


@pytest.fixture
def every_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream can be walked."""
    know_every_walk(monkeypatch)
