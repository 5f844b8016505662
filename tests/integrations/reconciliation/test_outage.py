"""Hours in which nothing arrived: after one sweep and one reconciliation the tables equal GitHub's all the same."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from apps.integrations.models import DeliverySweep, Drift, Enrichment, SyncLog
from apps.integrations.story.posting import body_of
from apps.integrations.story.telling import Sent
from apps.webhooks.door import secret_slots
from apps.webhooks.models import Delivery
from tests.fake_github.busy import Busy, Pace
from tests.fake_github.delivery_log import DeliveryLog, keep_log
from tests.fake_github.server import FakeGitHub
from tests.integrations.backfill.installed import install
from tests.integrations.reconciliation.everybody import work_off
from tests.integrations.reconciliation.truth_of_tables import differences
from tests.webhooks.conftest import GitHub

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = {11: "one", 12: "two", 13: "three"}
FAILED, NEVER = 2000, 300
LONG_AGO = timedelta(days=4)
A_BREATH = 3
"""So many deliveries arrive before each message that a worker takes, where events go on meanwhile."""


@dataclass(slots=True)
class Organisation:
    """What happens at GitHub, and what of it reaches us."""

    busy: Busy
    log: DeliveryLog
    coming: list[Sent] = field(default_factory=list)
    """What has not happened yet."""

    def tell(self, deliveries: Sequence[Sent]) -> None:
        """It happens, and is posted."""
        self.busy.happen(deliveries)
        self.log.deliver(deliveries)

    def go_on(self) -> None:
        """A little more of what is coming happens."""
        soon, self.coming = self.coming[:A_BREATH], self.coming[A_BREATH:]
        self.tell(soon)

    def differences(self) -> list[str]:
        return [found for repository_id in NAMES for found in differences(self.busy.truth(repository_id))]


@pytest.fixture
def organisation(hub: FakeGitHub) -> Organisation:
    """Three busy repositories: the App is installed, and their history was read, before anything breaks."""
    github = GitHub()

    def post(sent: Sent) -> int:
        return int(github.post(body_of(sent.payload), event=sent.event, guid=sent.guid).status_code)

    secret_slots.forget_slots()
    log = keep_log(hub, post=post)
    busy, now = Busy(hub.world), datetime.now(UTC).replace(microsecond=0)
    for repository_id, name in NAMES.items():
        start, end = now - timedelta(hours=22), now - timedelta(hours=12)
        busy.add(name, repository_id=repository_id, start=start, end=end, pace=Pace(pull_requests=120))
    told = Organisation(busy, log, coming=[sent for sent in busy.deliveries if sent.at < now - timedelta(hours=1)])
    install()
    return told


def lose_hours(told: Organisation, *, seed: int) -> None:
    """Of 2,300 deliveries of six hours or so GitHub attempts most in vain, and some not at all."""
    chance = random.Random(seed)  # noqa: S311  the same ones every time
    lost, told.coming = told.coming[: FAILED + NEVER], told.coming[FAILED + NEVER :]
    assert len(lost) == FAILED + NEVER
    assert timedelta(hours=4) < lost[-1].at - lost[0].at < timedelta(hours=8)
    never = set(chance.sample(range(len(lost)), NEVER))
    told.busy.happen(lost)
    told.log.lose(sent for place, sent in enumerate(lost) if place in never)
    with told.log.outage():
        told.log.deliver(sent for place, sent in enumerate(lost) if place not in never)


def begin(told: Organisation, count: int) -> None:
    """The first so many deliveries arrive, and everything is read and swept once."""
    first, told.coming = told.coming[:count], told.coming[count:]
    told.tell(first)
    work_off()
    assert told.differences() == []


def forget_long_ago(told: Organisation) -> None:
    """Days go by before anybody looks: GitHub's log holds none of it any more."""
    for attempt in told.log.attempts:
        attempt.at -= LONG_AGO


def sweep(meanwhile: Callable[[], None] | None) -> None:
    """Beat's next tick after the outage: nobody had looked for longer than a sweep rests."""
    DeliverySweep.objects.update(ticked_at=Now() - timedelta(hours=6), started_at=Now() - timedelta(hours=6))
    work_off(meanwhile=meanwhile)


def reconcile(meanwhile: Callable[[], None] | None) -> None:
    call_command("reconcile", "--all")
    work_off(meanwhile=meanwhile)
    assert SyncLog.objects.get().status == SyncLog.Status.SUCCEEDED


def list_commits() -> None:
    """The rests between two requests for the commits of pull requests go by."""
    for _ in range(3):
        Enrichment.objects.update(not_before=Now())
        work_off()


@pytest.mark.parametrize("is_going_on", [False, True], ids=["afterwards", "meanwhile"])
@pytest.mark.parametrize("is_forgotten", [False, True], ids=["swept", "forgotten"])
def test_after_six_hours_without_us_everything_ends_as_it_is_on_github(
    organisation: Organisation, is_forgotten: bool, is_going_on: bool
) -> None:
    told = organisation
    begin(told, 700)
    lose_hours(told, seed=5)
    if is_forgotten:
        forget_long_ago(told)
    told.tell(told.coming[:200])
    told.coming = told.coming[200:600]
    meanwhile = told.go_on if is_going_on else None

    sweep(meanwhile)
    returned = Delivery.objects.filter(source=Delivery.Source.API).count()
    assert returned == (0 if is_forgotten else FAILED)

    reconcile(meanwhile)
    if not is_going_on:
        assert told.differences() == []
    told.tell(told.coming)
    list_commits()
    assert told.differences() == []
    assert Drift.objects.filter(missing__gt=0).exists()
