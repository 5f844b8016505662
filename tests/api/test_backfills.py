"""History over the API: who may have it read, what a start answers, and how what is being read is told."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.integrations.backfill.advancing import advance
from apps.integrations.backfill.starting import _ONE_AT_A_TIME, Scope, start
from apps.integrations.github.access import github
from apps.integrations.github.budget import Priority, Purpose
from apps.integrations.github.limits import GRAPHQL, RateLimit
from apps.integrations.github.verdicts import Kind, Verdict
from apps.integrations.models import Backfill
from apps.teams.models import TeamRepository
from tests.api.conftest import API, SECRETS, UMBRELLA, Cast
from tests.dashboard.test_pages import signed_in
from tests.fake_github.generated import Size
from tests.fake_github.identities import APP_ID
from tests.fake_github.keys import app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA, forget_everything
from tests.integrations.backfill.installed import install, reach
from tests.metrics.tales import WEB, person
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db
LIST = "/api/v1/backfills/"
STREAMS = len(Backfill.Stream.values)
PULLS = {"repository": "acme/api", "streams": ["pull_requests"]}


@pytest.fixture
def reached(cast: Cast, settings: Any) -> Cast:
    """The cast, with an App that reaches the repository of acme."""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    install(account_id=person("acme"))
    reach("acme/api", API, owner_id=person("acme"))
    return cast


@pytest.fixture
def with_umbrella(reached: Cast) -> Cast:
    """As that, with another that reaches umbrella's."""
    install(BETA, login="umbrella", account_id=UMBRELLA)
    reach("umbrella/secrets", SECRETS, installation_id=BETA, owner_id=UMBRELLA)
    return reached


@pytest.fixture
def connected(reached: Cast, settings: Any) -> Iterator[Cast]:
    """As that, with a GitHub that answers."""
    forget_everything()
    with FakeGitHub() as fake:
        fake.world.install(ACME)
        fake.world.add("api", installation_id=ACME, repository_id=API, size=Size(pull_requests=30, issues=12, runs=5))
        settings.GITHUB_API_URL = fake.url
        github.cache_clear()
        yield reached
    github.cache_clear()
    forget_everything()


def walk(**about: Any) -> Backfill:
    """The walk through the pull requests of acme, as it may be found."""
    [row] = start(Repository.objects.filter(pk=API), scope=Scope(streams=("pull_requests",))).backfills
    if about:
        Backfill.objects.filter(pk=row.pk).update(**about)
        row.refresh_from_db()
    return row


def fail(row: Backfill, reason: str = "unanswered") -> None:
    Backfill.objects.filter(pk=row.pk).end(Backfill.State.FAILED, reason=reason, error="502")


def test_an_admin_has_the_history_of_a_repository_read(reached: Cast) -> None:
    client = reached.client(reached.admin)
    answer = client.post(LIST, {"repository": "Acme/API", "since": "2026-01-01T00:00:00Z"})
    assert answer.status_code == 202
    told = answer.json()
    assert (told["new"], told["count"], told["unreachable"]) == (STREAMS, STREAMS, [])
    assert {row["stream"] for row in told["backfills"]} == set(Backfill.Stream.values)
    assert {(row["repository"]["full_name"], row["since"], row["state"]) for row in told["backfills"]} == {
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
def test_operators_start_anything_admins_what_is_their_teams(
    with_umbrella: Cast, who: str, choice: dict[str, Any], status: int
) -> None:
    answer = with_umbrella.client(getattr(with_umbrella, who)).post(LIST, choice)
    assert answer.status_code == status, answer.json()
    assert Backfill.objects.exists() == (status == 202)


def test_an_admin_has_what_was_added_to_the_team_read(with_umbrella: Cast) -> None:
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
def test_what_is_foreign_is_told_like_what_is_not_there(
    with_umbrella: Cast, foreign: dict[str, Any], missing: dict[str, Any]
) -> None:
    client = with_umbrella.client(with_umbrella.admin)
    told = [(client.post(LIST, one).json(), str(*one.values())) for one in (foreign, missing)]
    words = {answer["detail"].replace(name, "…") for answer, name in told}
    assert len(words) == 1
    assert {answer["code"] for answer, _ in told} == {"not_found"}


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
        (
            {**PULLS, "sinse": "2026-01-01T00:00Z"},
            "sinse",
            "there are repository, installation, team, everything, since",
        ),
        ([], "non_field_errors", "Expected a dictionary"),
        ({**PULLS, "dry_run": "perhaps"}, "dry_run", "boolean"),
    ],
)
def test_what_cannot_be_meant_is_400_and_says_why(reached: Cast, asked: Any, field: str, words: str) -> None:
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


