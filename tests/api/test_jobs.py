"""Jobs over the API: what each does and of what, what it waits for, who sees and who changes it."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from apps.jobs.models import Job
from tests.api.conftest import API, Cast
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
        assert "recurs and can only be paused" in answer.json()["detail"]
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
