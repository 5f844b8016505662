"""Engines of a test's own, beside those of the suite."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.checkout import Checkout
from tformance.local.engines import Engines


@pytest.fixture
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that leaves database and broker to us."""
    for name in ("DATABASE_URL", "REDIS_URL", "PORT", "PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Engines that the tests of a module share: in whatever state the last one left them, and gone after the last."""
    own = Engines(var=tmp_path_factory.mktemp("shared") / "var", durable=False)
    yield own
    own.remove()


@pytest.fixture
def fresh_engines(no_servers: None, tmp_path: Path) -> Iterator[Engines]:
    """Engines that have never run, under a folder of this test's own."""
    own = Engines(var=tmp_path / "var", durable=False)
    yield own
    own.remove()


@pytest.fixture
def bare_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has set nothing and has neither PostgreSQL nor Redis in PATH."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "env", "make", "sed", "grep", "getconf", "printf"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    return {
        "PATH": str(tools),
        "HOME": os.environ.get("HOME", "/"),
        "TFORMANCE_VAR": str(tmp_path / "var"),
        "LANG": "C.UTF-8",
    }


@pytest.fixture
def checkout(no_servers: None, tmp_path: Path) -> Iterator[Checkout]:
    """A checkout in which nothing has run yet; whatever a test leaves running in it is ended."""
    one = Checkout(tmp_path / "var")
    yield one
    one.clear()
