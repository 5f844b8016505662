"""How far our tables were off, over the API."""

import pytest

from apps.activity.models import Repository
from tests.api.conftest import API, SECRETS, Cast, make_drift

pytestmark = pytest.mark.django_db
LIST = "/api/v1/drift/"


def test_a_repository_has_the_drift_of_its_last_run_by_stream(week: Cast) -> None:
    client = week.client(week.viewer)
    assert client.get(f"/api/v1/repositories/{API}/").json()["drift"] == []
    make_drift(missing=9)
    issues, pull_requests = make_drift(stream="issues"), make_drift()
    found = client.get(f"/api/v1/repositories/{API}/").json()["drift"]
    assert [row["id"] for row in found] == [issues.pk, pull_requests.pk]
    assert {
        name: found[1][name] for name in ("checked", "missing", "stale", "repaired", "deleted", "recovery_sources")
    } == {
        "checked": 40,
        "missing": 1,
        "stale": 0,
        "repaired": 1,
        "deleted": 0,
        "recovery_sources": {"reconciliation": 1},
    }
    assert found[1]["run"] == pull_requests.repository_sync.sync.sync_id


def test_drift_is_listed_newest_first_and_narrowed(week: Cast) -> None:
    older, newer, issues = make_drift(), make_drift(), make_drift(stream="issues")
    make_drift(SECRETS)
    client = week.client(week.viewer)

    def ids(query: str = "") -> list[int]:
        return [row["id"] for row in client.get(f"{LIST}?{query}").json()["results"]]

    assert ids() == [issues.pk, newer.pk, older.pk]
    assert ids("latest=true") == [issues.pk, newer.pk]
    assert ids("stream=issues") == [issues.pk]
    assert ids("repository=acme/api&team=acme") == ids(f"repository={API}") == ids()
    assert ids(f"repository={SECRETS}") == ids("team=umbrella") == []
    assert week.client(week.operator).get(f"{LIST}?team=umbrella").json()["results"][0]["repository"] == {
        "github_id": SECRETS,
        "full_name": Repository.objects.get(pk=SECRETS).full_name,
    }


def test_a_run_shows_its_drift(week: Cast) -> None:
    drift = make_drift()
    make_drift(stream="issues")
    found = week.client(week.viewer).get(f"{LIST}{drift.pk}/").json()
    assert found["entities"] == [{"entity": "pull_request", "key": f"{API}:1", "finding": "missing"}]
    assert found["repository"]["full_name"] == "acme/api"
