"""A listing settles what webhooks leave out; the installation of an account that nobody approved waits."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.activity.models import Contributor, Installation, Repository
from apps.demo.shapes.accounts import EVENTS, PERMISSIONS, short_installation, user
from apps.github.auth import GitHubAccess
from apps.integrations import listed_installations
from apps.integrations.backfill.requests import RepositoryResolver
from apps.integrations.backfill.start import Scope, start
from apps.integrations.discovery import find_installations
from apps.integrations.listed_installations import due_installations, list_installation, open_listings
from apps.integrations.models import Backfill
from apps.integrations.readable_installations import lacking_installations
from apps.integrations.work_problems import count_overdue_listings
from apps.jobs.models import Job
from apps.metrics.recalculation import drain as recalculate
from apps.monitoring.doctor.installations import check_installations
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser
from apps.webhooks.models import Delivery
from apps.webhooks.worker import drain
from tests.fake_github.generated import Size, acme
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BETA
from tests.github.translation import Door
from tests.integrations.backfill.installed import (
    STREAMS,
    UNAPPROVED,
    accesses,
    installed,
    is_due,
    make_due,
    post_webhook,
    shortened,
)
from tests.integrations.backfill.workers import BackfillWorkers, forget_messages
from tests.integrations.refresh.live_repository import refreshed

pytestmark = pytest.mark.django_db


def listed(fake: FakeGitHub, worker: GitHubAccess) -> None:
    """Listed a while ago: two reads within one second cannot be distinguished."""
    installed(fake)
    list_installation(ACME, access=worker)
    assert not is_due()
    fake.clock.wind(60)  # type: ignore[attr-defined]


def test_what_no_webhook_reported_is_seen_by_the_daily_listing(fake: FakeGitHub, worker: GitHubAccess) -> None:
    listed(fake, worker)
    truth = fake.world.repositories[API]
    truth.json = {**truth.json, "archived": True, "private": False, "default_branch": "trunk"}
    Installation.objects.update(listed_at=timezone.now() - timedelta(hours=25), needs_listing_at=None)
    assert is_due()
    list_installation(ACME, access=worker)
    repository = Repository.objects.get(pk=API)
    assert (repository.is_archived, repository.is_private, repository.default_branch) == (True, False, "trunk")
    assert not is_due()


def test_a_late_name_does_not_overwrite_the_listing_of_the_same_hour(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake, ago=timedelta(hours=2))
    between, last = replace(acme(), login="between"), replace(acme(), login="apex")
    fake.world.installations[ACME].account = last
    payload = {"action": "renamed", "account": user(between), "target_type": "Organization"}
    payload |= {"installation": short_installation(ACME), "sender": user(last)}
    post_webhook("installation_target", payload, ago=timedelta(seconds=11))
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
    post_webhook("installation", {**payload, "sender": user(acme())}, ago=timedelta(minutes=1))
    installation = Installation.objects.get()
    assert (set(installation.permissions), installation.events) == (set(PERMISSIONS), sorted(EVENTS))
    late = {"action": "created", "installation": before, "repositories": [], "sender": user(acme())}
    post_webhook("installation", late, ago=timedelta(0))
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


SECRETS = 77
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def unapproved(fake: FakeGitHub, settings: Any) -> None:
    """Another account installs the App, and works."""
    settings.ALLOWED_ACCOUNTS = ["acme"]
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    installation = fake.world.install(BETA, UNAPPROVED)
    size = Size(pull_requests=3, issues=1, releases=1, deployments=1, runs=1)
    truth = fake.world.add("secrets", installation_id=BETA, repository_id=SECRETS, size=size)
    created = {"action": "created", "installation": installation.json(), "repositories": [shortened(truth)]}
    door = Door()
    assert door.post("installation", {**created, "sender": user(UNAPPROVED)}).status_code == 202
    door.deliver(sent for sent in fake.world.deliveries() if sent.payload.get("repository", {}).get("id") == SECRETS)
    work_off()


def work_off() -> None:
    while Delivery.objects.filter(state="received").exists():
        drain([], task_id="a task", is_redelivered=False)
    recalculate(seconds=60)


def do_everything(access: GitHubAccess) -> None:
    """All that could lead to GitHub, though nothing should."""
    find_installations(access=access)
    listed_installations.plan()
    listed_installations.list_installation(BETA, access=access)
    refreshed(access, installation_id=BETA)
    start(Repository.objects.filter(pk=SECRETS), scope=Scope())
    RepositoryResolver(access=access, say=lambda words: None).about(
        full_names=["unapproved/secrets", "unapproved/other"], installation_id=BETA, everything=True
    )
    list(check_installations(access))


@pytest.mark.usefixtures("unapproved")
def test_nothing_of_an_account_that_was_not_accepted_is_fetched(fake: FakeGitHub, worker: GitHubAccess) -> None:
    do_everything(worker)
    assert BETA not in fake.identities.minted, "not even a token is asked for"
    assert fake.calls("core", payer=BETA) == fake.calls("graphql", payer=BETA) == []
    paths = {call.path for call in fake.log if str(BETA) in call.path}
    assert paths <= {f"/app/installations/{BETA}"}, "who it is may be asked, nothing else"
    assert not Backfill.objects.filter(repository=SECRETS).exists()
    assert lacking_installations() == []


def client_of(person: CustomUser) -> Client:
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client


PAGES = (
    *("/", "/?team=unapproved", "/operations/jobs/", "/api/v1/teams/", "/api/v1/repositories/"),
    *("/api/v1/pull-requests/", "/api/v1/deliveries/", "/api/v1/backfills/", "/api/v1/teams/unapproved/"),
    *(f"/api/v1/repositories/{SECRETS}/", f"/api/v1/pull-requests/{SECRETS}/1/"),
    *("/admin/activity/installation/", "/admin/activity/repository/", "/admin/activity/pullrequest/"),
    *("/admin/webhooks/delivery/", "/admin/teams/team/", f"/admin/activity/repository/{SECRETS}/change/"),
)


@pytest.mark.proof
@pytest.mark.usefixtures("unapproved")
@pytest.mark.parametrize("is_staff", [False, True])
def test_an_account_that_was_not_accepted_is_shown_to_operators_only(is_staff: bool) -> None:
    team = Team.objects.get(slug="unapproved")
    assert (team.is_approved, team.account_id) == (False, UNAPPROVED.id)
    person = CustomUser.objects.create_user("ana", is_staff=is_staff)
    TeamAccess.objects.create(team=team, user=person, role=TeamAccess.Role.ADMIN)
    client = client_of(person)
    for page in PAGES:
        answer = client.get(page)
        page_text = answer.content.decode()
        assert "unapproved/secrets" not in page_text, page
        assert answer.status_code in {200, 302, 403, 404}, page
        assert not (answer.status_code == 200 and f'"id": {SECRETS}' in page_text), page
    operator = client_of(CustomUser.objects.create_superuser("operator"))
    assert "unapproved/secrets" in operator.get("/admin/activity/repository/").content.decode()


@pytest.mark.proof
@pytest.mark.usefixtures("unapproved")
def test_once_approved_it_is_listed_and_its_history_is_read(fake: FakeGitHub, worker: GitHubAccess) -> None:
    do_everything(worker)
    Team.objects.filter(slug="unapproved").update(is_approved=True)
    make_due()
    assert BETA in listed_installations.due_installations(app_id=APP_ID).values_list("pk", flat=True)
    listed_installations.list_installation(BETA, access=worker)
    assert accesses(BETA) == {SECRETS: (True, True)}
    assert Backfill.objects.filter(repository=SECRETS).count() == STREAMS
    forget_messages()
    workers = BackfillWorkers(access=worker)
    while Backfill.objects.unfinished().filter(repository=SECRETS).exists():
        Backfill.objects.unfinished().update(not_before=timezone.now())
        workers.work()
    assert set(Backfill.objects.values_list("state", flat=True)) == {"done"}
    assert BETA in fake.identities.minted
    person = CustomUser.objects.create_user("ana")
    TeamAccess.objects.create(team=Team.objects.get(slug="unapproved"), user=person)
    assert client_of(person).get(f"/api/v1/repositories/{SECRETS}/").status_code == 200


@pytest.mark.proof
@pytest.mark.usefixtures("unapproved")
def test_an_approval_that_is_taken_back_ends_the_reading(fake: FakeGitHub, worker: GitHubAccess) -> None:
    Team.objects.filter(slug="unapproved").update(is_approved=True)
    listed_installations.list_installation(BETA, access=worker)
    Team.objects.filter(slug="unapproved").update(is_approved=False)
    asked = len(fake.log)
    forget_messages()
    workers = BackfillWorkers(access=worker)
    workers.work()
    assert [call for call in fake.log[asked:] if call.payer == BETA] == []
    assert Installation.objects.filter(pk__in=(ACME, BETA)).count() >= 1
