"""Having history read over the API: who may, what a start answers, what it would take, alone and with others at it."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.integrations.models import Backfill
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.changes import _ONE_AT_A_TIME
from apps.teams.models import TeamRepository
from tests.api.backfills import LIST, PULLS, STREAMS, fail
from tests.api.conftest import API, SECRETS, Cast
from tests.dashboard.test_pages import signed_in
from tests.fake_github.using import ACME, BETA
from tests.integrations.backfill.crossing import breaking_off_a_start_of
from tests.integrations.backfill.installed import backfill, reach
from tests.metrics.steps import WEB, person

pytestmark = pytest.mark.django_db
CHANGE = "/operations/jobs/change-history/"


def test_an_admin_starts_the_backfill_of_a_repository(reached: Cast) -> None:
    client = reached.client(reached.admin)
    answer = client.post(LIST, {"repository": "Acme/API", "since": "2026-01-01T00:00:00Z"})
    assert answer.status_code == 202
    data = answer.json()
    assert (data["new"], data["count"], data["unreachable"]) == (STREAMS, STREAMS, [])
    assert {row["stream"] for row in data["backfills"]} == set(STREAM_NAMES)
    assert {(row["repository"]["full_name"], row["since"], row["state"]) for row in data["backfills"]} == {
        ("acme/api", "2026-01-01T00:00:00Z", "waiting")
    }
    assert set(Backfill.objects.values_list("installation", flat=True)) == {ACME}


def test_two_starts_are_one(reached: Cast) -> None:
    client = reached.client(reached.admin)
    first, again = (client.post(LIST, {"repository": API}).json() for _ in range(2))
    assert (first["new"], again["new"], again["count"]) == (STREAMS, 0, STREAMS)
    assert [row["id"] for row in first["backfills"]] == [row["id"] for row in again["backfills"]]


@pytest.mark.parametrize(
    ("who", "choice", "status"),
    [
        ("operator", {"repository": "umbrella/secrets"}, 202),
        ("operator", {"installation": BETA}, 202),
        ("operator", {"team": "umbrella"}, 202),
        ("operator", {"everything": True}, 202),
        ("admin", {"repository": "acme/api"}, 202),
        ("admin", {"installation": ACME}, 202),
        ("admin", {"team": "acme"}, 202),
        ("admin", {"everything": True}, 403),
        ("admin", {"repository": "umbrella/secrets"}, 404),
        ("admin", {"repository": SECRETS}, 404),
        ("admin", {"installation": BETA}, 404),
        ("admin", {"team": "umbrella"}, 404),
        ("viewer", {"repository": "acme/api"}, 403),
        ("viewer", {"repository": API}, 403),
        ("viewer", {"installation": ACME}, 403),
        ("viewer", {"team": "acme"}, 403),
        ("viewer", {"everything": True}, 403),
        ("stranger", {"repository": "acme/api"}, 404),
    ],
)
def test_operators_start_any_backfill_and_admins_those_of_their_teams(
    with_umbrella: Cast, who: str, choice: dict[str, Any], status: int
) -> None:
    answer = with_umbrella.client(getattr(with_umbrella, who)).post(LIST, choice)
    assert answer.status_code == status, answer.json()
    assert Backfill.objects.exists() == (status == 202)


def test_an_admin_starts_backfills_of_added_repositories(with_umbrella: Cast) -> None:
    TeamRepository.objects.create(team=with_umbrella.teams["acme"], repository_id=SECRETS)
    client = with_umbrella.client(with_umbrella.admin)
    assert client.post(LIST, {"repository": SECRETS}).status_code == 202
    assert client.post(LIST, {"installation": BETA}).status_code == 404


@pytest.mark.parametrize(
    ("foreign", "missing"),
    [
        ({"repository": "umbrella/secrets"}, {"repository": "umbrella/nothing"}),
        ({"repository": SECRETS}, {"repository": 999}),
        ({"installation": BETA}, {"installation": 999}),
        ({"team": "umbrella"}, {"team": "nobodys"}),
    ],
)
def test_rows_of_others_look_like_missing_ones(
    with_umbrella: Cast, foreign: dict[str, Any], missing: dict[str, Any]
) -> None:
    client = with_umbrella.client(with_umbrella.admin)
    data = [(client.post(LIST, one).json(), str(*one.values())) for one in (foreign, missing)]
    words = {answer["detail"].replace(name, "…") for answer, name in data}
    assert len(words) == 1
    assert {answer["code"] for answer, _ in data} == {"not_found"}


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({}, "non_field_errors", "exactly one of repository, installation, team, everything"),
        ({"everything": False}, "non_field_errors", "exactly one"),
        ({"repository": "acme/api", "team": "acme"}, "non_field_errors", "exactly one"),
        ({**PULLS, "streams": ["pulls"]}, "streams", '"pulls" is not a valid choice'),
        ({**PULLS, "streams": []}, "streams", "may not be empty"),
        ({**PULLS, "since": "yesterday"}, "since", "wrong format"),
        ({**PULLS, "since": "2999-01-01T00:00:00Z"}, "since", "from 1970 until now"),
        ({**PULLS, "since": "0001-01-01T00:00:00Z"}, "since", "from 1970 until now"),
        ({**PULLS, "since": "2026-02-01T00:00Z", "until": "2026-01-01T00:00Z"}, "until", "since must be earlier"),
        ({**PULLS, "until": "0001-01-01T00:00:00Z"}, "until", "from 1970 on"),
        ({"repository": "x" * 201}, "repository", "no more than 200"),
        ({"installation": 2**63}, "installation", "less than or equal"),
        ({**PULLS, "sinse": "2026-01-01T00:00Z"}, "sinse", "Fields: repository, installation, team, everything, since"),
        ([], "non_field_errors", "Expected a dictionary"),
        ({**PULLS, "dry_run": "perhaps"}, "dry_run", "boolean"),
    ],
)
def test_an_invalid_start_is_400_and_says_why(reached: Cast, asked: Any, field: str, words: str) -> None:
    answer = reached.client(reached.operator).post(LIST, asked)
    assert answer.status_code == 400
    assert words in str(answer.json()["fields"][field])
    assert not Backfill.objects.exists()


def test_nothing_starts_where_no_installation_reaches(reached: Cast) -> None:
    Installation.objects.update(suspended_at=timezone.now())
    client = reached.client(reached.operator)
    answers = [client.post(LIST, choice) for choice in (PULLS, {"installation": ACME}, {"everything": True})]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "nothing_to_start")] * 3
    assert "No installation of the App reaches acme/api" in answers[0].json()["detail"]
    assert "it is suspended; unsuspend it on GitHub" in answers[1].json()["detail"]


def test_nothing_starts_of_what_was_deleted_on_github(reached: Cast) -> None:
    Repository.objects.filter(pk=API).update(deleted_at=timezone.now())
    answer = reached.client(reached.admin).post(LIST, PULLS)
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "acme/api was deleted on GitHub: its history is gone.",
    )


def test_nothing_starts_without_credentials(reached: Cast, settings: Any) -> None:
    settings.GITHUB_APP_ID = 0
    answer = reached.client(reached.admin).post(LIST, PULLS)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_credentials")
    assert "GITHUB_APP_ID" in answer.json()["detail"]


def test_unreachable_repositories_are_listed_with_the_started_ones(reached: Cast) -> None:
    reach("acme/web", WEB, owner_id=person("acme"), has_access=False)
    data = reached.client(reached.admin).post(LIST, {"team": "acme", "streams": ["issues"]}).json()
    assert (data["count"], data["unreachable"]) == (1, ["acme/web"])


@pytest.mark.proof
def test_thousands_are_started_by_one_request(reached: Cast) -> None:
    repositories = [Repository(pk=number, full_name=f"acme/r{number}") for number in range(5000, 6200)]
    Repository.objects.bulk_create(repositories)
    RepositoryAccess.objects.bulk_create(
        RepositoryAccess(installation_id=ACME, repository=repository, has_access=True) for repository in repositories
    )
    data = reached.client(reached.operator).post(LIST, {"everything": True, "streams": ["issues"]}).json()
    assert (data["new"], data["count"], len(data["backfills"])) == (1201, 1201, 500)
    assert Backfill.objects.count() == 1201


def test_a_dry_run_starts_nothing_and_says_what_it_takes(connected: Cast) -> None:
    answer = connected.client(connected.admin).post(LIST, {**PULLS, "dry_run": True})
    assert answer.status_code == 200
    data = answer.json()
    assert data["streams"] == [
        {"stream": "pull_requests", "items": 30, "is_estimate": False, "calls": 3, "points": data["points"]}
    ]
    assert (data["repositories"], data["calls"], data["uncounted"], data["under_way"]) == (1, 3, [], 0)
    assert data["duration_s"] > 0
    [installation] = data["installations"]
    assert installation["installation_id"] == ACME
    assert "graphql" in {budget["resource"] for budget in installation["budget"]}
    assert not Backfill.objects.exists()


@pytest.mark.proof
def test_a_dry_run_of_too_much_is_for_the_command_line(reached: Cast) -> None:
    for number in range(1000, 1100):
        reach(f"acme/r{number}", number, owner_id=person("acme"))
    answer = reached.client(reached.operator).post(LIST, {"everything": True, "dry_run": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_much_to_count")
    assert "manage.py backfill --dry-run" in answer.json()["detail"]


@pytest.fixture
def elsewhere(reached: Cast) -> Iterator[Cast]:
    """Somebody else's start takes long; a request waits 100 ms for it (web processes: longer)."""
    other = connection.copy()
    with transaction.atomic(), connection.cursor() as cursor, other.cursor() as holding:
        holding.execute("SELECT pg_advisory_lock(%s)", [_ONE_AT_A_TIME])
        cursor.execute("SET LOCAL lock_timeout = '100ms'")
        yield reached
    other.close()


