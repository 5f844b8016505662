"""Fixtures of doctor's tests: an instance that has the App's credentials."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.monitoring.doctor.checks import Check, CheckStoppedError, Family
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub


@pytest.fixture
def credentials(settings: Any, fake: FakeGitHub) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    settings.GITHUB_API_URL = fake.url
    settings.PUBLIC_URL = "https://tf.example.com"
    fake.app.hook["url"] = "https://tf.example.com/webhooks/github/"


def found_by(run: Callable[..., Any], *args: Any) -> dict[str, Check]:
    """Return the checks of a family before it stops, by name."""
    found = {}
    try:
        for check in run(*args):
            found[check.name] = check
    except CheckStoppedError as why:
        found["stopped"] = Check("stopped", "not checked", str(why))  # type: ignore[arg-type]
    return found


def family(run: Callable[[], Any], *names: str, longest_s: float = 5.0, **about: Any) -> Family:
    return Family(title="made up", names=names, run=run, longest_s=longest_s, **about)
