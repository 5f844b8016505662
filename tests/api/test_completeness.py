"""How far tables are complete and how far they were off, over the API, for those whose they are."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.activity.coverage import cover
from apps.activity.models import Coverage, Installation, Repository, RepositoryAccess
from apps.integrations.streams import STREAM_NAMES
from apps.metrics.figures import FIGURES
from tests.api.conftest import API, SECRETS, Cast, make_delivery, make_drift
from tests.github.translation import at
from tests.shared_rows import shared_rows

pytestmark = pytest.mark.django_db
WEEK = "from=2026-03-02&to=2026-03-09"
FIGURES_PATH = "/api/v1/teams/acme/figures/"
UNTIL = "2026-03-08T12:00:00Z"
GAP = {"from_at": "2026-03-04T00:00:00Z", "to_at": "2026-03-05T00:00:00Z", "reason": "unread"}


@pytest.fixture
@shared_rows
def covered(week: Cast) -> Cast:
    """Everything of acme is here up to the 8th, but for the deployments of one day."""
    Repository.objects.exclude(pk__in=(API, SECRETS)).update(deleted_at=timezone.now())
    app = Installation.objects.create(github_id=7, account=week.teams["acme"].account)
    RepositoryAccess.objects.create(installation=app, repository_id=API, has_access=True)
    for stream in STREAM_NAMES:
        days = [("03-01", "03-04"), ("03-05", "03-08")] if stream == "deployments" else [("03-01", "03-08")]
        for from_day, to_day in days:
            time = "12:00" if to_day == "03-08" else "00:00"
            cover(stream, repository_id=API, from_at=at(from_day, "00:00"), to_at=at(to_day, time))
    return week


def asked(cast: Cast, address: str) -> Any:
    answer = cast.client(cast.viewer).get(address)
    assert answer.status_code == 200, answer.content
    return answer.json()


def without_words(gap: dict[str, Any]) -> dict[str, Any]:
    return {name: gap[name] for name in GAP}


def test_figures_have_their_completeness_and_gaps(covered: Cast) -> None:
    data = asked(covered, f"{FIGURES_PATH}?{WEEK}")
    assert data["complete_until"] == UNTIL
    assert data["completeness"].startswith("Complete only until 8 Mar 2026, 12:00 UTC")
    [gap] = data["gaps"]
    assert without_words(gap) == GAP
    assert (gap["streams"], gap["repository_count"]) == (["deployments"], 1)
    assert gap["repositories"] == [{"github_id": API, "full_name": "acme/api"}]
    assert gap["explanation"].startswith("Data may be missing from 4 Mar 2026, 00:00 UTC to 5 Mar 2026, 00:00 UTC")
    by_key = {figure["figure"]: figure for figure in data["figures"]}
    of_deployments = {key for key, figure in FIGURES.items() if "deployments" in figure.streams}
    assert {key for key, figure in by_key.items() if figure["gaps"]} == of_deployments > {"deployments", "lead_time"}
    assert {figure["complete_until"] for figure in by_key.values()} == {UNTIL}
    assert by_key["reviews"]["streams"] == ["pull_requests"]


def test_a_figure_has_only_the_gaps_of_its_streams(covered: Cast) -> None:
    assert asked(covered, f"{FIGURES_PATH}reviews/?{WEEK}")["gaps"] == []
    data = asked(covered, f"{FIGURES_PATH}deployments/?{WEEK}")
    assert [without_words(gap) for gap in data["gaps"]] == [GAP]
    assert data["gaps"] == data["figure"]["gaps"]


def test_a_window_without_the_gap_has_none(covered: Cast) -> None:
    assert asked(covered, f"{FIGURES_PATH}?from=2026-03-05&to=2026-03-09")["gaps"] == []
    data = asked(covered, f"{FIGURES_PATH}?from=2026-02-27&to=2026-03-03")
    assert [(gap["reason"], gap["to_at"]) for gap in data["gaps"]] == [("history", "2026-03-01T00:00:00Z")]


@pytest.mark.parametrize("address", [f"/api/v1/repositories/{API}/", "/api/v1/teams/acme/"])
def test_repositories_and_teams_have_the_completeness_of_every_stream(covered: Cast, address: str) -> None:
    data = asked(covered, address)
    assert (data["complete_until"], [without_words(gap) for gap in data["gaps"]]) == (UNTIL, [GAP])
    make_delivery(1, state="quarantined", finished_at=timezone.now(), received_at=at("03-02", "00:00"))
    data = asked(covered, address)
    assert data["complete_until"] == "2026-03-02T00:00:00Z"
    assert data["completeness"].endswith("a delivery of acme/api could not be processed. An operator can replay it.")
    Coverage.objects.filter(stream="releases").delete()
    data = asked(covered, address)
    assert (data["complete_until"], data["gaps"]) == (None, [])
    assert data["completeness"].startswith("Live from webhooks only. Connect the App")


def test_a_repository_that_was_deleted_says_so(covered: Cast) -> None:
    Repository.objects.update(deleted_at=timezone.now())
    data = asked(covered, f"/api/v1/repositories/{API}/")
    assert (data["complete_until"], data["completeness"]) == (None, "The repository was deleted.")


def test_a_list_of_repositories_costs_the_same_queries_however_long(covered: Cast) -> None:
    counts = []
    for number in range(3):  # once there is one that is not provable, it is asked why, once
        with CaptureQueriesContext(connection) as queries:
            found = asked(covered, "/api/v1/repositories/")["results"]
        assert {row["complete_until"] for row in found if row["github_id"] == API} == {UNTIL}
        counts.append(len(queries))
        Repository.objects.create(github_id=900 + number, full_name=f"acme/{number}", owner_id=9)
    assert counts[1] == counts[2] <= counts[0] + 1


def test_a_lock_of_one_account_does_not_affect_another(covered: Cast) -> None:
    stranger = covered.client(covered.stranger)
    before = stranger.get("/api/v1/teams/umbrella/").json()
    Repository.objects.filter(pk=API).update(full_name="acme/hidden")
    make_delivery(1, state="dead", finished_at=timezone.now(), received_at=timezone.now() - timedelta(days=9))
    assert stranger.get("/api/v1/teams/umbrella/").json() == before
    assert "acme" not in str(before)
    assert stranger.get("/api/v1/repositories/?limit=500").json()["count"] == 1


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
