"""Incidents that are known elsewhere, reported over the API."""

import itertools
from typing import Any

import pytest

from apps.activity.models import Provenance, ReportedIncident
from apps.metrics.models import DerivedFailure
from apps.metrics.recalculation import drain
from tests.api.conftest import Cast
from tests.api.test_reported_deployments import report as deployment

pytestmark = pytest.mark.django_db

INCIDENTS = "/api/v1/incidents/"
Body = dict[str, Any]
OPENED: Body = {"id": "I1", "repository": "acme/api", "opened_at": "2026-03-03T12:30:00Z"}
CLOSED: Body = {**OPENED, "closed_at": "2026-03-03T14:00:00Z"}
EXPLAINED: Body = {**CLOSED, "deployment": "d1", "title": "Down", "updated_at": "2026-03-04T09:00:00Z"}


def send(cast: Cast, body: Body, *, by: str = "admin") -> Any:
    return cast.client(getattr(cast, by)).post(INCIDENTS, body, format="json")


@pytest.mark.parametrize("sent", list(itertools.permutations([OPENED, CLOSED, EXPLAINED])), ids=str)
def test_the_latest_of_several_reports_counts_in_any_order(cast: Cast, sent: tuple[Body, ...]) -> None:
    deployed = cast.client(cast.admin).post(
        "/api/v1/deployments/", deployment("d1", "03-03 12:00", "c1"), format="json"
    )
    statuses = [send(cast, body).status_code for body in (*sent, sent[0])]
    assert (deployed.status_code, statuses) == (201, [201, 200, 200, 200])
    [shown] = cast.client(cast.viewer).get(INCIDENTS).json()["results"]
    assert {name: shown[name] for name in ("title", "closed_at", "deployment", "updated_at")} == {
        "title": "Down",
        "closed_at": "2026-03-03T14:00:00Z",
        "deployment": "d1",
        "updated_at": "2026-03-04T09:00:00Z",
    }
    assert drain(seconds=60)
    assert DerivedFailure.objects.get().failing == "report d1#1"
    assert Provenance.objects.get(entity="reported_incident").source == "report"


def test_another_content_of_the_same_instant_is_a_conflict(cast: Cast) -> None:
    assert send(cast, OPENED).status_code == 201
    answer = send(cast, {**OPENED, "title": "Down", "pull_request": 5})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "another title and pull_request" in answer.json()["detail"]
    assert ReportedIncident.objects.get().title == ""


def test_a_service_names_its_repository_if_only_one_deploys_it(cast: Cast) -> None:
    body = {"id": "I1", "service": "billing", "opened_at": OPENED["opened_at"]}
    assert "No repository" in send(cast, body).json()["fields"]["service"]
    sent = deployment("d1", "03-03 12:00", "c1", service="billing")
    assert cast.client(cast.admin).post("/api/v1/deployments/", sent, format="json").status_code == 201
    assert drain(seconds=60)
    assert send(cast, body).json()["repository"]["full_name"] == "acme/api"
    assert "No repository" in send(cast, body, by="stranger").json()["fields"]["service"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"opened_at": "2999-01-01T00:00:00Z"}, "opened_at"),
        ({"closed_at": "2026-03-03T12:00:00Z"}, "closed_at"),
        ({"updated_at": "2999-01-01T00:00:00Z"}, "updated_at"),
        ({"pull_request": 0}, "pull_request"),
        ({"pull_request": 2**31}, "pull_request"),
        ({"repository": ""}, "repository"),
        ({"severity": "high"}, "severity"),
        ({"id": "a" * 201}, "id"),
    ],
)
def test_what_cannot_be_meant_is_refused(cast: Cast, given: Body, field: str) -> None:
    answer = send(cast, OPENED | given)
    assert (answer.status_code, answer.json()["code"], list(answer.json()["fields"])) == (400, "invalid", [field])


def test_only_admins_of_a_team_and_operators_report(cast: Cast) -> None:
    statuses = {by: send(cast, OPENED, by=by).status_code for by in ("viewer", "stranger", "operator")}
    assert statuses == {"viewer": 403, "stranger": 404, "operator": 201}


def test_incidents_are_listed_by_repository_and_time(cast: Cast) -> None:
    send(cast, OPENED)
    client = cast.client(cast.viewer)
    counts = [
        len(client.get(f"{INCIDENTS}?{parameters}").json()["results"])
        for parameters in ("id=I1&opened_before=2026-03-04T00:00:00Z", "opened_after=2026-03-04T00:00:00Z")
    ]
    assert counts == [1, 0]
