"""Which pull requests are asked for, by whom, and that finding them reads no table from end to end."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.activity.models import Contributor, Installation, PullRequest, Repository, RepositoryAccess
from apps.integrations.models import RefreshFailure
from apps.integrations.refresh_queries import Wanted, due_installations, find_wanted
from apps.teams.models import Team
from tests.fake_github.using import ACME, API, BETA, WEB
from tests.integrations.backfill.installed import ACCOUNT, backfill, install, reach
from tests.integrations.refresh.live_repository import DAY, MINUTE
from tests.metrics.test_plans import explaining

pytestmark = pytest.mark.django_db
PULLS = 100_000


@pytest.fixture
def api() -> Repository:
    install()
    return reach()


def pull(repository: Repository, number: int = 1, *, ago: timedelta = MINUTE, **about: Any) -> PullRequest:
    """A pull request whose commits are not listed, unless `about` says so, and that last changed some time ago."""
    at = timezone.now() - ago
    usual = {"head_sha": f"head {number}", "created_at": at, "updated_at": at}
    return PullRequest.objects.create(repository=repository, number=number, **{**usual, **about})


def wanted(installation_id: int = ACME, *, most: int = 25) -> list[tuple[int, int]]:
    return [(one.repository_id, one.number) for one in find_wanted(installation_id, most=most)]


def test_what_is_wanted_is_named_as_github_has_to_be_asked(api: Repository) -> None:
    row = pull(api, 7)
    assert find_wanted(ACME, most=25) == [
        Wanted(id=row.pk, repository_id=API, full_name="acme/api", number=7, head_sha="head 7")
    ]
    assert due_installations() == [ACME]


def test_those_that_changed_last_come_first_whatever_their_repository(api: Repository) -> None:
    web = reach("acme/web", WEB)
    for repository, number, minutes in ((api, 1, 9), (web, 1, 3), (api, 2, 1), (web, 2, 7)):
        pull(repository, number, ago=minutes * MINUTE)
    assert wanted() == [(API, 2), (WEB, 1), (WEB, 2), (API, 1)]
    assert wanted(most=2) == [(API, 2), (WEB, 1)]


@pytest.mark.parametrize(
    "about",
    [
        {"listed_head_sha": "head 1"},
        {"ago": timedelta(seconds=1)},
        {"ago": 91 * DAY},
        {"head_sha": "", "created_at": None, "updated_at": None},
    ],
    ids=["it is listed", "it changes this moment", "it is older than history is read", "nobody described it yet"],
)
def test_a_pull_request_is_not_due_while(api: Repository, about: dict[str, Any]) -> None:
    pull(api, **about)
    assert (wanted(), due_installations()) == ([], [])


def test_a_list_of_an_earlier_head_is_none_of_this_one(api: Repository) -> None:
    pull(api, listed_head_sha="head 0", listed_commit_count=1)
    assert wanted() == [(API, 1)]


def change(model: Any, **to: Any) -> Any:
    return lambda: model.objects.update(**to)


@pytest.mark.parametrize(
    "happen",
    [
        change(Installation, suspended_at=timezone.now()),
        change(Installation, deleted_at=timezone.now()),
        change(Contributor, login=""),
        change(RepositoryAccess, has_access=False),
        change(Repository, deleted_at=timezone.now()),
        lambda: Team.objects.create(name="acme", slug="acme", account_id=ACCOUNT, is_approved=False),
    ],
    ids=["suspended", "removed", "without an account", "out of reach", "deleted", "not accepted"],
)
def test_nothing_is_asked_where_we_may_not_read(api: Repository, happen: Any) -> None:
    pull(api)
    assert due_installations() == [ACME]
    happen()
    assert (wanted(), due_installations()) == ([], [])


def test_of_two_installations_the_owners_is_asked(api: Repository) -> None:
    install(BETA, login="beta", account_id=501)
    RepositoryAccess.objects.create(installation_id=BETA, repository=api, has_access=True)
    pull(api)
    assert (wanted(ACME), wanted(BETA)) == ([(API, 1)], [])


@pytest.mark.parametrize(
    ("about", "is_left_to_it"),
    [
        ({}, True),
        ({"state": "paused"}, True),
        ({"since": 3 * DAY}, True),
        ({"since": DAY}, False),
        ({"until": DAY}, True),
        ({"until": 3 * DAY}, False),
        ({"state": "done"}, False),
        ({"stream": "commits"}, False),
    ],
)
def test_what_an_unfinished_backfill_will_read_is_left_to_it(
    api: Repository, about: dict[str, Any], is_left_to_it: bool
) -> None:
    bounds = {name: timezone.now() - about[name] for name in ("since", "until") if name in about}
    backfill(api, **{**about, **bounds})
    pull(api, ago=2 * DAY)
    assert wanted() == ([] if is_left_to_it else [(API, 1)])


def test_what_changed_since_the_backfill_was_started_is_not_left_to_it(api: Repository) -> None:
    reading = backfill(api)
    type(reading).objects.update(created_at=timezone.now() - 5 * MINUTE)
    pull(api, 1, ago=MINUTE)
    pull(api, 2, ago=10 * MINUTE)
    assert wanted() == [(API, 1)]


def test_what_could_not_be_shown_waits_but_not_with_another_head(api: Repository) -> None:
    for number, not_before in ((1, None), (2, MINUTE), (3, -MINUTE), (4, None)):
        pull(api, number)
        RefreshFailure.objects.create(
            repository=api,
            number=number,
            head_sha="head 4 before" if number == 4 else f"head {number}",
            attempts=1,
            not_before=not_before and timezone.now() + not_before,
        )
    assert sorted(wanted()) == [(API, 3), (API, 4)]


@pytest.fixture
def many(api: Repository) -> None:
    """Two thousand repositories in no order, and rows as wide as real ones are; the planner's own costs."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL random_page_cost = 4")
        cursor.execute(
            "INSERT INTO activity_repository (github_id, full_name)"
            " SELECT i, 'acme/' || i FROM generate_series(1000, 2999) AS i"
        )
        cursor.execute(
            "INSERT INTO activity_repositoryaccess (installation_id, repository_id, has_access, is_verified)"
            " SELECT %s, i, true, true FROM generate_series(1000, 2999) AS i",
            [ACME],
        )


@pytest.mark.proof
@pytest.mark.parametrize("missing", [1, 50, PULLS])
def test_finding_reads_by_its_own_index(many: None, missing: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO activity_pullrequest"
            " (repository_id, number, title, head_sha, listed_head_sha, created_at, updated_at)"
            " SELECT 1000 + mod(i * 7919, 2000), i, repeat('x', 600), 'head ' || i,"
            " CASE WHEN mod(i, %s) = 0 THEN '' ELSE 'head ' || i END, t, t"
            " FROM (SELECT i, now() - i * interval '1 min' AS t FROM generate_series(1, %s) AS i)",
            [PULLS // missing, PULLS],
        )
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        assert due_installations() == [ACME]
        assert len(find_wanted(ACME, most=25)) == min(25, missing)
    reading = [plan for plan in plans if "on activity_pullrequest" in plan]
    assert len(reading) == 2
    for plan in reading:
        assert "pull_request_unlisted" in plan, plan
        assert "Seq Scan on activity_pullrequest" not in plan, plan