@pytest.mark.django_db(transaction=True)
def test_a_concurrent_start_does_not_block_others_for_long(elsewhere: Cast) -> None:
    client = elsewhere.client(elsewhere.admin)
    failed = backfill(Repository.objects.get(pk=API), stream="issues")
    fail(failed)
    answers = [client.post(LIST, PULLS), client.post(f"{LIST}{failed.pk}/retry/")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "busy")] * 2
    page = signed_in(elsewhere.admin).post(
        "/operations/jobs/change-history/", {"repository": API, "change": "retry"}, follow=True
    )
    assert "Others start jobs at the moment." in page.content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("change", "state"), [("pause", "waiting"), ("resume", "paused"), ("cancel", "waiting"), ("retry", "failed")]
)
def test_a_start_that_locks_the_row_does_not_block_others_for_long(reached: Cast, change: str, state: str) -> None:
    ended = timezone.now() if state == "failed" else None
    row = backfill(Repository.objects.get(pk=API), stream="issues", state=state, finished_at=ended)
    client, asked = reached.client(reached.admin), {"repository": API, "change": change}
    with closing(connection.copy()) as other, transaction.atomic(), connection.cursor() as cursor:
        other.set_autocommit(False)
        other.cursor().execute("SELECT id FROM jobs_job WHERE id = %s FOR UPDATE", [row.pk])
        cursor.execute("SET LOCAL lock_timeout = '100ms'")
        answer = client.post(f"{LIST}{row.pk}/{change}/")
        page = signed_in(reached.admin).post(CHANGE, asked, follow=True)
    assert (answer.status_code, answer.json()["code"]) == (409, "busy")
    assert "Others start jobs at the moment." in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_start_that_was_broken_off_for_a_deadlock_is_begun_once_more(reached: Cast) -> None:
    asked = {"repository": "acme/api", "streams": ["issues", "releases"]}
    with breaking_off_a_start_of("issues", "releases", repository_id=API):
        answer = reached.client(reached.admin).post(LIST, asked)
    assert (answer.status_code, answer.json()["new"]) == (202, 2)