def test_what_is_not_reached_is_told_beside_what_was_started(reached: Cast) -> None:
    reach("acme/web", WEB, owner_id=person("acme"), has_access=False)
    told = reached.client(reached.admin).post(LIST, {"team": "acme", "streams": ["issues"]}).json()
    assert (told["count"], told["unreachable"]) == (1, ["acme/web"])


def test_thousands_are_started_by_one_request(reached: Cast) -> None:
    repositories = [Repository(pk=number, full_name=f"acme/r{number}") for number in range(5000, 6200)]
    Repository.objects.bulk_create(repositories)
    RepositoryAccess.objects.bulk_create(
        RepositoryAccess(installation_id=ACME, repository=repository, has_access=True) for repository in repositories
    )
    told = reached.client(reached.operator).post(LIST, {"everything": True, "streams": ["issues"]}).json()
    assert (told["new"], told["count"], len(told["backfills"])) == (1201, 1201, 500)
    assert Backfill.objects.count() == 1201


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
def test_nobody_waits_long_for_somebody_elses_start(elsewhere: Cast) -> None:
    client = elsewhere.client(elsewhere.admin)
    failed = Backfill.objects.create(repository_id=API, stream="issues", page_size=25)
    fail(failed)
    answers = [client.post(LIST, PULLS), client.post(f"{LIST}{failed.pk}/retry/")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "busy")] * 2
    page = signed_in(elsewhere.admin).post("/backfills/change/", {"repository": API, "change": "retry"}, follow=True)
    assert "Others start backfills at the moment." in page.content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("change", "state"), [("pause", "waiting"), ("resume", "paused"), ("cancel", "waiting"), ("retry", "failed")]
)
def test_nobody_waits_long_for_a_start_that_holds_the_row(reached: Cast, change: str, state: str) -> None:
    ended = timezone.now() if state == "failed" else None
    row = Backfill.objects.create(repository_id=API, stream="issues", page_size=25, state=state, finished_at=ended)
    client, asked = reached.client(reached.admin), {"repository": API, "change": change}
    with closing(connection.copy()) as other, transaction.atomic(), connection.cursor() as cursor:
        other.set_autocommit(False)
        other.cursor().execute("SELECT id FROM integrations_backfill WHERE id = %s FOR UPDATE", [row.pk])
        cursor.execute("SET LOCAL lock_timeout = '100ms'")
        answer = client.post(f"{LIST}{row.pk}/{change}/")
        page = signed_in(reached.admin).post("/backfills/change/", asked, follow=True)
    assert (answer.status_code, answer.json()["code"]) == (409, "busy")
    assert "Others start backfills at the moment." in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_start_that_was_broken_off_for_a_deadlock_is_begun_once_more(reached: Cast) -> None:
    """It waits first, so it is the one that the database breaks off."""
    bounded = {"repository_id": API, "page_size": 25, "since": timezone.now()}
    late, early = (Backfill.objects.create(stream=stream, **bounded) for stream in ("releases", "issues"))
    holds, asked = threading.Event(), {"repository": "acme/api", "streams": ["issues", "releases"]}

    def change_both() -> None:
        with transaction.atomic():
            Backfill.objects.filter(pk=late.pk).update(rung_at=timezone.now())
            holds.set()
            eventually(_is_waited_for)
            Backfill.objects.filter(pk=early.pk).update(rung_at=timezone.now())
        connection.close()

    with ThreadPoolExecutor(1) as elsewhere:
        changing = elsewhere.submit(change_both)
        holds.wait(10)
        answer = reached.client(reached.admin).post(LIST, asked)
        changing.result()
    assert (answer.status_code, answer.json()["new"]) == (202, 2)


