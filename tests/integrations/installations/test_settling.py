"""What webhooks leave out or tell too late, a listing settles; each installation is listed at least daily."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import Contributor, Installation, Repository
from apps.demo.shapes.accounts import EVENTS, PERMISSIONS, short_installation, user
from apps.github.auth import GitHubAccess
from apps.integrations.discovery import find_installations
from apps.integrations.health import count_overdue_listings
from apps.integrations.installations import due_installations, list_installation, open_listings
from apps.jobs.models import Job
from tests.fake_github.generated import acme
from tests.fake_github.identities import APP_ID
from tests.fake_github.keys import app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API
from tests.integrations.backfill.listings import installed, is_due, tell

pytestmark = pytest.mark.django_db


def listed(fake: FakeGitHub, worker: GitHubAccess) -> None:
    """Listed a while ago: two reads of one second are told apart by nobody."""
    installed(fake)
    list_installation(ACME, access=worker)
    assert not is_due()
    fake.clock.wind(60)  # type: ignore[attr-defined]


def test_what_no_webhook_told_is_seen_by_the_listing_of_the_day(fake: FakeGitHub, worker: GitHubAccess) -> None:
    listed(fake, worker)
    truth = fake.world.repositories[API]
    truth.json = {**truth.json, "archived": True, "private": False, "default_branch": "trunk"}
    Installation.objects.update(listed_at=timezone.now() - timedelta(hours=25), needs_listing_at=None)
    assert is_due()
    list_installation(ACME, access=worker)
    repository = Repository.objects.get(pk=API)
    assert (repository.is_archived, repository.is_private, repository.default_branch) == (True, False, "trunk")
    assert not is_due()


def test_a_name_told_too_late_yields_to_the_listing_of_the_same_hour(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake, ago=timedelta(hours=2))
    between, last = replace(acme(), login="between"), replace(acme(), login="apex")
    fake.world.installations[ACME].account = last
    payload = {"action": "renamed", "account": user(between), "target_type": "Organization"}
    payload |= {"installation": short_installation(ACME), "sender": user(last)}
    tell("installation_target", payload, ago=timedelta(seconds=11))
    assert Contributor.objects.get(pk=acme().id).login == "between"
    list_installation(ACME, access=worker)
    assert Contributor.objects.get(pk=acme().id).login == "apex"


def test_permissions_and_events_follow_what_was_accepted(fake: FakeGitHub, worker: GitHubAccess) -> None:
    truth = fake.world.installations[ACME]
    truth.permissions, truth.events = ("metadata",), ("push",)
    listed(fake, worker)
    before = truth.json()
    truth.permissions, truth.events = PERMISSIONS, EVENTS
    truth.updated_at += timedelta(hours=1)
    payload = {"action": "new_permissions_accepted", "installation": truth.json(), "repositories": []}
    tell("installation", {**payload, "sender": user(acme())}, ago=timedelta(minutes=1))
    installation = Installation.objects.get()
    assert (set(installation.permissions), installation.events) == (set(PERMISSIONS), sorted(EVENTS))
    late = {"action": "created", "installation": before, "repositories": [], "sender": user(acme())}
    tell("installation", late, ago=timedelta(0))
    assert set(Installation.objects.get().permissions) == set(PERMISSIONS), "the older one came later"


def test_what_an_account_takes_back_without_a_webhook_is_seen_within_the_hour(
    fake: FakeGitHub, worker: GitHubAccess, settings: Any
) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    listed(fake, worker)
    fake.world.installations[ACME].events = ("push",)
    find_installations(access=worker)
    assert Installation.objects.get().events == ["push"]


def test_only_what_was_due_all_the_time_is_overdue(fake: FakeGitHub, worker: GitHubAccess, settings: Any) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    find_installations(access=worker)
    assert due_installations(app_id=APP_ID).exists()
    assert count_overdue_listings() == 0, "it was found just now"
    installed(fake, ago=timedelta(minutes=20))
    assert count_overdue_listings() == 1
    open_listings([ACME])
    Job.objects.update(not_before=timezone.now() - timedelta(minutes=5))
    assert count_overdue_listings() == 0, "it waited for something until then"
    Job.objects.update(not_before=timezone.now() - timedelta(minutes=20))
    assert count_overdue_listings() == 1
    list_installation(ACME, access=worker)
    assert count_overdue_listings() == 0
