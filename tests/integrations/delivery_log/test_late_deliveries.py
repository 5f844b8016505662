"""A delivery that comes late through the log counts as arrived when GitHub first posted it."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.activity.models import GitReference
from apps.demo.organisation import Sent
from apps.webhooks import intake
from apps.webhooks.models import Delivery
from apps.webhooks.origin import GitHubHook
from tests.fake_github.delivery_log import DeliveryLog
from tests.integrations.delivery_log.scanner import Scanner
from tests.webhooks.conftest import drain

pytestmark = pytest.mark.django_db


def test_a_delivery_fetched_late_does_not_undo_a_later_one(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    """A branch that was made in the outage and deleted after it stays deleted."""
    repository = deliveries[0].payload["repository"]
    around = {"repository": repository, "sender": deliveries[0].payload["sender"], "ref": "idea", "ref_type": "branch"}
    made = Sent(
        "create", {**around, "master_branch": "main", "pusher_type": "user"}, deliveries[0].at, deliveries[1].guid
    )
    deleted = Sent("delete", {**around, "pusher_type": "user"}, deliveries[0].at, deliveries[2].guid)
    scanner.clock.wind(-7200)
    with log.outage():
        log.deliver([made])
    scanner.clock.wind(7200)
    log.deliver([deleted])
    drain()
    scanner.scan()
    drain()
    assert Delivery.objects.filter(state="processed").count() == 2
    assert GitReference.objects.get(name="idea").is_deleted


def test_a_fetched_delivery_arrived_when_github_posted_it_but_never_in_the_future(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    scanner.clock.wind(-7200)
    with log.outage():
        log.deliver(deliveries[:1])
    scanner.clock.wind(7200)
    scanner.scan()
    late_by = timezone.now() - Delivery.objects.get().received_at
    assert timedelta(minutes=119) < late_by < timedelta(minutes=122)
    hook = GitHubHook.from_environ(
        {"HTTP_X_GITHUB_EVENT": "ping", "HTTP_X_GITHUB_DELIVERY": deliveries[1].guid, "HTTP_X_GITHUB_HOOK_ID": "1"}
    )
    intake.receive(hook, json.dumps({"zen": ""}).encode(), received_at=timezone.now() + timedelta(days=1))
    assert Delivery.objects.get(guid=deliveries[1].guid).received_at <= timezone.now()


def test_a_delivery_fetched_late_is_due_at_once(deliveries: list[Sent], log: DeliveryLog, scanner: Scanner) -> None:
    scanner.clock.wind(-7200)
    with log.outage():
        log.deliver(deliveries[:1])
    scanner.clock.wind(7200)
    scanner.scan()
    assert timezone.now() - Delivery.objects.get().not_before < timedelta(minutes=1)
