"""The watch: finds what is wrong, tells operators once."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from apps.activity.models import Change, Repository
from apps.integrations.models import StreamCount
from apps.metrics.recalculation import drain
from apps.monitoring.models import StatusCheck
from apps.monitoring.tasks import check_status
from apps.notifications.models import Notification
from apps.users.models import CustomUser
from apps.webhooks.door import secret_slots
from apps.webhooks.models import Delivery
from tests.api.conftest import API, make_delivery, make_drift

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


def test_nothing_is_wrong_in_a_quiet_house() -> None:
    make_delivery(1)
    assert check_status() == []
    assert str(StatusCheck.objects.get()) == "healthy"


def test_the_admin_says_what_is_wrong_in_words() -> None:
    StatusCheck.objects.create()
    StatusCheck.objects.create(problems=["broker_down"], explanations={"broker_down": "The broker is <down>."})
    client = Client()
    client.force_login(CustomUser.objects.create_superuser("operator"), backend=BACKEND)
    page = client.get("/admin/monitoring/statuscheck/").content.decode()
    assert "The broker is &lt;down&gt;." in page
    assert page.count("all is well") == page.count("look into it") == 1


def wait_long() -> None:
    make_delivery(1)
    Delivery.objects.update(not_before=timezone.now() - timedelta(minutes=5))


def die() -> None:
    make_delivery(1, state="dead", finished_at=timezone.now())


def go_stale() -> None:
    Change.objects.create(kind="team", key="1")
    Change.objects.update(recorded_at=timezone.now() - timedelta(minutes=10))


def fail_alone() -> None:
    Change.objects.create(kind="pull_request", key="not a key")
    drain(seconds=60)


def lose_much() -> None:
    Repository.objects.create(github_id=API, full_name="acme/api")
    sync = make_drift().repository_sync
    StreamCount.objects.create(repository_sync=sync, stream="issues", outcome="mass", theirs=0, ours=40)


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (wait_long, "deliveries_wait"),
        (die, "deliveries_need_somebody"),
        (go_stale, "figures_are_stale"),
        (fail_alone, "changes_fail"),
        (lose_much, "deletions_not_believed"),
    ],
)
def test_a_problem_is_found(break_it: Any, problem: str) -> None:
    break_it()
    assert check_status() == [problem]


def test_missing_secrets_and_a_dead_broker_are_found() -> None:
    secret_slots.forget_slots()
    with override_settings(GITHUB_WEBHOOK_SECRETS=[], REDIS_URL="redis://127.0.0.1:1/0"):
        assert check_status() == ["broker_down", "no_webhook_secret"]


def test_operators_are_told_once_of_each_problem() -> None:
    CustomUser.objects.create_user("viewer")
    operator = CustomUser.objects.create_superuser("operator")
    die()
    check_status()
    check_status()
    note = Notification.objects.get()
    assert (note.user, "dead or quarantined" in note.message) == (operator, True)
    Delivery.objects.update(state="processed")
    check_status()
    Delivery.objects.update(state="dead")
    check_status()
    assert Notification.objects.count() == 2


def test_old_looks_are_forgotten() -> None:
    StatusCheck.objects.create(checked_at=timezone.now() - timedelta(days=8))
    check_status()
    assert StatusCheck.objects.count() == 1