def _is_waited_for() -> bool:
    """Whether some connection waits for another's transaction to end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")
        return cursor.fetchone() is not None


def test_a_dry_run_starts_nothing_and_says_what_it_takes(connected: Cast) -> None:
    answer = connected.client(connected.admin).post(LIST, {**PULLS, "dry_run": True})
    assert answer.status_code == 200
    told = answer.json()
    assert told["streams"] == [
        {"stream": "pull_requests", "items": 30, "is_estimate": False, "calls": 3, "points": told["points"]}
    ]
    assert (told["repositories"], told["calls"], told["uncounted"], told["under_way"]) == (1, 3, [], 0)
    assert told["duration_s"] > 0
    [installation] = told["installations"]
    assert installation["installation_id"] == ACME
    assert "graphql" in {budget["resource"] for budget in installation["budget"]}
    assert not Backfill.objects.exists()


def test_a_dry_run_of_too_much_is_for_the_command_line(reached: Cast) -> None:
    for number in range(1000, 1100):
        reach(f"acme/r{number}", number, owner_id=person("acme"))
    answer = reached.client(reached.operator).post(LIST, {"everything": True, "dry_run": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_much_to_count")
    assert "manage.py backfill --dry-run" in answer.json()["detail"]


def test_a_backfill_is_paused_resumed_and_cancelled(reached: Cast) -> None:
    row = walk()
    client = reached.client(reached.admin)

    def told(change: str) -> tuple[int, str]:
        answer = client.post(f"{LIST}{row.pk}/{change}/")
        return answer.status_code, answer.json().get("state") or answer.json()["code"]

    assert [told(change) for change in ("resume", "pause", "pause", "resume", "cancel", "cancel", "retry")] == [
        (409, "not_in_this_state"),
        (202, "paused"),
        (409, "not_in_this_state"),
        (202, "waiting"),
        (202, "cancelled"),
        (409, "not_in_this_state"),
        (409, "not_in_this_state"),
    ]


def test_what_failed_goes_on_when_it_is_retried_unless_it_was_started_anew(reached: Cast) -> None:
    row = walk(cursor="there", items=40)
    fail(row)
    client = reached.client(reached.admin)
    assert client.post(f"{LIST}{row.pk}/retry/").json()["state"] == "waiting"
    row.refresh_from_db()
    assert (row.cursor, row.items, row.error) == ("there", 40, "")
    fail(row)
    walk()
    refused = client.post(f"{LIST}{row.pk}/retry/")
    assert (refused.status_code, "started anew" in refused.json()["detail"]) == (409, True)


@pytest.mark.parametrize("change", ["pause", "resume", "cancel", "retry"])
def test_viewers_only_look_and_strangers_see_nothing(reached: Cast, change: str) -> None:
    row = walk()
    assert reached.client(reached.viewer).get(f"{LIST}{row.pk}/").status_code == 200
    for user, status in ((reached.viewer, 403), (reached.stranger, 404)):
        assert reached.client(user).post(f"{LIST}{row.pk}/{change}/").status_code == status
    row.refresh_from_db()
    assert row.state == "waiting"


def test_a_waiting_backfill_tells_how_far_it_is_and_until_when_it_waits(reached: Cast) -> None:
    forget_everything()
    budget = github().client.budget
    lease = budget.take(
        installation_id=ACME, resource=GRAPHQL, purpose=Purpose(priority=Priority.LIVE, subject="a test")
    )
    limit = RateLimit(resource=GRAPHQL, limit=5000, remaining=4000, resets_in_s=600)
    budget.settle(lease, verdict=Verdict(kind=Kind.OK), limit=limit)  # type: ignore[arg-type]
    row = walk(
        total=1000,
        items=250,
        calls=11,
        points=12,
        started_at=timezone.now() - timedelta(seconds=100),
        skipped=[{"what": "pull request 17", "why": "It is too large."}],
    )
    Backfill.objects.filter(pk=row.pk).put_off(after=timedelta(seconds=600), reason="spent")
    told = reached.client(reached.viewer).get(f"{LIST}{row.pk}/").json()
    assert (told["percent"], told["total"], told["items"], told["calls"], told["points"]) == (25, 1000, 250, 11, 12)
    assert told["eta_s"] == pytest.approx(600 + 300, abs=10)
    assert told["waits_until"] == told["not_before"]
    assert told["why"] == "GitHub's hourly limit is spent, but for what is kept for live work."
    assert told["skipped"] == [{"what": "pull request 17", "why": "It is too large."}]
    [left] = told["budget"]
    assert (left["resource"], left["limit"], left["remaining"]) == ("graphql", 5000, 4000)
    forget_everything()


def test_what_was_started_is_read_by_a_worker_and_told_as_done(connected: Cast) -> None:
    client = connected.client(connected.admin)
    [row] = client.post(LIST, PULLS).json()["backfills"]
    advance(row["id"], task_id="a task", is_redelivered=False, access=github())
    told = client.get(f"{LIST}{row['id']}/").json()
    assert (told["state"], told["percent"], told["items"], told["skipped"]) == ("done", 100, 30, [])
    assert told["calls"] >= 2
    assert {budget["resource"] for budget in told["budget"]} >= {"graphql"}
    assert client.get("/api/v1/pull-requests/?repository=acme/api").json()["count"] == 30


def test_what_failed_tells_githubs_words_and_what_to_do(reached: Cast) -> None:
    row = walk(total=100, items=30)
    fail(row, "forbidden")
    told = reached.client(reached.viewer).get(f"{LIST}{row.pk}/").json()
    assert (told["state"], told["reason"], told["error"], told["percent"]) == ("failed", "forbidden", "502", 30)
    assert "Give the App the permission" in told["advice"]
    assert told["eta_s"] is None


@pytest.fixture
def history(with_umbrella: Cast) -> Cast:
    """Two streams of acme, one of them cancelled, and one of umbrella's."""
    start(Repository.objects.filter(pk=API), scope=Scope(streams=("pull_requests", "issues")))
    Backfill.objects.filter(stream="issues").cancel()
    start(Repository.objects.filter(pk=SECRETS), scope=Scope(streams=("releases",)))
    return with_umbrella


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("", {"pull_requests", "issues"}),
        ("stream=issues", {"issues"}),
        ("state=waiting", {"pull_requests"}),
        ("state=waiting&state=cancelled", {"pull_requests", "issues"}),
        ("repository=ACME/api", {"pull_requests", "issues"}),
        (f"repository={API}&stream=issues", {"issues"}),
        ("repository=umbrella/secrets", set()),
        (f"repository={SECRETS}", set()),
        (f"installation={ACME}", {"pull_requests", "issues"}),
        (f"installation={BETA}", set()),
    ],
)
def test_filters_find_what_is_the_users(history: Cast, filters: str, found: set[str]) -> None:
    rows = history.client(history.viewer).get(f"{LIST}?{filters}").json()["results"]
    assert {row["stream"] for row in rows} == found


