"""Jobs and runs on their page and in the admin: what waits, what failed and what to do, and who changes them."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.activity.models import Repository
from apps.dashboard.operations import jobs as page_of_jobs
from apps.integrations.models import Drift, SyncLog, TeamSync
from apps.jobs.models import Job
from apps.teams.models import Team
from tests.api.conftest import API, Cast, make_sync
from tests.dashboard.test_pages import read, signed_in
from tests.fake_github.identities import APP_ID, app_pem
from tests.plans import explaining

pytestmark = pytest.mark.django_db
PAGE, CHANGE, ADMIN = "/operations/jobs/", "/operations/jobs/change/", "/admin/jobs/job/"
WAITS = "GitHub&#x27;s hourly rate limit is used up, except for a reserve for live work."


def test_an_anonymous_user_is_asked_to_sign_in() -> None:
    answer = Client().get(PAGE)
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={PAGE}")


def test_the_navigation_leads_there(cast: Cast) -> None:
    assert '<a href="/operations/jobs/">Jobs</a>' in read(signed_in(cast.viewer), "/notes/")
    assert '<a href="/operations/jobs/">Jobs</a>' in read(signed_in(cast.operator), "/operations/deliveries/")


def test_each_job_says_what_it_waits_for_until_when_or_why_it_failed_and_what_to_do(
    cast: Cast, jobs: dict[str, int]
) -> None:
    page = read(signed_in(cast.operator), PAGE)
    until = Job.objects.get(pk=jobs["waiting"]).not_before
    assert "acme/api" in page
    assert WAITS in page
    assert f"{until:%H:%M} UTC" in page
    assert 'max="100" value="25" aria-label="Pull requests"' in page
    assert "3 points in 4 calls" in page
    assert "GitHub does not let the App read this. <q>Resource not accessible</q>" in page
    assert "<strong>Give the App the permission" in page
    assert f"List installation: installation {API + 1000} on acme" in page


def shown_in(answer: Any) -> set[int]:
    """Return the ids of the jobs on the page, of histories and others."""
    histories = (row.pk for history in answer.context["histories"] for row in history.rows)
    return {*histories, *(shown.row.pk for shown in answer.context["jobs"])}


@pytest.mark.parametrize(("term", "expected"), [("ACME", {"waiting"}), ("acme/web", set())])
def test_jobs_are_searched_by_the_name_of_their_repository(
    cast: Cast, jobs: dict[str, int], term: str, expected: set[str]
) -> None:
    answer = signed_in(cast.operator).get(f"{PAGE}?q={term}")
    assert shown_in(answer) >= {jobs[name] for name in expected}
    assert bool(shown_in(answer)) == bool(expected)


@pytest.mark.parametrize(
    ("show", "expected"),
    [
        ("all", {"waiting", "failed", "listing", "scan"}),
        ("failed", {"failed"}),
        ("waiting", {"waiting", "listing", "scan"}),
        ("running", set()),
        ("paused", set()),
    ],
)
def test_a_list_has_the_jobs_in_its_state(cast: Cast, jobs: dict[str, int], show: str, expected: set[str]) -> None:
    answer = signed_in(cast.operator).get(f"{PAGE}?show={show}")
    assert shown_in(answer) == {jobs[name] for name in expected}
    assert signed_in(cast.operator).get(f"{PAGE}?show=nonsense").status_code == 404


def test_an_operator_sees_that_no_worker_runs_jobs(cast: Cast, jobs: dict[str, int]) -> None:
    words = "Jobs are due, but no worker has taken any for minutes."
    assert words not in read(signed_in(cast.operator), PAGE)
    Job.objects.filter(pk=jobs["listing"]).update(not_before=timezone.now() - timedelta(minutes=10))
    page = read(signed_in(cast.operator), PAGE)
    assert words in page
    assert "Due: a worker runs it next." in page
    assert words not in read(signed_in(cast.viewer), PAGE)


def test_users_see_the_jobs_of_their_repositories(cast: Cast, jobs: dict[str, int]) -> None:
    mine, theirs = (read(signed_in(user), PAGE) for user in (cast.viewer, cast.stranger))
    assert "acme/api" in mine
    assert "umbrella" not in mine
    assert "List installation" not in mine
    assert "umbrella/secrets" in theirs
    assert "acme" not in theirs
    assert 'name="change"' not in mine
    assert 'aria-label="Cancel List' not in read(signed_in(cast.operator), PAGE)
    assert 'aria-label="Retry the backfills of umbrella/secrets"' in theirs


@pytest.mark.parametrize(
    ("asked", "status", "state"),
    [
        ("admin: pause waiting", 200, "paused"),
        ("admin: pause listing", 404, "waiting"),
        ("viewer: cancel waiting", 403, "waiting"),
        ("stranger: cancel waiting", 404, "waiting"),
        ("stranger: retry failed", 200, "waiting"),
        ("operator: pause scan", 200, "paused"),
        ("operator: retry waiting", 200, "waiting"),
        ("operator: delete waiting", 404, "waiting"),
    ],
)
def test_operators_and_admins_of_a_team_change_jobs(
    cast: Cast, jobs: dict[str, int], asked: str, status: int, state: str
) -> None:
    who, change, job = asked.replace(":", "").split()
    sent: dict[str, Any] = {"job": jobs[job], "change": change}
    answer = signed_in(getattr(cast, who)).post(CHANGE, sent, follow=True)
    assert answer.status_code == status
    assert Job.objects.get(pk=jobs[job]).state == state


def test_the_page_is_live_until_that_is_paused(cast: Cast, jobs: dict[str, int]) -> None:
    client = signed_in(cast.viewer)
    assert 'hx-trigger="every 3s"' in read(client, f"{PAGE}?show=waiting")
    assert "hx-trigger" not in read(client, f"{PAGE}?live=off")


def test_other_jobs_come_in_pages(cast: Cast, jobs: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_jobs, "JOBS_PER_PAGE", 1)
    client = signed_in(cast.operator)
    first = client.get(PAGE)
    second = client.get(f"{PAGE}?{first.context['others'].next}")
    assert {each.context["jobs"][0].row.pk for each in (first, second)} == {jobs["listing"], jobs["scan"]}
    assert second.context["others"].next == ""


@pytest.mark.parametrize("show", ["all", "failed", "running", "waiting", "paused"])
def test_no_list_reads_all_jobs(cast: Cast, many_jobs: None, show: str) -> None:
    client, plans = signed_in(cast.operator), list[str]()
    with connection.execute_wrapper(explaining(plans)):
        assert client.get(f"{PAGE}?show={show}").status_code == 200
    assert [plan for plan in plans if "Seq Scan on jobs_job" in plan] == []


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("", {"waiting", "failed", "listing", "scan"}),
        ("acme/", {"waiting"}),
        (f"{API}/pull_requests", {"waiting"}),
        (f"{API + 1000}", {"waiting", "listing"}),
    ],
)
def test_the_admin_finds_jobs_by_what_people_have_at_hand(
    cast: Cast, jobs: dict[str, int], term: str, expected: set[str]
) -> None:
    rows = signed_in(cast.operator).get(ADMIN, {"q": term}).context["cl"].result_list
    assert {row.pk for row in rows} == {jobs[name] for name in expected}


def test_the_admin_shows_the_state_in_words_and_the_columns_of_workers_apart(cast: Cast, jobs: dict[str, int]) -> None:
    client = signed_in(cast.operator)
    page = read(client, ADMIN)
    assert "Read stream: pull requests of acme/api" in page
    assert WAITS in page
    page = read(client, f"{ADMIN}{jobs['failed']}/change/")
    assert "Give the App the permission" in page
    shown, _, internals = page.partition("Internals")
    assert "Claim number" not in shown
    assert "Claim number" in internals


def test_the_admin_changes_what_is_selected(cast: Cast, jobs: dict[str, int]) -> None:
    client = signed_in(cast.operator)
    for change, words in (("pause", "3 of 4 jobs paused."), ("resume", "3 of 4 jobs resumed."), ("retry", "1 of 4 ")):
        sent = {"action": f"{change}_selected", "_selected_action": list(jobs.values())}
        page = client.post(ADMIN, sent, follow=True).content.decode()
        assert words in page
        assert "The others are in no state" in page
    assert set(Job.objects.values_list("state", flat=True)) == {"waiting"}


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
