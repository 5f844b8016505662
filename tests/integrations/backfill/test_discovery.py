"""Installations that no webhook reported are found, and those without news are listed."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import Contributor, Installation
from apps.demo.shapes.accounts import Account
from apps.github.auth import GitHubAccess
from apps.integrations import discovery
from apps.integrations.discovery import find_installations
from apps.integrations.listed_installations import due_installations
from apps.jobs.claims import claim
from apps.jobs.models import Job
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA
from tests.integrations.backfill.installed import install

pytestmark = pytest.mark.django_db
PATH = discovery.FIRST_PAGE.partition("?")[0]


@pytest.fixture(autouse=True)
def _our_app(settings: Any) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()


def test_an_installation_that_sent_no_webhook_is_found_and_due(fake: FakeGitHub, worker: GitHubAccess) -> None:
    assert find_installations(access=worker) == 1
    installation = Installation.objects.get()
    assert (installation.pk, installation.account_id, installation.is_suspension_verified) == (ACME, 500, True)
    assert list(due_installations(app_id=APP_ID)) == [installation]


def test_of_an_account_that_was_not_accepted_only_its_name_is_recorded(
    fake: FakeGitHub, worker: GitHubAccess, settings: Any
) -> None:
    settings.ALLOWED_ACCOUNTS = ["acme"]
    fake.world.install(BETA, Account(501, "unapproved", "Organization"))
    assert find_installations(access=worker) == 2
    assert Contributor.objects.get(pk=501).login == "unapproved"
    assert [found.pk for found in due_installations(app_id=APP_ID)] == [ACME]


def test_a_suspension_that_no_webhook_reported_is_seen(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install(app_id=APP_ID)
    fake.world.suspend(ACME)
    find_installations(access=worker)
    installation = Installation.objects.get()
    assert installation.suspended_at is not None
    assert installation.last_suspended_at == installation.suspended_at


def test_one_that_github_does_not_name_is_asked_after(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install(BETA, app_id=APP_ID, listed_at=timezone.now() - timedelta(hours=12))
    assert not due_installations(app_id=APP_ID).exists()
    find_installations(access=worker)
    installation = Installation.objects.get(pk=BETA)
    assert installation.deleted_at is None, "a list alone ends nothing"
    assert BETA in {found.pk for found in due_installations(app_id=APP_ID)}


@pytest.mark.parametrize("answer", [faults.status(502), faults.status(200, {}), faults.status(200, [{"id": 7}])])
def test_a_list_that_cannot_be_read_changes_nothing_and_is_asked_for_again_soon(
    fake: FakeGitHub, worker: GitHubAccess, answer: Any
) -> None:
    install(BETA, app_id=APP_ID, listed_at=timezone.now() - timedelta(hours=12))
    fake.spoil(Fault(answer, lambda asked: asked.path == PATH))
    job = looked_for(worker)
    assert (job.state, job.reason, job.attempts) == ("waiting", "not_found", 1)
    assert seconds_of_wait(job) < 10
    assert Installation.objects.count() == 1
    assert not due_installations(app_id=APP_ID).exists()
    make_due()
    assert seconds_of_wait(looked_for(worker)) > 3500
    assert Installation.objects.filter(pk=ACME).exists()


def test_where_no_webhook_told_of_any_installation_github_is_asked_every_few_seconds(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    del fake.world.installations[ACME]
    assert seconds_of_wait(looked_for(worker)) <= 5
    fake.world.install(ACME)
    make_due()
    assert seconds_of_wait(looked_for(worker)) > 3500
    assert Installation.objects.exists()


def test_one_job_looks_for_installations_however_often_it_is_planned(settings: Any) -> None:
    assert (discovery.plan(), discovery.plan()) == (1, 0)
    settings.GITHUB_APP_ID = None
    Job.objects.all().delete()
    assert discovery.plan() == 0, "without credentials nobody can be asked"
    assert not Job.objects.exists()


def looked_for(access: GitHubAccess) -> Job:
    """The job that looks for installations, after a worker ran it with this access."""
    discovery.plan()
    job = claim(Job.objects.get(kind="find_installations").pk, task_id="")
    assert job is not None
    discovery.find_for(job, access=access)
    job.refresh_from_db()
    return job


def seconds_of_wait(job: Job) -> float:
    return (job.not_before - timezone.now()).total_seconds()


def make_due() -> None:
    Job.objects.update(not_before=timezone.now())
