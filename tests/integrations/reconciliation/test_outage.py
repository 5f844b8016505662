"""Hours in which nothing arrived: after one sweep and one reconciliation the tables equal GitHub's all the same."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db.models.functions import Least, Now

from apps.activity.models import Coverage
from apps.integrations.models import Backfill, DeliverySweep, Drift, Enrichment, SyncLog
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
MEANWHILE = 120
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

    def differences_but_for_times(self) -> list[str]:
        """Without the times of what happened to pull requests: webhooks tell them only to about a second."""
        return [found for found in self.differences() if "histories" not in found and "dismissed_at" not in found]


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
    then = first[-1].at  # the story is hours old: so is what was read up to there
    Coverage.objects.update(from_at=Least("from_at", then), to_at=then)
    Backfill.objects.update(created_at=then, started_at=then, advanced_at=then, finished_at=then)


def forget_long_ago(told: Organisation) -> None:
    """Days go by before anybody looks: GitHub's log holds none of it any more."""
    for attempt in told.log.attempts:
        attempt.at -= LONG_AGO


def sweep(meanwhile: Callable[[], None] | None = None) -> None:
    """Beat's next tick after the outage: nobody had looked for longer than a sweep rests."""
    DeliverySweep.objects.update(ticked_at=Now() - timedelta(hours=6), started_at=Now() - timedelta(hours=6))
    work_off(meanwhile=meanwhile)


def reconcile(meanwhile: Callable[[], None] | None = None) -> None:
    call_command("reconcile", "--all")
    work_off(meanwhile=meanwhile)
    assert SyncLog.objects.get().status == SyncLog.Status.SUCCEEDED


def list_commits() -> None:
    """The rests between two requests for the commits of pull requests go by."""
    for _ in range(3):
        Enrichment.objects.update(not_before=Now())
        work_off()


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["swept", "forgotten"])
def test_after_six_hours_without_us_everything_ends_as_it_is_on_github(
    organisation: Organisation, is_forgotten: bool
) -> None:
    told = organisation
    break_off(told, is_forgotten=is_forgotten)
    sweep()
    assert Delivery.objects.filter(source=Delivery.Source.API).count() == (0 if is_forgotten else FAILED)
    reconcile()
    assert told.differences() == []
    assert Drift.objects.filter(missing__gt=0).exists()


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["swept", "forgotten"])
def test_and_so_it_does_while_more_arrives(organisation: Organisation, is_forgotten: bool) -> None:
    told = organisation
    break_off(told, is_forgotten=is_forgotten)
    told.coming, later = told.coming[:MEANWHILE], told.coming[MEANWHILE : 2 * MEANWHILE]
    sweep(told.go_on)
    told.coming += later
    reconcile(told.go_on)
    assert told.coming == []
    list_commits()
    assert told.differences_but_for_times() == []


def break_off(told: Organisation, *, is_forgotten: bool) -> None:
    """All is well for a while; then six hours are lost, and it goes on."""
    begin(told, 700)
    lose_hours(told, seed=5)
    if is_forgotten:
        forget_long_ago(told)
    told.tell(told.coming[:200])
    told.coming = told.coming[200:]
