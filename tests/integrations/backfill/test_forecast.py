"""What a start would take, and how far reading has come and when it will be done."""

import time
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from graphql import parse, validate

from apps.activity.models import Repository
from apps.github.auth import GitHubAccess
from apps.integrations.backfill import github_item_counts, requests
from apps.integrations.backfill.github_item_counts import (
    MOST_AT_ONCE,
    TOO_LATE,
    Counting,
    Effort,
    Uncounted,
    totals_query,
)
from apps.integrations.backfill.start import Scope
from apps.integrations.backfill.start_forecast import Cost, Window, cost_of, duration_of
from apps.integrations.backfill.status import Progress, progress_of
from apps.integrations.models import Backfill
from tests.fake_github import faults
from tests.fake_github.faults import Change, Fault
from tests.fake_github.generated import Size
from tests.fake_github.graphql_api import schema
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.points import points_of
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, WEB
from tests.integrations.backfill.installed import MONDAY, backfill, install, reach

pytestmark = pytest.mark.django_db
GRAPHQL = ("pull_requests", "issues", "releases", "deployments", "commits")


def counting(
    worker: GitHubAccess, *, since: Any = None, streams: tuple[str, ...] = GRAPHQL, effort: Effort | None = None
) -> Counting:
    scope = Scope(since=since, streams=streams)
    made = Counting(access=worker, installation_id=ACME, scope=scope, effort=effort or Effort())
    made.count(list(Repository.objects.order_by("pk")))
    return made


def test_thousands_of_pull_requests_take_a_call_and_a_point_for_25() -> None:
    cost = cost_of("pull_requests", items=1000, page_size=25)
    assert (cost.calls, cost.points) == (45, 45), "40 pages, and lists longer than a page of them"
    assert 40 * 2.5 < cost.seconds < 45 * 3.4


@pytest.mark.parametrize(
    ("stream", "items", "page_size", "calls", "points"),
    [
        ("issues", 250, 100, 3, 6),
        ("releases", 0, 100, 1, 1),
        ("deployments", 101, 100, 2, 2),
        ("workflow_runs", 950, 100, 10, 10),
        ("pull_requests", 100, 50, 3, 7),
    ],
)
def test_a_page_costs_what_githubs_formula_says(
    stream: str, items: int, page_size: int, calls: int, points: int
) -> None:
    cost = cost_of(stream, items=items, page_size=page_size)
    assert (cost.calls, cost.points) == (calls, points)


def test_what_fits_into_the_limit_takes_as_long_as_the_work() -> None:
    window = Window(left=100, resets_in_s=60, hourly=4000)
    cost = Cost(calls=100, points=100, seconds=300)
    assert duration_of(cost, resource="graphql", window=window).seconds == 300
    assert duration_of(cost, resource="core", window=window).seconds == 100, "three requests at once"
    assert not duration_of(cost, resource="graphql", window=None).is_waiting


def test_the_wait_for_a_reset_is_part_of_the_time() -> None:
    cost = Cost(calls=100, points=100, seconds=100)
    spent = duration_of(cost, resource="graphql", window=Window(left=40, resets_in_s=1000, hourly=4000))
    assert (round(spent.seconds), spent.is_waiting) == (1060, True)
    renewed = duration_of(cost, resource="graphql", window=Window(left=40, resets_in_s=10, hourly=4000))
    assert round(renewed.seconds) == 100, "the limit is renewed before it is spent"


def test_what_takes_more_than_a_window_waits_for_several() -> None:
    cost = Cost(calls=9000, points=9000, seconds=9000)
    found = duration_of(cost, resource="graphql", window=Window(left=1000, resets_in_s=3600, hourly=3000))
    assert (round(found.seconds), found.is_waiting) == (3600 * 3 + 2000, True)


def test_twenty_repositories_are_counted_for_a_point() -> None:
    text, variables = totals_query([f"acme/r{place}" for place in range(MOST_AT_ONCE)], since=timezone.now())
    assert validate(schema(), parse(text)) == []
    assert points_of(parse(text), schema=schema(), variables=variables).cost == 1