@pytest.mark.parametrize("filters", ["state=lost", "stream=pulls", "installation=x", "repo=acme/api"])
def test_a_bad_filter_is_400(history: Cast, filters: str) -> None:
    answer = history.client(history.viewer).get(f"{LIST}?{filters}")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [filters.partition("=")[0]])


def test_pages_stay_put_while_backfills_start(history: Cast) -> None:
    client = history.client(history.viewer)
    first = client.get(f"{LIST}?limit=1").json()
    start(Repository.objects.filter(pk=API), scope=Scope(streams=("commits",)))
    second = client.get(first["next"]).json()
    assert [row["stream"] for page in (first, second) for row in page["results"]] == ["pull_requests", "issues"]


def test_a_list_costs_the_same_queries_however_long(history: Cast) -> None:
    client = history.client(history.viewer)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(LIST)
        return len(captured)

    before = queries()
    start(Repository.objects.filter(pk=API), scope=Scope())
    assert queries() == before


def test_starts_and_changes_are_throttled_and_looking_is_not(reached: Cast) -> None:
    client = reached.client(reached.admin)
    statuses = [client.post(LIST, PULLS).status_code for _ in range(31)]
    assert (statuses[29], statuses[30]) == (202, 429)
    assert client.post(f"{LIST}{Backfill.objects.get().pk}/pause/").status_code == 429
    assert client.get(LIST).status_code == 200
