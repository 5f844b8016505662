"""What an operator sees of reconciliation in the admin, and does about it."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.activity.models import Repository
from apps.integrations.models import Drift, SyncLog, TeamSync
from apps.teams.models import Team
from tests.api.conftest import API, Cast, make_sync
from tests.dashboard.test_pages import read, signed_in
from tests.fake_github.identities import APP_ID
from tests.fake_github.keys import app_pem

pytestmark = pytest.mark.django_db
LIST, TEAMS = "/admin/integrations/synclog/", "/admin/teams/team/"


@pytest.fixture
def operator(cast: Cast, settings: Any) -> Client:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    Repository.objects.get_or_create(
        github_id=API, defaults={"full_name": "acme/api", "owner": cast.teams["acme"].account}
    )
    return signed_in(cast.operator)


def reconcile(client: Client, *teams: Team) -> str:
    body = {"action": "reconcile_now", "_selected_action": [team.pk for team in teams]}
    return client.post(TEAMS, body, follow=True).content.decode()


def test_runs_are_listed_with_their_drift(operator: Client, cast: Cast) -> None:
    run = make_sync("nightly:2026-03-02", API)
    row = run.repositories.get()
    run.repositories.update(state="failed", error="Bad gateway", finished_at=timezone.now(), differs=["issues"])
    Drift.objects.create(repository_sync=row, stream="issues", missing=2, stale=1)
    TeamSync.objects.create(sync=run, team=cast.teams["acme"])
    assert "nightly:2026-03-02" in read(operator, LIST)
    assert "1 of 1" in read(operator, LIST)
    page = read(operator, f"{LIST}{run.pk}/change/")
    for words in ("acme/api", "Bad gateway", "issues: 2 missing, 1 stale"):
        assert words in page
    assert operator.get(f"{LIST}add/").status_code == 403


def test_teams_are_compared_now(operator: Client, cast: Cast) -> None:
    acme, umbrella = cast.teams["acme"], cast.teams["umbrella"]
    assert "2 of 2 teams are compared with GitHub now." in reconcile(operator, acme, umbrella)
    page = reconcile(operator, acme)
    assert "0 of 1 teams are compared with GitHub now." in page
    assert "The others are being compared already, or wait for approval." in page
    assert sorted(SyncLog.objects.values_list("team__slug", "cause")) == [("acme", "manual"), ("umbrella", "manual")]


def test_without_credentials_nothing_is_started(operator: Client, cast: Cast, settings: Any) -> None:
    settings.GITHUB_APP_ID = None
    assert "GitHub cannot be asked" in reconcile(operator, cast.teams["acme"])
    assert not SyncLog.objects.exists()


def test_how_often_is_chosen_on_the_teams_page(operator: Client, cast: Cast) -> None:
    page = read(operator, f"{TEAMS}{cast.teams['acme'].pk}/change/")
    assert 'name="sync_frequency"' in page
    assert 'name="last_sync_status"' not in page
