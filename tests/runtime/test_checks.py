"""What refuses to start."""

import pytest
from django.core.checks import run_checks
from pytest_django import Settings


def found() -> set[str | None]:
    return {
        message.id for message in run_checks(include_deployment_checks=True) if str(message.id).startswith("tformance.")
    }


@pytest.fixture
def settings_in_order(settings: Settings) -> Settings:
    settings.GITHUB_APP_ID = None
    settings.GITHUB_APP_PRIVATE_KEY = settings.GITHUB_CLIENT_ID = settings.GITHUB_CLIENT_SECRET = ""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    return settings


def test_settings_in_order_pass(settings_in_order: Settings) -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("GITHUB_APP_PRIVATE_KEY", "-----BEGIN nothing", "tformance.E001"),
        ("GITHUB_APP_ID", 1, "tformance.E002"),
        ("GITHUB_CLIENT_ID", "id", "tformance.E002"),
        ("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend", "tformance.W001"),
    ],
)
def test_a_problem_is_found_by_its_id(settings_in_order: Settings, name: str, value: object, problem: str) -> None:
    setattr(settings_in_order, name, value)
    assert problem in found()
