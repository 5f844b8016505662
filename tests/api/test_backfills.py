"""What is being read, over the API: how it is data, found, paused, resumed, cancelled and retried."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.activity.models import Repository
from apps.github.auth import github
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import GRAPHQL, RateLimit, ResponseKind, Result
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill
from tests.api.backfills import LIST, PULLS, fail, walk
from tests.api.conftest import API, SECRETS, Cast
from tests.fake_github.using import ACME, BETA, forget_everything
from tests.integrations.backfill.workers import BackfillWorkers

pytestmark = pytest.mark.django_db


def test_a_backfill_is_paused_resumed_and_cancelled(reached: Cast) -> None:
    row = walk()
    client = reached.client(reached.admin)

    def data(change: str) -> tuple[int, str]:
        answer = client.post(f"{LIST}{row.pk}/{change}/")
        return answer.status_code, answer.json().get("state") or answer.json()["code"]

    assert [data(change) for change in ("resume", "pause", "pause", "resume", "cancel", "cancel", "retry")] == [
        (409, "not_in_this_state"),
        (202, "paused"),
        (409, "not_in_this_state"),
        (202, "waiting"),
        (202, "cancelled"),
        (409, "not_in_this_state"),
        (409, "not_in_this_state"),
    ]


def test_a_retry_continues_failed_backfills_that_were_not_started_again(reached: Cast) -> None:
    row = walk(cursor="there", items=40)
    fail(row)
    client = reached.client(reached.admin)
    assert client.post(f"{LIST}{row.pk}/retry/").json()["state"] == "waiting"
    row.refresh_from_db()
    assert (row.cursor, row.items, row.error) == ("there", 40, "")
    fail(row)
    walk()
    refused = client.post(f"{LIST}{row.pk}/retry/")
    assert (refused.status_code, "started again since" in refused.json()["detail"]) == (409, True)


@pytest.mark.parametrize("change", ["pause", "resume", "cancel", "retry"])
def test_viewers_only_look_and_strangers_see_nothing(reached: Cast, change: str) -> None:
    row = walk()
    assert reached.client(reached.viewer).get(f"{LIST}{row.pk}/").status_code == 200
    for user, status in ((reached.viewer, 403), (reached.stranger, 404)):
        assert reached.client(user).post(f"{LIST}{row.pk}/{change}/").status_code == status
    row.refresh_from_db()
    assert row.state == "waiting"


def test_a_waiting_backfill_shows_its_progress_and_the_end_of_its_wait(reached: Cast) -> None:
    forget_everything()
    budget = github().client.budget
    lease = budget.take(
        installation_id=ACME, resource=GRAPHQL, purpose=Purpose(priority=Priority.LIVE, subject="a test")
    )
    limit = RateLimit(resource=GRAPHQL, limit=5000, remaining=4000, resets_in_s=600)
    budget.settle(lease, result=Result(kind=ResponseKind.OK), limit=limit)  # type: ignore[arg-type]
    row = walk(
        total=1000,
        items=250,
        calls=11,
        points=12,
        started_at=timezone.now() - timedelta(seconds=100),
        skipped=[{"what": "pull request 17", "why": "It is too large."}],
    )
    Backfill.objects.filter(pk=row.pk).put_off(after=timedelta(seconds=600), reason="spent")
    data = reached.client(reached.viewer).get(f"{LIST}{row.pk}/").json()
    assert (data["percent"], data["total"], data["items"], data["calls"], data["points"]) == (25, 1000, 250, 11, 12)
    assert data["eta_s"] == pytest.approx(600 + 300, abs=10)
    assert data["waits_until"] == data["not_before"]
    assert data["why"] == "GitHub's hourly rate limit is used up, except for a reserve for live work."
    assert data["skipped"] == [{"what": "pull request 17", "why": "It is too large."}]
    [left] = data["budget"]
    assert (left["resource"], left["limit"], left["remaining"]) == ("graphql", 5000, 4000)
    forget_everything()


@pytest.mark.proof
def test_a_started_backfill_is_read_by_a_worker_and_shown_as_done(connected: Cast) -> None:
    client = connected.client(connected.admin)
    [row] = client.post(LIST, PULLS).json()["backfills"]
    BackfillWorkers(access=github()).advance(Backfill.objects.get(pk=row["id"]))
    data = client.get(f"{LIST}{row['id']}/").json()
    assert (data["state"], data["percent"], data["items"], data["skipped"]) == ("done", 100, 30, [])
    assert data["calls"] >= 2
    assert {budget["resource"] for budget in data["budget"]} >= {"graphql"}
    assert client.get("/api/v1/pull-requests/?repository=acme/api").json()["count"] == 30


def test_a_failed_backfill_shows_githubs_message_and_advice(reached: Cast) -> None:
    row = walk(total=100, items=30)
    fail(row, "forbidden")
    data = reached.client(reached.viewer).get(f"{LIST}{row.pk}/").json()
    assert (data["state"], data["reason"], data["error"], data["percent"]) == ("failed", "forbidden", "502", 30)
    assert "Give the App the permission" in data["advice"]
    assert data["eta_s"] is None


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
def test_filters_find_only_rows_of_the_user(history: Cast, filters: str, found: set[str]) -> None:
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


@pytest.mark.proof
def test_starts_and_changes_are_throttled_and_looking_is_not(reached: Cast) -> None:
    client = reached.client(reached.admin)
    statuses = [client.post(LIST, PULLS).status_code for _ in range(31)]
    assert (statuses[29], statuses[30]) == (202, 429)
    assert client.post(f"{LIST}{Backfill.objects.get().pk}/pause/").status_code == 429
    assert client.get(LIST).status_code == 200
