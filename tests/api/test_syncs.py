"""Reconciliation over the API: everybody sees what concerns their teams, and nothing of others."""

from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import Repository
from apps.integrations.models import Drift, RepositorySync, SyncLog, TeamSync
from tests.api.conftest import API, SECRETS, Cast, make_sync

pytestmark = pytest.mark.django_db
LIST = "/api/v1/syncs/"


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
    [told] = cast.client(cast.viewer).get(LIST).json()["results"]
    assert (told["sync_id"], told["cause"], told["status"]) == ("nightly:2026-03-02", "nightly", "failed")
    assert [(part["team"], part["status"], part["error"]) for part in told["teams"]] == [("acme", "success", "")]
    assert told["repositories"] == {"waiting": 0, "running": 0, "paused": 0, "done": 1, "cancelled": 0, "failed": 0}
    assert "umbrella" not in str(told)


def test_operators_see_all_of_it(cast: Cast, night: SyncLog) -> None:
    told = cast.client(cast.operator).get(f"{LIST}{night.pk}/").json()
    assert [part["team"] for part in told["teams"]] == ["acme", "umbrella"]
    assert (told["repositories"]["done"], told["repositories"]["failed"]) == (1, 1)


def test_repositories_have_their_drift(cast: Cast, night: SyncLog) -> None:
    answer = cast.client(cast.viewer).get(f"{LIST}{night.pk}/repositories/")
    [row] = answer.json()["results"]
    assert (row["repository"]["full_name"], row["state"], row["differs"]) == ("acme/api", "done", ["issues"])
    assert [(drift["stream"], drift["missing"]) for drift in row["drift"]] == [("issues", 2)]
    theirs = cast.client(cast.stranger).get(f"{LIST}{night.pk}/repositories/?state=failed").json()["results"]
    assert [row["repository"]["full_name"] for row in theirs] == ["umbrella/secrets"]


def test_another_teams_own_run_is_not_there_even_where_both_track_a_repository(cast: Cast, night: SyncLog) -> None:
    own = make_sync("team:umbrella:2026-03-02T05", API, team=cast.teams["umbrella"])
    client = cast.client(cast.viewer)
    assert client.get(f"{LIST}{own.pk}/").status_code == 404
    assert client.get(f"{LIST}{own.pk}/repositories/").status_code == 404
    assert cast.client(cast.stranger).get(f"{LIST}{own.pk}/").status_code == 200
    assert cast.client(cast.stranger).get(f"{LIST}{own.pk}/repositories/").json()["results"] == []


def test_runs_are_narrowed_by_status_cause_and_team(cast: Cast, night: SyncLog) -> None:
    client = cast.client(cast.viewer)

    def count(query: str) -> int:
        return len(client.get(f"{LIST}?{query}").json()["results"])

    assert (count("status=failed"), count("status=running&status=waiting")) == (1, 0)
    assert (count("cause=nightly"), count("cause=manual")) == (1, 0)
    assert (count("team=acme"), count("team=umbrella")) == (1, 0)
    assert client.get(f"{LIST}?state=failed").status_code == 400


def test_a_page_of_runs_costs_the_same_however_many_there_are(
    cast: Cast, night: SyncLog, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        make_sync(f"manual:{number}", API)
    client = cast.client(cast.viewer)
    with django_assert_max_num_queries(8):
        assert len(client.get(LIST).json()["results"]) == 21


def test_how_often_a_team_is_compared_is_its_admins_to_choose(cast: Cast) -> None:
    address = "/api/v1/teams/acme/"
    told = cast.client(cast.viewer).get(address).json()
    assert (told["sync_frequency"], told["last_sync_status"], told["last_sync_error"], told["last_synced_at"]) == (
        "daily",
        "never",
        "",
        None,
    )
    assert cast.client(cast.viewer).patch(address, {"sync_frequency": "off"}).status_code == 403
    assert cast.client(cast.admin).patch(address, {"sync_frequency": "hourly"}).json()["sync_frequency"] == "hourly"
    assert cast.client(cast.admin).patch(address, {"sync_frequency": "yearly"}).status_code == 400
