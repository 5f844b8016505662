"""What goes wrong with a payload is logged by its place, never in words that may be the payload's."""

import pytest

from tests.webhooks.conftest import GitHub, drain, only

pytestmark = pytest.mark.django_db


def test_a_translator_that_fails_is_logged_by_its_place(github: GitHub, caplog: pytest.LogCaptureFixture) -> None:
    github.deliver({"action": "breaks"})
    drain()
    assert only().state == "failed"
    (entry,) = (entry for entry in caplog.records if entry.message == "translator_failed")
    assert vars(entry)["error"] == "RuntimeError"
    assert vars(entry)["where"][-1].endswith(" breaks")
    assert "a bug in the translator" not in caplog.text