def test_what_graphql_counts(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    reach()
    found = counting(worker)
    assert found.items == {API: {"pull_requests": 30, "issues": 12, "releases": 3, "deployments": 4, "commits": 1}}
    assert (found.uncounted, found.estimated) == ([], set())
    assert [call.cost for call in fake.calls("graphql")] == [1]


def test_only_what_was_updated_since_counts(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    reach()
    updated = fake.world.repositories[API].pull_requests.ordered("updated_at")
    since = datetime.fromisoformat(updated[20][0])
    found = counting(worker, since=since)
    assert found.items[API]["pull_requests"] == 10
    assert found.items[API]["releases"] <= 3
    assert found.estimated == {"releases", "deployments"}


def test_a_repository_that_is_not_there_is_said_and_the_others_are_counted(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    install()
    reach()
    reach("acme/gone", WEB)
    found = counting(worker)
    assert list(found.items) == [API]
    assert found.uncounted == [
        Uncounted(what="acme/gone", why="Could not resolve to a Repository with the name 'acme/gone'.")
    ]


def test_another_repository_of_the_same_name_is_not_counted(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    reach("acme/api", 99)
    found = counting(worker)
    assert (found.items, found.uncounted[0].what) == ({}, "acme/api")


def test_too_much_at_once_is_asked_for_in_halves(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    for number in range(1, 6):
        fake.world.add(f"r{number}", installation_id=ACME, repository_id=number, size=Size(pull_requests=number))
        reach(f"acme/r{number}", number)
    fake.spoil(
        Fault(
            faults.too_heavy(), lambda asked: asked.is_graphql and "owner2" in asked.document["variables"], times=None
        )
    )
    found = counting(worker, streams=("pull_requests",))
    assert [found.items[number]["pull_requests"] for number in range(1, 6)] == [1, 2, 3, 4, 5]


def comments(count: int, *, of: FakeGitHub) -> Change:
    """One comment a page, of so many."""
    pages = {"next": 2, "last": count}
    links = ", ".join(f'<{of.url}/x?per_page=1&page={page}>; rel="{name}"' for name, page in pages.items())
    return faults.status(200, [{"id": 1}], link=links if count > 1 else "")


@pytest.mark.parametrize("count", [1, 57])
def test_comments_are_counted_by_their_last_page(fake: FakeGitHub, worker: GitHubAccess, count: int) -> None:
    install()
    reach()
    fake.spoil(Fault(comments(count, of=fake), faults.below(f"/repositories/{API}/issues/comments")))
    found = counting(worker, since=MONDAY, streams=("issue_comments",))
    assert found.items[API]["issue_comments"] == count
    assert "issue_comments" not in found.estimated


def test_runs_are_counted_in_their_window(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    reach()
    assert counting(worker, streams=("workflow_runs",)).items[API]["workflow_runs"] == 5
    assert counting(worker, since=MONDAY, streams=("workflow_runs",)).items[API]["workflow_runs"] == 0


def test_beyond_the_largest_comments_are_judged_by_those(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    for number, pulls in enumerate((9, 99, 19), start=1):
        fake.world.add(f"r{number}", installation_id=ACME, repository_id=number, size=Size(pull_requests=pulls))
        reach(f"acme/r{number}", number)
    fake.spoil(Fault(comments(300, of=fake), faults.below("/repositories/2/pulls/comments")))
    found = counting(worker, streams=("review_comments",), effort=Effort(most_by_rest=1))
    assert {number: items["review_comments"] for number, items in found.items.items()} == {1: 30, 2: 300, 3: 60}
    assert found.estimated == {"review_comments"}


def test_a_list_that_github_refuses_is_said(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    reach()
    refusal = {"message": "Resource not accessible by integration"}
    fake.spoil(Fault(faults.status(403, refusal), faults.below(f"/repositories/{API}/actions/runs")))
    found = counting(worker, streams=("workflow_runs",))
    assert found.uncounted == [Uncounted(what="workflow_runs of acme/api", why=refusal["message"])]


def test_a_spent_limit_is_said_once_and_nothing_more_is_asked(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    for number in range(1, 50):
        reach(f"acme/r{number}", number)
    fake.limits.leave(ACME, "graphql", remaining=0)
    found = counting(worker)
    assert (len(found.uncounted), found.items) == (49, {})
    assert "limit is spent until" in found.uncounted[0].why
    assert len(fake.calls("graphql")) == 1


def test_after_its_deadline_nothing_more_is_asked_and_the_rest_is_said_to_be_uncounted(
    fake: FakeGitHub, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    for number in range(1, 2 * MOST_AT_ONCE):
        fake.world.add(f"r{number}", installation_id=ACME, repository_id=number, size=Size(pull_requests=1))
        reach(f"acme/r{number}", number)
    passed = SimpleNamespace(monotonic=lambda: float(len(fake.calls("graphql"))), sleep=time.sleep)
    monkeypatch.setattr(github_item_counts, "time", passed)
    found = counting(worker, effort=Effort(deadline_s=1.0))
    assert len(found.items) == MOST_AT_ONCE
    assert [each.why for each in found.uncounted] == [TOO_LATE] * (MOST_AT_ONCE - 1)
    assert len(fake.calls("graphql")) == 1


def test_a_forecast_leaves_to_live_work_what_a_backfill_leaves(fake: FakeGitHub, worker: GitHubAccess) -> None:
    install()
    reach()
    limit = counting(worker).access.client.budget.read(ACME)[0].limit
    fake.limits.leave(ACME, "graphql", remaining=limit // 10)
    assert counting(worker).uncounted == []
    assert "limit is spent until" in counting(worker).uncounted[0].why, "it is known by now how little is left"


def test_a_forecast_within_a_request_asks_for_few_lists_and_has_little_time(
    fake: FakeGitHub, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    monkeypatch.setattr(requests, "github", lambda: worker)
    install()
    for number in range(1, 8):
        fake.world.add(f"r{number}", installation_id=ACME, repository_id=number, size=Size(pull_requests=1))
        reach(f"acme/r{number}", number)
    scope = Scope(streams=("workflow_runs",))
    found = requests.forecast_asked(Repository.objects.all(), scope=scope)
    assert (found.repositories, found.streams[0].is_estimate) == (7, True)
    assert len([call for call in fake.calls("core", payer=ACME) if call.path.endswith("/actions/runs")]) == 5
    monkeypatch.setattr(requests, "LONGEST_S", 0.0)
    found = requests.forecast_asked(Repository.objects.all(), scope=scope)
    assert {each.why for each in found.uncounted} == {TOO_LATE}


@pytest.fixture
def api() -> Repository:
    install()
    return reach()


def ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


def now() -> Progress:
    return progress_of(Backfill.objects.all())


def running(**about: Any) -> dict[str, Any]:
    return {"state": "running", "lease_until": timezone.now() + timedelta(minutes=1), **about}


def test_before_anything_is_read_nothing_is_foretold(api: Repository) -> None:
    backfill(api)
    found = now()
    assert (found.done, found.total, found.unsized) == (0, 0, 1)
    assert (found.items_per_s, found.eta_s, found.waits_until) == (None, None, None)


def test_the_rate_is_that_of_the_whole_time_and_tells_the_end(api: Repository) -> None:
    backfill(api, **running(items=300, total=900, started_at=ago(100)))
    backfill(api, stream="issues", state="done", items=100, started_at=ago(60), finished_at=ago(10))
    found = now()
    assert (found.done, found.total, found.unsized) == (400, 1000, 0)
    assert found.items_per_s == pytest.approx(4, rel=0.05)
    assert found.eta_s == pytest.approx(150, rel=0.05)


def test_what_is_done_took_as_long_as_it_took(api: Repository) -> None:
    backfill(api, state="done", items=100, total=120, started_at=ago(1000), finished_at=ago(980))
    found = now()
    assert (round(found.items_per_s or 0), found.eta_s, found.total) == (5, 0, 100)


def test_a_wait_that_all_share_is_part_of_the_time(api: Repository) -> None:
    later = timezone.now() + timedelta(seconds=600)
    backfill(api, items=100, total=200, started_at=ago(50), not_before=later, reason="spent")
    backfill(api, stream="issues", not_before=later + timedelta(seconds=60), reason="spent")
    found = now()
    assert found.waits_until == later
    assert found.eta_s == pytest.approx(650, rel=0.05)


def test_nothing_is_waited_for_while_anything_may_be_read(api: Repository) -> None:
    backfill(api, not_before=timezone.now() + timedelta(seconds=600), reason="spent")
    backfill(api, stream="issues")
    assert now().waits_until is None


def test_what_somebody_paused_has_no_end(api: Repository) -> None:
    backfill(api, state="paused", items=100, total=200, started_at=ago(50))
    found = now()
    assert (found.eta_s, found.waits_until) == (None, None)


def test_more_than_github_said_is_not_more_than_all(api: Repository) -> None:
    backfill(api, **running(items=130, total=120, started_at=ago(10)))
    found = now()
    assert (found.done, found.total) == (130, 130)
