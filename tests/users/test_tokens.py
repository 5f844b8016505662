"""`manage.py token`: a secret on standard output, once."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from apps.users.models import ApiToken, CustomUser

pytestmark = pytest.mark.django_db


def issue(*arguments: str) -> str:
    out = StringIO()
    call_command("token", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def status_with(secret: str) -> int:
    return APIClient().get("/api/v1/teams/", HTTP_AUTHORIZATION=f"Bearer {secret}").status_code


@pytest.fixture
def ana() -> CustomUser:
    return CustomUser.objects.create_user("ana")


def test_a_token_opens_the_api_and_its_use_is_kept(ana: CustomUser) -> None:
    assert status_with(issue("ana", "--label", "nightly report")) == 200
    token = ApiToken.objects.get()
    assert token.label == "nightly report"
    assert token.last_used_at is not None


def test_an_expired_token_opens_nothing(ana: CustomUser) -> None:
    secret = issue("ana", "--days", "1")
    assert status_with(secret) == 200
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert status_with(secret) == 401


def test_revoking_ends_all_tokens_of_one_user(ana: CustomUser) -> None:
    CustomUser.objects.create_user("ben")
    mine, other = issue("ana"), issue("ben")
    issue("ana", "--revoke")
    assert (status_with(mine), status_with(other)) == (401, 200)


def test_errors_say_what_to_do(ana: CustomUser) -> None:
    with pytest.raises(CommandError, match="no user nobody"):
        issue("nobody")
    with pytest.raises(CommandError, match="at least 1"):
        issue("ana", "--days", "0")
    CustomUser.objects.update(is_active=False)
    with pytest.raises(CommandError, match="not active"):
        issue("ana")
