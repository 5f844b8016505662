"""A delivery that comes late through the log counts as arrived when GitHub first posted it."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.activity.models import GitReference
from apps.demo.organisation import Sent
from apps.webhooks import intake as door
from apps.webhooks.models import Delivery
from apps.webhooks.origin import GitHubHook
from tests.fake_github.delivery_log import DeliveryLog
from tests.integrations.sweep.sweeper import Sweeper
from tests.webhooks.conftest import drain

pytestmark = pytest.mark.django_db


def test_a_signal_fetched_late_does_not_undo_what_came_after_it(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    """A branch that was made in the outage and deleted after it stays deleted."""
    repository = told[0].payload["repository"]
    around = {"repository": repository, "sender": told[0].payload["sender"], "ref": "idea", "ref_type": "branch"}
    made = Sent("create", {**around, "master_branch": "main", "pusher_type": "user"}, told[0].at, told[1].guid)
    deleted = Sent("delete", {**around, "pusher_type": "user"}, told[0].at, told[2].guid)
    sweeper.clock.wind(-7200)
    with log.outage():
        log.deliver([made])
    sweeper.clock.wind(7200)
    log.deliver([deleted])
    drain()
    sweeper.sweep()
    drain()
    assert Delivery.objects.filter(state="processed").count() == 2
    assert GitReference.objects.get(name="idea").is_deleted


def test_it_arrived_when_github_posted_it_but_never_in_the_future(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    sweeper.clock.wind(-7200)
    with log.outage():
        log.deliver(told[:1])
    sweeper.clock.wind(7200)
    sweeper.sweep()
    late_by = timezone.now() - Delivery.objects.get().received_at
    assert timedelta(minutes=119) < late_by < timedelta(minutes=122)
    hook = GitHubHook.from_environ(
        {"HTTP_X_GITHUB_EVENT": "ping", "HTTP_X_GITHUB_DELIVERY": told[1].guid, "HTTP_X_GITHUB_HOOK_ID": "1"}
    )
    door.receive(hook, json.dumps({"zen": ""}).encode(), received_at=timezone.now() + timedelta(days=1))
    assert Delivery.objects.get(guid=told[1].guid).received_at <= timezone.now()


def test_it_is_due_at_once_all_the_same(told: list[Sent], log: DeliveryLog, sweeper: Sweeper) -> None:
    sweeper.clock.wind(-7200)
    with log.outage():
        log.deliver(told[:1])
    sweeper.clock.wind(7200)
    sweeper.sweep()
    assert timezone.now() - Delivery.objects.get().not_before < timedelta(minutes=1)
