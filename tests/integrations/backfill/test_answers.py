"""What becomes of a backfill when GitHub does not just give the next page."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from unittest import mock

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DataError, OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.models import PullRequest, Repository, RepositoryAccess
from apps.common.db import DatabaseTimeoutError
from apps.common.encryption import UndecryptableError
from apps.github.credentials import NoCredentialsError, app_credentials
from apps.integrations.backfill import run
from apps.integrations.models import Backfill
from apps.integrations.outcomes import MOST_ATTEMPTS
from apps.integrations.reader import Page, PageRequest, Reader
from apps.integrations.streams import STREAMS
from apps.webhooks.parsing import UnusablePayloadError
from tests.fake_github.faults import Asked, Fault, graphql, graphql_errors, larger_than, poison, status, too_heavy
from tests.fake_github.identities import strange_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BETA, Clock, access_to
from tests.integrations.backfill.installed import backfill, install, reach
from tests.integrations.backfill.workers import BackfillWorkers, during_page

pytestmark = pytest.mark.django_db(transaction=True)
PULLS = "pull_requests"


def advance_when_due(workers: BackfillWorkers, row: Backfill) -> Backfill:
    """Let the time pass that the backfill waits for."""
    Backfill.objects.filter(state="waiting").update(not_before=Now())
    return workers.advance(row)


def waits_s(row: Backfill) -> float:
    return (row.not_before - timezone.now()).total_seconds()


def sizes(fake: FakeGitHub) -> Iterator[int]:
    for call in fake.calls("graphql"):
        if "first" in call.document["variables"]:
            yield call.document["variables"]["first"]


def shows_whole(asked: Asked) -> bool:
    """Not what only names pull requests."""
    return asked.is_graphql and "PullRequestPage" in asked.document["query"]


@pytest.mark.proof
def test_a_page_that_is_too_much_is_halved_with_the_same_cursor(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    fake.spoil(Fault(too_heavy(), larger_than(6), times=None))
    row = workers.advance(backfill(api))
    assert list(sizes(fake)) == [25, 12, *[6] * 5]
    assert (row.state, row.items, row.page_size) == ("done", 30, 6)
    assert row.calls == row.pages + 2
    assert PullRequest.objects.count() == 30


@pytest.mark.proof
def test_the_next_backfill_begins_with_what_the_last_one_learned(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    row = workers.advance(backfill(api, page_size=5, clean_pages=9))
    assert (row.state, row.page_size) == ("done", 10)
    assert list(sizes(fake)) == [5, 10, 10, 10]


@pytest.mark.proof
def test_a_pull_request_that_no_page_can_show_is_skipped(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    fake.spoil(Fault(poison(17), shows_whole, times=None, is_instead=False))
    row = workers.advance(backfill(api))
    assert (row.state, row.reason, row.page_size, row.attempts) == ("waiting", "unanswered", 1, 1)
    assert PullRequest.objects.count() == 16
    assert waits_s(row) < 7
    row = advance_when_due(workers, row)
    assert (row.state, row.skipped) == ("done", [])
    assert set(PullRequest.objects.values_list("number", flat=True)) == set(range(1, 31)), "REST could show it"


@dataclass(frozen=True, slots=True)
class Fussy:
    """The stream of pull requests, but pages with this one cannot be used."""

    number: int
    page_size: int = 25
    most: int = 25

    def read(self, request: PageRequest, reader: Reader) -> Page:
        page = STREAMS[PULLS].read(request, reader)
        if any(getattr(fact, "number", None) == self.number for fact in page.facts):
            raise UnusablePayloadError("shape_mismatch", f"pullRequest {self.number} is odd")
        return page

    def skip_item(self, request: PageRequest, reader: Reader) -> Page:
        return STREAMS[PULLS].skip_item(request, reader)


@dataclass(frozen=True, slots=True)
class Helpless(Fussy):
    """The same, but it cannot even go around it."""

    def skip_item(self, request: PageRequest, reader: Reader) -> Page:
        raise UnusablePayloadError("shape_mismatch", "odd\x00")


@pytest.mark.proof
def test_an_item_that_cannot_be_used_is_found_by_halving_and_skipped(api: Repository, workers: BackfillWorkers) -> None:
    workers.streams = {PULLS: Fussy(8)}
    row = workers.advance(backfill(api))
    assert row.state == "done"
    assert [one["what"] for one in row.skipped] == ["pull request 8"], "it is as odd by REST"
    assert set(PullRequest.objects.values_list("number", flat=True)) == set(range(1, 31)) - {8}


@pytest.mark.proof
def test_a_backfill_that_cannot_skip_an_item_fails_and_says_why(api: Repository, workers: BackfillWorkers) -> None:
    workers.streams = {PULLS: Helpless(8)}
    row = workers.advance(backfill(api))
    assert (row.state, row.reason, row.items) == ("failed", "unusable", 7)
    assert "odd\ufffd" in row.error


@dataclass(frozen=True, slots=True)
class Broken(Fussy):
    """A backfill that reads what is not there."""

    def read(self, request: PageRequest, reader: Reader) -> Page:
        return {}["nothing"]  # type: ignore[return-value]

    skip_item = read


def test_a_backfill_that_meets_an_unknown_shape_fails_and_says_where(api: Repository, workers: BackfillWorkers) -> None:
    workers.streams = {PULLS: Broken(8)}
    row = workers.advance(backfill(api))
    assert (row.state, row.reason) == ("failed", "unusable")
    assert "KeyError: 'nothing'" in row.error


@dataclass(frozen=True, slots=True)
class Endless(Fussy):
    """Pages of more than five take longer than a task may."""

    def read(self, request: PageRequest, reader: Reader) -> Page:
        if request.page_size > 5:
            raise SoftTimeLimitExceeded
        return STREAMS[PULLS].read(request, reader)


@pytest.mark.proof
def test_a_page_that_takes_longer_than_a_task_is_halved_for_the_next_one(
    api: Repository, workers: BackfillWorkers
) -> None:
    workers.streams = {PULLS: Endless(0)}
    row = workers.advance(backfill(api, page_size=12))
    assert (row.state, row.page_size, row.items) == ("waiting", 6, 0)
    row = workers.advance(row)
    assert (row.state, row.page_size, row.items) == ("waiting", 3, 0)
    while row.state == "waiting":
        row = workers.advance(row)
    assert (row.state, row.items, row.attempts) == ("done", 30, 0)


def test_a_failure_that_may_pass_is_tried_again_later_and_forgotten(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    fake.spoil(Fault(status(503), graphql, times=2))
    row = workers.advance(backfill(api))
    assert (row.state, row.reason, row.attempts) == ("waiting", "unanswered", 1)
    assert 3 < waits_s(row) <= 6
    row = advance_when_due(workers, row)
    assert row.attempts == 2
    assert 7 < waits_s(row) <= 12
    row = advance_when_due(workers, row)
    assert (row.state, row.attempts, row.error) == ("done", 0, "")


def test_a_backfill_that_fails_for_an_hour_ends_as_failed(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    fake.spoil(Fault(status(503, {"message": "Unicorn!"}), lambda asked: not asked.path.startswith("/app"), times=None))
    row = workers.advance(backfill(api))
    for _ in range(MOST_ATTEMPTS - 1):
        assert row.state == "waiting"
        row = advance_when_due(workers, row)
    assert (row.state, row.reason, row.error) == ("failed", "unanswered", "Unicorn!")
    assert row.finished_at is not None
    assert row.calls == MOST_ATTEMPTS


def test_a_backfill_at_whose_cursor_every_worker_dies_ends_as_failed(api: Repository, workers: BackfillWorkers) -> None:
    expired = timezone.now() - timedelta(seconds=1)
    row = workers.advance(backfill(api, state="running", lease_until=expired, attempts=MOST_ATTEMPTS - 1))
    assert (row.state, row.reason) == ("failed", "crashed")
    assert "crashed" in row.error


def test_what_we_may_not_see_fails_with_githubs_words(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    words = "Resource not accessible by integration"
    fake.spoil(Fault(graphql_errors({"type": "FORBIDDEN", "message": words}), graphql))
    row = workers.advance(backfill(api))
    assert (row.state, row.reason, row.error) == ("failed", "forbidden", words)


def test_a_void_cursor_costs_one_new_beginning(fake: FakeGitHub, api: Repository, workers: BackfillWorkers) -> None:
    workers.seconds = 0.0
    row = workers.advance(backfill(api, page_size=5))
    began_at = row.started_at
    void_cursor(row)
    workers.seconds = 60.0
    row = workers.advance(row)
    assert (row.state, row.cursor, row.items, row.restarts) == ("waiting", "", 0, 1)
    row = workers.advance(row)
    assert (row.state, row.items) == ("done", 30)
    assert began_at is not None
    assert row.started_at is not None
    assert row.started_at > began_at, "what is covered ends where the new backfill began"


def test_a_cursor_that_is_void_again_fails_the_backfill_and_is_dropped(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    workers.seconds = 0.0
    row = workers.advance(backfill(api, page_size=5, restarts=1))
    void_cursor(row)
    row = workers.advance(row)
    assert (row.state, row.reason, row.cursor) == ("failed", "cursor_refused", "")
    assert "valid cursor" in row.error


def void_cursor(row: Backfill) -> None:
    """GitHub knows its own cursor no more."""
    row.cursor = row.cursor.replace('"after":"', '"after":"x')
    row.save()


def test_a_token_that_ends_in_the_middle_is_replaced(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers, clock: Clock
) -> None:
    fake.spoil(during_page(1, lambda: clock.wind(3700)))
    row = workers.advance(backfill(api, page_size=10))
    assert (row.state, row.items, row.attempts) == ("done", 30, 0)
    assert fake.identities.minted == [ACME] * 2


def test_a_token_that_is_refused_in_the_middle_is_replaced(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers, clock: Clock
) -> None:
    def revoke() -> None:
        clock.wind(10)  # a younger one may only be unknown yet
        fake.identities.revoke_all()

    fake.spoil(during_page(1, revoke))
    row = workers.advance(backfill(api, page_size=10))
    assert (row.state, row.items, row.calls) == ("done", 30, row.pages)
    assert fake.identities.minted == [ACME] * 2


def test_a_repository_that_is_renamed_in_the_middle_is_read_under_its_new_name(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    def rename() -> None:
        fake.world.rename(fake.world.repositories[API], "acme/core")
        del fake.world.names["acme/api"]  # somebody may have taken the old one

    fake.spoil(during_page(1, rename))
    row = workers.advance(backfill(api, page_size=10))
    assert (row.state, row.items) == ("done", 30)
    api.refresh_from_db()
    assert api.full_name == "acme/core"
    assert [call.path for call in fake.calls("core", payer=ACME)] == [f"/repositories/{API}"]


def test_a_repository_that_is_deleted_in_the_middle_fails_its_backfill_and_keeps_its_history(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    fake.spoil(during_page(1, lambda: fake.world.delete(fake.world.repositories[API])))
    row = workers.advance(backfill(api, page_size=10))
    assert (row.state, row.reason, row.error) == ("failed", "gone", "Not Found")
    assert PullRequest.objects.count() == 10


@pytest.mark.parametrize(
    ("trouble", "left"),
    [
        (NoCredentialsError("no key"), ("no_credentials", 0)),
        (UndecryptableError("another key"), ("no_credentials", 0)),
        (SoftTimeLimitExceeded(), ("", 0)),
        (DatabaseTimeoutError("frozen"), ("", 0)),
        (DataError("out of range"), ("not_recorded", 1)),
        (UnusablePayloadError("shape_mismatch", "odd"), ("not_recorded", 1)),
    ],
)
def test_an_error_while_a_repository_is_looked_up_leaves_no_backfill_running(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers, trouble: Exception, left: tuple[str, int]
) -> None:
    fake.world.delete(fake.world.repositories[API])
    with mock.patch.object(run, "relocate_repository", side_effect=trouble):
        row = workers.advance(backfill(api))
    assert (row.state, row.reason, row.attempts) == ("waiting", *left)


def test_a_database_that_is_away_while_a_repository_is_looked_up_costs_no_attempt(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    fake.world.delete(fake.world.repositories[API])
    row = backfill(api)
    away = mock.patch.object(run, "relocate_repository", side_effect=OperationalError("away"))
    with away, pytest.raises(OperationalError, match="away"):
        workers.advance(row)
    row.refresh_from_db()
    assert (row.state, row.reason, row.attempts) == ("waiting", "database", 0)


def test_a_repository_that_is_transferred_goes_on_under_the_installation_that_reaches_it_now(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    fake.world.install(BETA)

    def transfer() -> None:
        fake.world.transfer(fake.world.repositories[API], "beta/api", installation_id=BETA)
        install(BETA, login="beta", account_id=600)
        RepositoryAccess.objects.update(has_access=False)
        reach("beta/api", installation_id=BETA, owner_id=600)

    fake.spoil(during_page(1, transfer))
    row = workers.advance(backfill(api, page_size=10, installation_id=ACME))
    assert (row.state, row.reason, row.items) == ("waiting", "", 10)
    row = workers.advance(row)
    assert (row.state, row.installation_id) == ("done", BETA)
    assert PullRequest.objects.count() == 30


def test_a_removed_installation_fails_its_backfills(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers, clock: Clock
) -> None:
    def remove() -> None:
        clock.wind(10)
        del fake.world.installations[ACME]

    fake.spoil(during_page(1, remove))
    row = workers.advance(backfill(api, page_size=10))
    assert (row.state, row.reason, row.items) == ("failed", "removed", 10)


def test_a_suspended_installation_is_waited_for(fake: FakeGitHub, api: Repository, workers: BackfillWorkers) -> None:
    fake.spoil(during_page(1, lambda: fake.world.suspend(ACME)))
    row = workers.advance(backfill(api, page_size=10))
    assert (row.state, row.reason, row.items) == ("waiting", "suspended", 10)
    assert 890 < waits_s(row) <= 900
    fake.world.installations[ACME].suspended_at = None
    assert advance_when_due(workers, row).state == "done"


def test_a_key_that_github_refuses_does_not_fail_the_backfill(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers, clock: Clock
) -> None:
    workers.access = access_to(fake, pem=strange_pem())
    row = workers.advance(backfill(api))
    assert (row.state, row.reason, row.attempts) == ("waiting", "app_refused", 0)
    assert 290 < waits_s(row) <= 300
    workers.access = access_to(fake)
    clock.wind(6)
    assert advance_when_due(workers, row).state == "done"


def test_without_a_key_a_backfill_waits_and_says_for_what(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    workers.access.client = replace(workers.access.client, credentials=app_credentials)
    row = workers.advance(backfill(api))
    assert (row.state, row.reason) == ("waiting", "no_credentials")
    assert "GITHUB_APP_ID" in row.error
