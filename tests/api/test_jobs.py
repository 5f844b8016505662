"""Jobs and runs over the API: what is listed, what may be changed, and who may."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from apps.activity.models import Repository
from apps.integrations.models import Drift, RepositorySync, SyncLog, TeamSync
from apps.jobs.models import Job
from tests.api.conftest import API, SECRETS, Cast, make_sync
from tests.plans import explaining

pytestmark = pytest.mark.django_db
LIST = "/api/v1/jobs/"


def found(client: APIClient, query: str = "") -> list[int]:
    return [row["id"] for row in client.get(f"{LIST}{query}").json()["results"]]


def test_each_job_says_what_it_does_what_it_waits_for_and_what_to_do(cast: Cast, jobs: dict[str, int]) -> None:
    client = cast.client(cast.operator)
    scan, listing, failed, waiting = client.get(LIST).json()["results"]
    assert waiting["title"] == "Read stream: pull requests of acme/api"
    assert waiting["repository"] == {"id": API, "full_name": "acme/api"}
    assert (waiting["why"], waiting["advice"]) == (
        "GitHub's hourly rate limit is used up, except for a reserve for live work.",
        "",
    )
    assert timezone.now() < Job.objects.get(pk=waiting["id"]).not_before
    assert waiting["waits_until"] == waiting["not_before"]
    assert [waiting[name] for name in ("items", "total", "percent", "calls", "points")] == [5, 20, 25, 4, 3]
    assert (failed["why"], failed["error"]) == ("GitHub does not let the App read this.", "Resource not accessible")
    assert failed["advice"].startswith("Give the App the permission")
    assert listing["title"] == f"List installation: installation {API + 1000} on acme"
    assert (scan["title"], scan["repository"]) == ("Scan delivery log: 11", None)
    assert scan["why"] == "GitHub refuses the App: is its key right, and the clock?"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?state=failed", ["failed"]),
        ("?state=failed&state=waiting", ["scan", "listing", "failed", "waiting"]),
        ("?kind=read_stream", ["failed", "waiting"]),
        ("?reason=spent", ["waiting"]),
        ("?key=11", ["scan"]),
        (f"?key={API + 1000}", ["listing"]),
        (f"?installation={API + 1000}", ["listing", "waiting"]),
        ("?repository=umbrella/secrets", ["failed"]),
        (f"?repository={API}", ["waiting"]),
    ],
)
def test_a_list_has_only_what_was_asked_for(cast: Cast, jobs: dict[str, int], query: str, expected: list[str]) -> None:
    assert found(cast.client(cast.operator), query) == [jobs[name] for name in expected]


@pytest.mark.parametrize("query", ["?state=lost", "?installation=x", "?kinds=read_stream"])
def test_a_filter_that_does_not_exist_is_400(cast: Cast, query: str) -> None:
    assert cast.client(cast.viewer).get(f"{LIST}{query}").status_code == 400


@pytest.mark.parametrize(
    ("user", "expected"),
    [("operator", ["scan", "listing", "failed", "waiting"]), ("viewer", ["waiting"]), ("stranger", ["failed"])],
)
def test_users_see_the_jobs_of_their_repositories(
    cast: Cast, jobs: dict[str, int], user: str, expected: list[str]
) -> None:
    client = cast.client(getattr(cast, user))
    assert found(client) == [jobs[name] for name in expected]
    statuses = {name: client.get(f"{LIST}{pk}/").status_code for name, pk in jobs.items()}
    assert statuses == {name: 200 if name in expected else 404 for name in jobs}


def test_a_job_is_paused_resumed_cancelled_and_retried(cast: Cast, jobs: dict[str, int]) -> None:
    client = cast.client(cast.operator)

    def change(name: str, verb: str) -> tuple[int, str]:
        answer = client.post(f"{LIST}{jobs[name]}/{verb}/")
        return answer.status_code, answer.json().get("state") or answer.json()["code"]

    refused = (409, "not_in_this_state")
    assert [change("waiting", verb) for verb in ("resume", "pause", "pause", "resume", "cancel", "cancel")] == [
        refused,
        (202, "paused"),
        refused,
        (202, "waiting"),
        (202, "cancelled"),
        refused,
    ]
    assert [change(name, "retry") for name in ("failed", "failed", "waiting")] == [(202, "waiting"), refused, refused]


def test_a_job_that_recurs_is_paused_and_never_ended_for_good(cast: Cast, jobs: dict[str, int]) -> None:
    client = cast.client(cast.operator)
    for name in ("listing", "scan"):
        answer = client.post(f"{LIST}{jobs[name]}/cancel/")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_in_this_state")
        assert "recurring (it can only be paused)" in answer.json()["detail"]
        assert client.post(f"{LIST}{jobs[name]}/pause/").json()["state"] == "paused"


@pytest.mark.parametrize(("user", "status"), [("viewer", 403), ("stranger", 404), ("admin", 202)])
def test_a_teams_admin_changes_the_jobs_of_its_repositories(
    cast: Cast, jobs: dict[str, int], user: str, status: int
) -> None:
    client = cast.client(getattr(cast, user))
    assert client.post(f"{LIST}{jobs['waiting']}/pause/").status_code == status
    assert client.post(f"{LIST}{jobs['listing']}/pause/").status_code == 404


def test_a_list_costs_the_same_queries_however_long(cast: Cast, jobs: dict[str, int]) -> None:
    client = cast.client(cast.operator)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(LIST)
        return len(queries)

    first = cost()
    Job.objects.bulk_create(Job(kind="list_installation", key=str(key), priority=0) for key in range(20))
    assert cost() == first


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("", "jobs_job_pkey"),
        ("?state=failed", "job_of_state"),
        ("?state=waiting&state=running", "job_of_state|job_unfinished|job_at_work|one_job_is_unfinished"),
        ("?reason=crashed", "job_of_reason"),
        ("?kind=list_installation", "job_of_key"),
        ("?key=5001/1", "job_of_key"),
        ("?installation=5001", "job_of_installation"),
        ("?repository=5001", "jobs_job_pkey"),
    ],
)
def test_each_list_has_its_index(cast: Cast, many_jobs: None, query: str, index: str) -> None:
    client, plans = cast.client(cast.operator), list[str]()
    with connection.execute_wrapper(explaining(plans)):
        assert client.get(f"{LIST}{query}").status_code == 200
    [plan] = [plan for plan in plans if "jobs_job" in plan and "Limit" in plan]
    assert re.search(index, plan)
    assert "Seq Scan on jobs_job" not in plan


SYNCS = "/api/v1/syncs/"


@pytest.fixture
def night(cast: Cast) -> SyncLog:
    """A night in which both accounts take part: acme's repository is done and had drifted, umbrella's failed."""
    Repository.objects.get_or_create(
        github_id=API, defaults={"full_name": "acme/api", "owner": cast.teams["acme"].account}
    )
    run = make_sync("nightly:2026-03-02", API, SECRETS, scope="nightly")
    for slug, status in (("acme", "success"), ("umbrella", "failed")):
        error = "umbrella/secrets (no)" if status == "failed" else ""
        about: dict[str, Any] = {"status": status, "error": error, "finished_at": timezone.now()}
        TeamSync.objects.create(sync=run, team=cast.teams[slug], **about)
    run.repositories.filter(repository=SECRETS).update(state="failed", error="no", finished_at=timezone.now())
    row = RepositorySync.objects.get(sync=run, repository=API)
    RepositorySync.objects.filter(pk=row.pk).update(state="done", differs=["issues"], finished_at=timezone.now())
    Drift.objects.create(repository_sync=row, stream="issues", checked=10, missing=2, repaired=2)
    SyncLog.objects.filter(pk=run.pk).update(status="failed", error="1 of 2 …", finished_at=timezone.now())
    return run


def test_a_run_shows_how_ones_own_teams_fared(cast: Cast, night: SyncLog) -> None:
    [data] = cast.client(cast.viewer).get(SYNCS).json()["results"]
    assert (data["sync_id"], data["cause"], data["status"]) == ("nightly:2026-03-02", "nightly", "failed")
    assert [(part["team"], part["status"], part["error"]) for part in data["teams"]] == [("acme", "success", "")]
    assert data["repositories"] == {"waiting": 0, "running": 0, "paused": 0, "done": 1, "cancelled": 0, "failed": 0}
    assert "umbrella" not in str(data)


def test_operators_see_all_of_it(cast: Cast, night: SyncLog) -> None:
    data = cast.client(cast.operator).get(f"{SYNCS}{night.pk}/").json()
    assert [part["team"] for part in data["teams"]] == ["acme", "umbrella"]
    assert (data["repositories"]["done"], data["repositories"]["failed"]) == (1, 1)


def test_repositories_have_their_drift(cast: Cast, night: SyncLog) -> None:
    answer = cast.client(cast.viewer).get(f"{SYNCS}{night.pk}/repositories/")
    [row] = answer.json()["results"]
    assert (row["repository"]["full_name"], row["state"], row["differs"]) == ("acme/api", "done", ["issues"])
    assert [(drift["stream"], drift["missing"]) for drift in row["drift"]] == [("issues", 2)]
    theirs = cast.client(cast.stranger).get(f"{SYNCS}{night.pk}/repositories/?state=failed").json()["results"]
    assert [row["repository"]["full_name"] for row in theirs] == ["umbrella/secrets"]


def test_another_teams_own_run_is_not_there_even_where_both_track_a_repository(cast: Cast, night: SyncLog) -> None:
    own = make_sync("team:umbrella:2026-03-02T05", API, team=cast.teams["umbrella"])
    client = cast.client(cast.viewer)
    assert client.get(f"{SYNCS}{own.pk}/").status_code == 404
    assert client.get(f"{SYNCS}{own.pk}/repositories/").status_code == 404
    assert cast.client(cast.stranger).get(f"{SYNCS}{own.pk}/").status_code == 200
    assert cast.client(cast.stranger).get(f"{SYNCS}{own.pk}/repositories/").json()["results"] == []


def test_runs_are_narrowed_by_status_cause_and_team(cast: Cast, night: SyncLog) -> None:
    client = cast.client(cast.viewer)

    def count(query: str) -> int:
        return len(client.get(f"{SYNCS}?{query}").json()["results"])

    assert (count("status=failed"), count("status=running&status=waiting")) == (1, 0)
    assert (count("cause=nightly"), count("cause=manual")) == (1, 0)
    assert (count("team=acme"), count("team=umbrella")) == (1, 0)
    assert client.get(f"{SYNCS}?state=failed").status_code == 400


def test_a_page_of_runs_costs_the_same_however_many_there_are(
    cast: Cast, night: SyncLog, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        make_sync(f"manual:{number}", API)
    client = cast.client(cast.viewer)
    with django_assert_max_num_queries(8):
        assert len(client.get(SYNCS).json()["results"]) == 21


def test_admins_choose_how_often_a_team_is_compared(cast: Cast) -> None:
    address = "/api/v1/teams/acme/"
    data = cast.client(cast.viewer).get(address).json()
    assert (data["sync_frequency"], data["last_sync_status"], data["last_sync_error"], data["last_synced_at"]) == (
        "daily",
        "never",
        "",
        None,
    )
    assert cast.client(cast.viewer).patch(address, {"sync_frequency": "off"}).status_code == 403
    assert cast.client(cast.admin).patch(address, {"sync_frequency": "hourly"}).json()["sync_frequency"] == "hourly"
    assert cast.client(cast.admin).patch(address, {"sync_frequency": "yearly"}).status_code == 400
