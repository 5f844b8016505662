"""The history of what a listing newly reaches is read by itself, and that of what comes back since it was lost."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import Installation, Repository
from apps.demo.shapes.accounts import user
from apps.github.auth import GitHubAccess
from apps.integrations import listed_installations
from apps.integrations.listed_installations import list_installation
from apps.integrations.models import Backfill
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.models import Job
from tests.fake_github.generated import acme
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BETA, WEB
from tests.integrations.backfill.installed import (
    STREAMS,
    accesses,
    add,
    backfill,
    installed,
    is_due,
    make_due,
    post_change,
    post_webhook,
)

pytestmark = pytest.mark.django_db


def test_what_is_newly_reached_has_its_last_days_read_once(
    fake: FakeGitHub, worker: GitHubAccess, settings: Any
) -> None:
    settings.BACKFILL_DAYS = 30
    installed(fake)
    for _ in range(3):
        make_due()
        list_installation(ACME, access=worker)
    assert sorted(Backfill.objects.values_list("stream", flat=True)) == sorted(STREAM_NAMES)
    since = Backfill.objects.values_list("since", flat=True).distinct().get()
    assert since is not None
    assert abs(timezone.now() - timedelta(days=30) - since) < timedelta(minutes=1)


def test_what_somebody_had_read_or_cancelled_is_not_read_again(fake: FakeGitHub, worker: GitHubAccess) -> None:
    add(fake)
    installed(fake)
    backfill(Repository.objects.get(pk=API), state="done")
    backfill(Repository.objects.get(pk=WEB), state="cancelled")
    list_installation(ACME, access=worker)
    assert Backfill.objects.count() == 2


def test_what_comes_back_is_read_from_when_it_was_lost(fake: FakeGitHub, worker: GitHubAccess) -> None:
    truth = fake.world.repositories[API]
    installed(fake, ago=timedelta(days=40))
    backfill(Repository.objects.get(), state="done", created_at=timezone.now() - timedelta(days=40))
    lost_at = post_change(fake, "removed", truth, ago=timedelta(days=9))
    post_change(fake, "added", truth, ago=timedelta(minutes=5))
    for _ in range(3):
        make_due()
        list_installation(ACME, access=worker)
    read = Backfill.objects.filter(state="waiting")
    assert set(read.values_list("since", flat=True)) == {lost_at - timedelta(hours=1)}
    assert read.count() == STREAMS


def test_a_backfill_that_lost_access_begins_again_when_its_repository_comes_back(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    truth = fake.world.repositories[API]
    installed(fake, ago=timedelta(days=40))
    begun = {"created_at": timezone.now() - timedelta(days=10), "since": timezone.now() - timedelta(days=100)}
    cut_off = backfill(Repository.objects.get(), state="failed", reason="no_installation", cursor="there", **begun)
    backfill(Repository.objects.get(), stream="issues", state="failed", reason="rejected", **begun)
    lost_at = post_change(fake, "removed", truth, ago=timedelta(days=9))
    post_change(fake, "added", truth, ago=timedelta(minutes=5))
    for _ in range(2):
        make_due()
        list_installation(ACME, access=worker)
    since = dict(Backfill.objects.filter(state="waiting").values_list("stream", "since"))
    assert len(since) == STREAMS
    assert since.pop("pull_requests") == cut_off.since
    assert set(since.values()) == {lost_at - timedelta(hours=1)}


def test_what_moved_to_another_installation_while_it_was_read_begins_again(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    installed(fake, ago=timedelta(days=40))
    begun = {"created_at": timezone.now() - timedelta(hours=2), "since": timezone.now() - timedelta(days=90)}
    for stream in STREAM_NAMES:
        backfill(Repository.objects.get(), stream=stream, state="failed", reason="gone", cursor="there", **begun)
    post_change(fake, "removed", fake.world.repositories[API], ago=timedelta(hours=1))
    fake.world.install(BETA)
    fake.world.reached[API] = BETA
    installed(fake, BETA)
    list_installation(BETA, access=worker)
    again = Backfill.objects.filter(state="waiting")
    assert set(again.values_list("since", "cursor")) == {(begun["since"], "")}
    assert again.count() == STREAMS


def test_what_only_a_listing_showed_to_be_lost_is_read_from_when_it_was_last_reached(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    installed(fake, ago=timedelta(days=40))
    read_at = timezone.now() - timedelta(days=20)
    backfill(Repository.objects.get(), state="done", created_at=read_at, advanced_at=read_at)
    fake.world.reached.pop(API)
    list_installation(ACME, access=worker)
    assert accesses() == {API: (False, True)}
    fake.world.reached[API] = ACME
    make_due()
    list_installation(ACME, access=worker)
    assert set(Backfill.objects.filter(state="waiting").values_list("since", flat=True)) == {
        read_at - timedelta(hours=1)
    }


def suspended(fake: FakeGitHub, *, ago: timedelta) -> datetime:
    """The webhooks of a suspension that ended an hour ago; when it began."""
    shown = fake.world.installations[ACME].json()
    payload = {"action": "suspend", "installation": {**shown, "suspended_at": (timezone.now() - ago).isoformat()}}
    began_at = post_webhook("installation", {**payload, "sender": user(acme())}, ago=ago)
    post_webhook(
        "installation", {"action": "unsuspend", "installation": shown, "sender": user(acme())}, ago=timedelta(hours=1)
    )
    return began_at


def every_stream_was_read(*, but: str) -> None:
    at = timezone.now() - timedelta(days=40)
    for stream in STREAM_NAMES:
        if stream != but:
            backfill(Repository.objects.get(), stream=stream, state="done", created_at=at)


def test_what_a_suspension_hid_is_read_from_when_it_began(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake, ago=timedelta(days=40))
    backfill(Repository.objects.get(), state="done", created_at=timezone.now() - timedelta(days=40))
    reported_at = suspended(fake, ago=timedelta(days=3))
    list_installation(ACME, access=worker)
    assert set(Backfill.objects.filter(state="waiting").values_list("since", flat=True)) == {
        reported_at - timedelta(hours=1)
    }


@pytest.mark.parametrize("about", [{}, {"until": "2026-01-01T00:00:00Z"}])
def test_one_stream_that_was_read_since_does_not_stand_for_the_others(
    fake: FakeGitHub, worker: GitHubAccess, about: dict[str, Any]
) -> None:
    installed(fake, ago=timedelta(days=40))
    every_stream_was_read(but="releases")
    suspended(fake, ago=timedelta(days=3))
    done = backfill(Repository.objects.get(), stream="releases", state="done", **about)
    for _ in range(2):
        make_due()
        list_installation(ACME, access=worker)
    read = Backfill.objects.filter(state="waiting").values_list("stream", flat=True)
    assert sorted(read) == sorted({*STREAM_NAMES} - ({done.stream} if not about else set()))


@pytest.mark.parametrize("state", ["waiting", "paused"])
def test_a_backfill_started_before_the_loss_begins_again_and_a_waiting_one_continues(
    fake: FakeGitHub, worker: GitHubAccess, state: str
) -> None:
    installed(fake, ago=timedelta(days=40))
    every_stream_was_read(but="releases")
    old = {"state": state, "created_at": timezone.now() - timedelta(days=40)}
    Backfill.objects.filter(stream="issues").delete()
    fresh = backfill(Repository.objects.get(), stream="issues", **old)
    begun = backfill(
        Repository.objects.get(), stream="releases", cursor="there", started_at=timezone.now() - timedelta(9), **old
    )
    suspended(fake, ago=timedelta(days=3))
    for _ in range(2):
        make_due()
        list_installation(ACME, access=worker)
    begun.refresh_from_db()
    fresh.refresh_from_db()
    assert (begun.cursor, begun.started_at, begun.claim_number, begun.since) == ("", None, 1, None)
    assert (begun.state, fresh.claim_number) == (state, 0)
    assert Backfill.objects.unfinished().count() == STREAMS
    Backfill.objects.unfinished().update(state="done", started_at=timezone.now(), finished_at=timezone.now())
    make_due()
    list_installation(ACME, access=worker)
    assert not Backfill.objects.unfinished().exists(), "each loss needs one backfill"


def test_what_a_new_installation_brings_back_is_read_from_the_end_of_the_old_one(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    installed(fake, ago=timedelta(days=40))
    backfill(Repository.objects.get(), state="done", created_at=timezone.now() - timedelta(days=40))
    removed_at = timezone.now() - timedelta(days=5)
    Installation.objects.filter(pk=ACME).update(deleted_at=removed_at)
    fake.world.install(BETA)
    fake.world.reached[API] = BETA
    installed(fake, BETA)
    list_installation(BETA, access=worker)
    rows = Backfill.objects.filter(state="waiting")
    assert set(rows.values_list("since", "installation")) == {(removed_at - timedelta(hours=1), BETA)}


def test_a_kill_between_a_listing_and_its_backfills_leaves_neither(
    fake: FakeGitHub, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(fake)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killing:
        killing.setattr(listed_installations, "read_history_of", die)
        with pytest.raises(KeyboardInterrupt):
            list_installation(ACME, access=worker)
    assert accesses() == {API: (True, False)}
    Job.objects.filter(kind="list_installation").update(lease_until=timezone.now() - timedelta(seconds=1))
    assert is_due()
    list_installation(ACME, access=worker)
    assert accesses() == {API: (True, True)}
    assert Backfill.objects.count() == STREAMS
