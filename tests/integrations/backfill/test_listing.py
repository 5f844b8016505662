"""Listing installations: what signals left unverified is settled, and what is newly reached has its history read."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import Contributor, Installation, Repository
from apps.demo.shapes.accounts import user
from apps.github.auth import GitHubAccess
from apps.integrations import listed_installations
from apps.integrations.listed_installations import list_installation
from apps.integrations.models import Backfill
from apps.jobs.claims import claim_next
from apps.jobs.models import ClaimLostError, Job
from apps.teams.models import Team
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.generated import acme
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BETA, WEB
from tests.integrations.backfill.installed import (
    LIST,
    STREAMS,
    UNAPPROVED,
    accesses,
    add,
    installed,
    is_due,
    make_due,
    many,
    post_change,
    post_webhook,
)

pytestmark = pytest.mark.django_db


def test_a_new_installation_is_listed_and_what_its_webhook_said_is_settled(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    gone, unknown = add(fake), add(fake, "new", 13)
    fake.world.reached.pop(unknown.json["id"])
    installed(fake)
    fake.world.reached.pop(gone.json["id"])
    fake.world.reached[unknown.json["id"]] = ACME
    assert is_due()
    list_installation(ACME, access=worker)
    assert accesses() == {API: (True, True), WEB: (False, True), 13: (True, True)}
    repository = Repository.objects.get(pk=13)
    assert (repository.full_name, repository.owner_id, repository.default_branch) == ("acme/new", acme().id, "main")
    installation = Installation.objects.get()
    assert (installation.account_id, installation.suspended_at, installation.is_suspension_verified) == (
        500,
        None,
        True,
    )
    assert not is_due()


def test_an_installation_known_by_its_id_alone_is_asked_whose_it_is(fake: FakeGitHub, worker: GitHubAccess) -> None:
    Installation.objects.create(github_id=ACME)
    assert is_due()
    list_installation(ACME, access=worker)
    assert accesses() == {API: (True, True)}
    assert Contributor.objects.get(pk=500).login == "acme"


@pytest.mark.proof
def test_every_page_is_read(fake: FakeGitHub, worker: GitHubAccess) -> None:
    many(fake, 230)
    installed(fake)
    list_installation(ACME, access=worker)
    assert len(accesses()) == 231
    assert len([call for call in fake.calls("core", payer=ACME) if call.path == LIST]) == 3


@pytest.mark.proof
def test_a_listing_that_fails_half_way_keeps_nothing_and_is_tried_again_later(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    many(fake, 230)
    installed(fake)
    known = accesses()
    fake.spoil(Fault(faults.status(502), second_page))
    row = list_installation(ACME, access=worker)
    assert row is not None
    assert (row.attempts, row.error, row.cursor, row.lease_until) == (1, "HTTP 502", "", None)
    assert accesses() == known
    assert Repository.objects.exclude(owner=None).count() == 0, "not even what the first page showed"
    assert not is_due(), "it waits"
    make_due()
    list_installation(ACME, access=worker)
    assert set(accesses().values()) == {(True, True)}
    assert Job.objects.get(kind="list_installation").attempts == 0


def second_page(asked: Asked) -> bool:
    return asked.path == LIST and asked.query.get("page") == "2"


def test_failures_are_tried_later_and_later(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake)
    fake.spoil(Fault(faults.status(500), faults.below(LIST), times=None))
    waits = []
    for _ in range(9):
        make_due()
        row = list_installation(ACME, access=worker)
        assert row is not None
        waits.append((row.not_before - timezone.now()).total_seconds())
    assert 40 < waits[0] < 80
    assert waits[0] < waits[2] < waits[4]
    assert 2600 < waits[-1] < 4600


def one_short(asked: Asked, answer: Answered) -> Answered:
    answer.body["repositories"].pop()
    return answer


def test_a_list_that_does_not_add_up_says_nothing_of_what_is_missing(fake: FakeGitHub, worker: GitHubAccess) -> None:
    add(fake)
    installed(fake)
    fake.spoil(Fault(one_short, faults.below(LIST), is_instead=False))
    row = list_installation(ACME, access=worker)
    assert row is not None
    assert row.error == "GitHub listed 1 of 2 repositories."
    assert accesses() == {API: (True, False), WEB: (True, False)}


def test_a_repository_of_no_shape_we_know_fails_the_listing(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake)
    fake.spoil(Fault(nameless, faults.below(LIST), is_instead=False))
    row = list_installation(ACME, access=worker)
    assert row is not None
    assert "listing.repositories[0].full_name is missing" in row.error


def nameless(asked: Asked, answer: Answered) -> Answered:
    answer.body["repositories"] = [{**answer.body["repositories"][0]}]
    del answer.body["repositories"][0]["full_name"]
    return answer


def test_a_limit_is_waited_for_with_what_was_read_so_far(fake: FakeGitHub, worker: GitHubAccess) -> None:
    many(fake, 230)
    installed(fake)
    fake.spoil(Fault(faults.secondary(retry_after_s=90), second_page))
    row = list_installation(ACME, access=worker)
    assert row is not None
    assert (row.attempts, row.items) == (0, 100)
    assert 80 < (row.not_before - timezone.now()).total_seconds() < 95
    assert set(accesses().values()) == {(True, False)}, "nothing is settled before the whole list is read"
    fake.clock.wind(100)  # type: ignore[attr-defined]
    make_due()
    list_installation(ACME, access=worker)
    assert set(accesses().values()) == {(True, True)}
    assert len([call for call in fake.calls("core", payer=ACME) if call.path == LIST]) == 4, "page 1 is read once"


@pytest.mark.proof
def test_a_long_list_goes_on_in_the_next_task(
    fake: FakeGitHub, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(fake, 230)
    installed(fake)
    seen = []
    while is_due():
        row = list_installation(ACME, access=worker, seconds=0.0)
        assert row is not None
        seen.append(row.items)
    assert seen == [100, 200, 0]
    assert len(accesses()) == 231


def test_a_list_begun_too_long_ago_begins_again(
    fake: FakeGitHub, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(fake, 230)
    installed(fake)
    list_installation(ACME, access=worker, seconds=0.0)
    job = Job.objects.get()
    cursor = json.loads(job.cursor)
    cursor["as_of"] = str(timezone.now() - timedelta(minutes=11))
    Job.objects.update(cursor=json.dumps(cursor))
    row = list_installation(ACME, access=worker, seconds=0.0)
    assert row is not None
    assert row.items == 100


def test_a_later_signal_wins_over_the_listing_and_an_earlier_one_does_not(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    truth = fake.world.repositories[API]
    installed(fake)
    list_installation(ACME, access=worker)
    post_change(fake, "removed", truth, ago=timedelta(minutes=1))
    assert accesses() == {API: (True, True)}, "it happened before the list was read, which shows that it came back"
    post_change(fake, "removed", truth, ago=timedelta(seconds=0))
    assert accesses() == {API: (False, False)}
    assert is_due()


def test_a_late_webhook_leaves_nothing_unverified(fake: FakeGitHub, worker: GitHubAccess) -> None:
    truth = add(fake)
    fake.world.reached.pop(WEB)
    installed(fake)
    list_installation(ACME, access=worker)
    post_change(fake, "added", truth, ago=timedelta(minutes=2))
    assert accesses()[WEB] == (True, False), "nobody had heard of it when the list was read"
    assert is_due()
    list_installation(ACME, access=worker)
    assert accesses()[WEB] == (False, True)
    assert not is_due()


def test_branches_that_come_and_go_ask_for_one_listing_in_ten_minutes(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake)
    list_installation(ACME, access=worker)
    branch = {
        "ref": "x",
        "ref_type": "branch",
        "master_branch": "main",
        "repository": fake.world.repositories[API].json,
    }
    post_webhook("create", {**branch, "installation": {"id": ACME}, "sender": user(acme())}, ago=timedelta(0))
    assert not is_due()
    Installation.objects.update(listed_at=timezone.now() - timedelta(minutes=11))
    assert is_due()


def test_a_suspension_is_settled_and_nothing_more_is_asked(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake)
    fake.world.suspend(ACME)
    list_installation(ACME, access=worker)
    installation = Installation.objects.get()
    assert installation.suspended_at is not None
    assert installation.is_suspension_verified
    assert not is_due()
    assert not [call for call in fake.log if call.path == LIST]


def test_an_installation_that_github_does_not_know_any_more_is_removed(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake)
    del fake.world.installations[ACME]
    list_installation(ACME, access=worker)
    assert Installation.objects.get().deleted_at is not None
    assert not is_due()


def test_with_the_id_of_another_app_nothing_is_taken_for_removed(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake)
    fake.identities.app_id = 99
    row = list_installation(ACME, access=worker)
    assert row is not None
    assert (row.attempts, row.error) == (1, "Integration not found")
    assert Installation.objects.get().deleted_at is None
    fake.identities.app_id = APP_ID
    Installation.objects.update(app_id=99)
    assert not is_due(), "it is not ours to list"
    del fake.world.installations[ACME]
    make_due()
    list_installation(ACME, access=worker)
    assert Installation.objects.get().deleted_at is None


def test_an_account_is_not_listed_before_it_is_approved(fake: FakeGitHub, worker: GitHubAccess, settings: Any) -> None:
    settings.ALLOWED_ACCOUNTS = ["acme"]
    fake.world.install(BETA, UNAPPROVED)
    add(fake, installation_id=BETA)
    Installation.objects.create(github_id=BETA)
    assert is_due(BETA), "its account is not known yet"
    list_installation(BETA, access=worker)
    assert Contributor.objects.get(pk=501).login == "unapproved"
    assert not is_due(BETA)
    assert [call.path for call in fake.log] == [f"/app/installations/{BETA}"]
    Team.objects.create(name="unapproved", slug="unapproved", account_id=501, is_approved=True)
    assert is_due(BETA)
    list_installation(BETA, access=worker)
    assert accesses(BETA) == {WEB: (True, True)}
    assert Backfill.objects.count() == STREAMS


def test_an_installation_is_listed_by_one_worker_at_a_time(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake)
    claimed()
    assert not is_due()
    assert list_installation(ACME, access=worker) is None
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert is_due(), "the worker that held it is dead"
    assert list_installation(ACME, access=worker) is not None
    assert fake.log


def test_a_worker_that_lost_its_claim_keeps_nothing(fake: FakeGitHub, worker: GitHubAccess) -> None:
    installed(fake)
    listing = listed_installations.InstallationListing.of(claimed(), access=worker, deadline_s=time.monotonic() + 10)
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    claimed()
    with pytest.raises(ClaimLostError):
        listing.run()
    assert accesses() == {API: (True, False)}
    assert Backfill.objects.count() == 0


def claimed() -> Job:
    """The job of the listing, as a worker that just claimed it holds it."""
    listed_installations.open_listings([ACME])
    job = claim_next(task_id="a worker")
    assert job is not None
    return job


def test_what_is_due_becomes_a_job_once(fake: FakeGitHub, worker: GitHubAccess, settings: Any) -> None:
    installed(fake)
    assert listed_installations.plan() == 0, "without credentials nobody can be asked"
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    assert listed_installations.plan() == 1
    assert listed_installations.plan() == 0
    list_installation(ACME, access=worker)
    assert listed_installations.plan() == 0
    assert Job.objects.get(kind="list_installation").state == "done"
    make_due()
    assert listed_installations.plan() == 1, "the same row goes on"
