"""Starting backfills: what is chosen, who reads it, and that two starts of one thing are one."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from apps.activity.models import Contributor, Installation, Repository, RepositoryAccess
from apps.integrations.backfill.start import NothingToStartError, Scope, chosen, start
from apps.integrations.models import Backfill
from apps.integrations.readable_installations import installation_reaching
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.changes import retry
from apps.teams.models import Team, TeamRepository
from tests.fake_github.using import ACME, API, BETA, WEB
from tests.integrations.backfill.installed import ACCOUNT, MONDAY, backfill, install, reach
from tests.integrations.backfill.workers import forget_messages, take_messages
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db
PULLS = Scope(streams=("pull_requests",))
everything = Repository.objects.all


def since(days: int) -> Scope:
    return Scope(since=MONDAY - timedelta(days=days), streams=("pull_requests",))


def in_threads(*calls: Callable[[], object]) -> None:
    """Run them side by side, each on a connection of its own."""
    gate = threading.Barrier(len(calls))
    errors: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            gate.wait()
            call()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_every_stream_of_a_repository_is_read_by_the_installation_that_reaches_it() -> None:
    install()
    reach()
    started = start(everything(), scope=Scope(since=MONDAY))
    assert started.new == len(STREAM_NAMES)
    assert {row.stream for row in started.backfills} == set(STREAM_NAMES)
    assert {(row.installation_id, row.since, row.until, row.state) for row in started.backfills} == {
        (ACME, MONDAY, None, "waiting")
    }
    assert started.unreachable == ()


def test_an_unfinished_backfill_continues() -> None:
    install()
    reach()
    first = start(everything(), scope=PULLS).backfills[0]
    Backfill.objects.update(cursor="there", items=40)
    again = start(everything(), scope=PULLS)
    assert (again.new, [row.pk for row in again.backfills]) == (0, [first.pk])
    assert (again.backfills[0].cursor, again.backfills[0].items) == ("there", 40)
    assert start(everything(), scope=since(30)).new == 0, "all of it holds the last 30 days too"


@pytest.mark.parametrize(
    ("before", "asked", "bounds"),
    [
        (since(30), since(90), (MONDAY - timedelta(days=90), None)),
        (since(30), PULLS, (None, None)),
        (Scope(until=MONDAY, streams=PULLS.streams), PULLS, (None, None)),
        (
            Scope(since=MONDAY - timedelta(9), until=MONDAY, streams=PULLS.streams),
            Scope(since=MONDAY - timedelta(4), until=MONDAY + timedelta(4), streams=PULLS.streams),
            (MONDAY - timedelta(9), MONDAY + timedelta(4)),
        ),
    ],
    ids=["earlier", "everything", "no end", "both ends"],
)
def test_a_wider_start_widens_the_backfill_and_lets_it_begin_again(
    before: Scope, asked: Scope, bounds: tuple[Any, Any]
) -> None:
    install()
    reach()
    first = start(everything(), scope=before).backfills[0]
    Backfill.objects.update(
        state="running", lease_until=MONDAY, leased_by="a task", claim_number=3, cursor="there", items=40, points=2
    )
    [widened] = start(everything(), scope=asked).backfills
    assert (widened.pk, widened.since, widened.until) == (first.pk, *bounds)
    assert (widened.state, widened.cursor, widened.items, widened.lease_until) == ("waiting", "", 0, None)
    assert widened.claim_number == 4, "the worker that reads it now loses its claim"
    assert widened.points == 2, "what was spent was spent"


def test_a_paused_backfill_that_is_widened_stays_paused() -> None:
    install()
    backfill(reach(), state="paused", since=MONDAY)
    [row] = start(everything(), scope=PULLS).backfills
    assert (row.state, row.since) == ("paused", None)


@pytest.mark.django_db(transaction=True)
def test_workers_are_notified_of_a_start_once_it_is_committed() -> None:
    install()
    reach()
    forget_messages()
    start(everything(), scope=Scope())
    assert take_messages() == 2, "as many as may be at work at once"
    start(everything(), scope=Scope())
    assert take_messages() == 0, "nothing is new"
    Backfill.objects.update(state="failed", finished_at=MONDAY)
    retry(Backfill.objects.all())
    assert take_messages() == 2


@pytest.mark.django_db(transaction=True)
def test_starts_at_the_same_time_are_one() -> None:
    install()
    for number in range(1, 13):
        reach(f"acme/r{number}", number)
    in_threads(*[lambda: start(everything(), scope=Scope())] * 3, lambda: start(everything(), scope=since(9)))
    assert Backfill.objects.count() == 12 * len(STREAM_NAMES)


def test_a_backfill_begins_with_the_page_size_that_the_one_before_learned() -> None:
    install()
    repository = reach()
    backfill(repository, state="done", page_size=12)
    backfill(repository, state="failed", page_size=6)
    backfill(repository, state="done", stream="issues", page_size=50)
    [row] = start(everything(), scope=PULLS).backfills
    assert row.page_size == 6


def test_archived_repositories_are_read_and_deleted_ones_are_not() -> None:
    install()
    reach("acme/old", 1, is_archived=True)
    reach("acme/gone", 2, deleted_at=MONDAY)
    started = start(everything(), scope=PULLS)
    assert [row.repository_id for row in started.backfills] == [1]
    assert started.unreachable == ()


def test_what_no_installation_reaches_is_said() -> None:
    install()
    lost = reach(has_access=False)
    started = start(everything(), scope=PULLS)
    assert (started.backfills, started.new, started.unreachable) == ((), 0, (lost,))


@pytest.mark.parametrize("about", [{"deleted_at": MONDAY}, {"suspended_at": MONDAY}, {"account_id": None}])
def test_an_installation_that_is_gone_suspended_or_nobodys_reads_nothing(about: dict[str, Any]) -> None:
    install()
    reach()
    Installation.objects.update(**about)
    assert installation_reaching([API]) == {}


def test_nothing_of_an_account_is_read_before_it_is_approved(settings: Any) -> None:
    settings.ALLOWED_ACCOUNTS = ["Acme"]
    install()
    reach()
    install(BETA, login="unapproved", account_id=501)
    reach("unapproved/web", WEB, installation_id=BETA, owner_id=501)
    assert installation_reaching([API, WEB]) == {API: ACME}
    team = Team.objects.create(name="unapproved", slug="unapproved", account_id=501, is_approved=False)
    assert installation_reaching([API, WEB]) == {API: ACME}
    Team.objects.filter(pk=team.pk).update(is_approved=True)
    assert installation_reaching([API, WEB]) == {API: ACME, WEB: BETA}


def test_an_account_whose_approval_is_taken_back_is_read_no_more() -> None:
    install()
    reach()
    Team.objects.create(name="acme", slug="acme", account_id=ACCOUNT, is_approved=False)
    assert installation_reaching([API]) == {}


def test_an_account_whose_login_is_unknown_waits() -> None:
    install()
    reach()
    Contributor.objects.update(login="")
    assert installation_reaching([API]) == {}


def test_the_owners_installation_reads_a_repository_that_several_claim_to_reach() -> None:
    install()
    install(BETA, login="beta", account_id=501)
    repository = reach(owner_id=501)
    RepositoryAccess.objects.create(installation_id=BETA, repository=repository, has_access=True, stamp="0")
    assert installation_reaching([API]) == {API: BETA}


def test_repositories_are_chosen_by_name_whatever_its_case() -> None:
    reach_all()
    assert names(full_names=["ACME/api", "acme/web "]) == ["acme/api", "acme/web"]


def test_repositories_are_chosen_by_installation_by_team_or_all() -> None:
    reach_all()
    assert names(installation_id=BETA) == ["beta/site"]
    team = Team.objects.create(name="mixed", slug="mixed")
    TeamRepository.objects.create(team=team, repository_id=WEB)
    assert names(team=team) == ["acme/web"]
    assert names(team=team, installation_id=BETA) == ["acme/web", "beta/site"]
    assert names(everything=True) == ["acme/api", "acme/web", "beta/site"]


def reach_all() -> None:
    install()
    install(BETA, login="beta", account_id=501)
    reach()
    reach("acme/web", WEB)
    reach("acme/gone", 13, deleted_at=MONDAY)
    reach("beta/site", 14, installation_id=BETA, owner_id=501)
    reach("beta/lost", 15, installation_id=BETA, owner_id=501, has_access=False)


def names(**choice: Any) -> list[str]:
    return list(chosen(**choice).values_list("full_name", flat=True))


def test_what_cannot_be_chosen_says_what_to_do(settings: Any) -> None:
    settings.ALLOWED_ACCOUNTS = ["acme"]
    reach_all()
    team = Team.objects.create(name="empty", slug="empty")
    Installation.objects.create(github_id=9, account_id=ACCOUNT, suspended_at=MONDAY)
    for choice, words in (
        (
            {"full_names": ["acme/api", "acme/typo"]},
            "Nothing is known of acme/typo; there are acme/api, acme/web. .* give the App access",
        ),
        ({"full_names": ["acme/gone"]}, "Nothing is known of acme/gone"),
        ({"installation_id": 77}, "no installation 77; there are 7"),
        ({"installation_id": 9}, "is suspended; unsuspend it on GitHub"),
        ({"installation_id": BETA}, "ALLOWED_ACCOUNTS, or approve its team"),
        ({"team": team}, "Team empty tracks no repository"),
    ):
        with pytest.raises(NothingToStartError, match=words):
            chosen(**choice)
    settings.ALLOWED_ACCOUNTS = ["nobody"]
    with pytest.raises(NothingToStartError, match="install the App on an account"):
        chosen(everything=True)


def test_a_scope_that_holds_nothing_is_refused() -> None:
    with pytest.raises(NothingToStartError, match="no stream pulls; there are pull_requests, issues"):
        Scope(streams=("pulls",))
    with pytest.raises(NothingToStartError, match="No stream is named"):
        Scope(streams=())
    with pytest.raises(NothingToStartError, match="since must be earlier"):
        Scope(since=MONDAY, until=MONDAY)


def test_what_failed_goes_on_where_it_stopped() -> None:
    row = backfill(reach_one(), state="failed", reason="forbidden", error="no", cursor="there", attempts=9)
    assert retry(Backfill.objects.all()) == 1
    row.refresh_from_db()
    assert (row.state, row.cursor, row.attempts, row.reason, row.error) == ("waiting", "there", 0, "", "")
    assert row.finished_at is None
    assert row.state == Backfill.State.WAITING


def reach_one() -> Repository:
    install()
    return reach()


@pytest.mark.parametrize("later", ["waiting", "paused", "done"])
def test_what_was_started_anew_since_is_not_retried(later: str) -> None:
    repository = reach_one()
    backfill(repository, state="failed")
    backfill(repository, state=later)
    assert retry(Backfill.objects.all()) == 0


def test_of_two_failures_the_later_one_goes_on() -> None:
    repository = reach_one()
    backfill(repository, state="failed")
    later = backfill(repository, state="failed")
    assert retry(Backfill.objects.all()) == 1
    assert [row.pk for row in Backfill.objects.unfinished()] == [later.pk]


@pytest.mark.django_db(transaction=True)
def test_a_retry_that_meets_a_start_waits_for_it() -> None:
    backfill(reach_one(), state="failed")
    is_started, retried = threading.Event(), list[int]()

    def start_slowly() -> None:
        with transaction.atomic():
            start(everything(), scope=PULLS)
            is_started.set()
            eventually(lambda: _waiting_for_a_lock() or retried)

    def retry_meanwhile() -> None:
        is_started.wait()
        retried.append(retry(Backfill.objects.all()))

    in_threads(start_slowly, retry_meanwhile)
    assert retried == [0]
    assert Backfill.objects.unfinished().count() == 1


def _waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None


@pytest.mark.django_db(transaction=True)
def test_a_retry_and_a_start_at_the_same_time_are_one() -> None:
    backfill(reach_one(), state="failed")
    in_threads(
        lambda: retry(Backfill.objects.all()),
        lambda: start(everything(), scope=PULLS),
        lambda: retry(Backfill.objects.all()),
    )
    assert Backfill.objects.unfinished().count() == 1
