"""A figure has the holes of what it is read from, and no others, and costs few statements, each by index."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.activity.models import Installation
from apps.integrations.streams import STREAM_NAMES
from apps.metrics.completeness import OF_FIGURES, providers, report_of
from apps.metrics.completeness.descriptions import explain_completeness
from apps.metrics.figures import FIGURES, FigureQuery, Window
from apps.metrics.figures.figure_reader import completeness_by_figure, completeness_of
from apps.teams.models import Team
from apps.webhooks import inbox_overview
from tests.metrics.completeness.known import (
    API,
    WEB,
    completeness,
    gaps,
    hour,
    log_scanned,
    reached,
    read,
    team_of,
    until,
)
from tests.plans import explaining

pytestmark = pytest.mark.django_db
DEPLOYED = tuple(key for key, figure in FIGURES.items() if "deployments" in figure.streams)
NOT_DEPLOYMENTS = tuple(stream for stream in STREAM_NAMES if stream != "deployments")
NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
def team() -> Team:
    reached()
    reached(WEB)
    return team_of(API, WEB)


def asked(team: Team, **about: Any) -> FigureQuery:
    window = Window(start=hour(0).date(), end=hour(24 * 7).date(), time_zone="UTC")
    return FigureQuery(team=team, window=window, **about)


def test_the_streams_of_figures_are_those_declared() -> None:
    assert {stream for figure in FIGURES.values() for stream in figure.streams} == set(OF_FIGURES)


def test_streams_without_figures_do_not_make_figures_incomplete(team: Team) -> None:
    for repository_id in (API, WEB):
        read(0, 100, repository_id, streams=OF_FIGURES)
    assert until(completeness_of(asked(team))) == 100
    assert until(completeness(API, WEB)) is None


def test_a_gap_in_deployments_is_not_one_of_pull_requests(team: Team) -> None:
    read(0, 100)
    read(0, 100, WEB, streams=NOT_DEPLOYMENTS)
    read(0, 40, WEB, streams=("deployments",))
    read(60, 90, WEB, streams=("deployments",))
    found = completeness_by_figure(asked(team))
    for key, complete in found.items():
        expected = ([("unread", 40, 60)], 90) if key in DEPLOYED else ([], 100)
        assert (gaps(complete), until(complete)) == expected, key
    everything = completeness_of(asked(team))
    assert (gaps(everything), until(everything)) == ([("unread", 40, 60)], 90)
    assert (everything.gaps[0].streams, everything.gaps[0].repository_ids) == (("deployments",), (WEB,))
    assert gaps(completeness_of(asked(team), keys=["reviews"])) == []


def test_work_in_progress_has_a_gap_before_its_window(team: Team) -> None:
    for repository_id in (API, WEB):
        read(-100, -50, repository_id)
        read(-20, 100, repository_id)
    found = completeness_by_figure(asked(team))
    assert {key for key, complete in found.items() if complete.gaps} == {"wip", "age"}


def test_a_figure_of_some_repositories_has_only_their_gaps(team: Team) -> None:
    read(0, 100)
    read(0, 10, WEB)
    assert until(completeness_of(asked(team))) == 10
    assert until(completeness_of(asked(team, repository_ids=(API,)))) == 100


def test_a_figure_as_of_an_earlier_instant_has_no_later_gaps(team: Team) -> None:
    for repository_id in (API, WEB):
        read(0, 10, repository_id)
        read(20, 100, repository_id)
    assert gaps(completeness_of(asked(team))) == [("unread", 10, 20)]
    assert gaps(completeness_of(asked(team, as_of=hour(9)))) == []


def words(query: FigureQuery, *, now: datetime = NOW) -> str:
    return explain_completeness(completeness_of(query), report=query.report, now=now)


def test_fresh_and_outdated_completeness_read_differently(team: Team) -> None:
    read(0, 100)
    read(0, 100, WEB)
    assert words(asked(team), now=hour(110)) == "Complete until 6 Mar 2026, 04:00 UTC."
    assert words(asked(team)).startswith("Complete only until 6 Mar 2026, 04:00 UTC: later data has not been verified")


def test_without_the_apps_key_the_sentence_says_what_to_configure(team: Team) -> None:
    assert words(asked(team)).startswith("Live from webhooks only. Connect the App's private key (GITHUB_APP_ID")
    with providers.scoped_registration():
        providers.register_credentials_check(lambda: True)
        assert words(asked(team)).startswith("Not verified yet: the history of acme/102, acme/api is not fully loaded")
    assert words(asked(team_of(slug="empty"))).startswith("No repositories yet")


def test_an_overlap_of_backfills_and_log_is_no_gap(team: Team) -> None:
    for repository_id in (API, WEB):
        read(0, 50, repository_id)
    log_scanned(40, 120)
    assert (until(completeness_of(asked(team))), gaps(completeness_of(asked(team)))) == (120, [])


REPOSITORIES, OTHERS = 500, 5000
STATEMENTS = 3
"""Coverage, access, and the deliveries without effect: those about the repositories, and those about none."""


ROWS = f"""
INSERT INTO activity_repository (github_id, full_name, stamp)
SELECT i, 'acme/' || i, '' FROM generate_series(1, {OTHERS}) AS i;
INSERT INTO activity_repositoryaccess (installation_id, repository_id, has_access, is_verified, stamp)
SELECT 7, i, true, true, '' FROM generate_series(1, {OTHERS}) AS i;
INSERT INTO activity_coverage (repository_id, stream, from_at, to_at)
SELECT i, stream, begun_at + i * interval '1 s', begun_at + interval '1000 h' + i * interval '1 s'
FROM generate_series(1, {OTHERS}) AS i,
    unnest(ARRAY{[str(stream) for stream in STREAM_NAMES]}) AS stream,
    unnest(ARRAY[timestamptz '2026-03-02', '2026-06-01']) AS begun_at
WHERE i <= {REPOSITORIES} OR stream IN ('issues', 'commits');
INSERT INTO webhooks_delivery (hook_id, guid, event, repository_id, body_sha256, size, state, attempts, crashes,
    claim_number, received_at, not_before, finished_at)
SELECT 7, gen_random_uuid(), 'push', 1 + mod(i, {OTHERS}), '', 0,
    CASE WHEN mod(i, 4) = 0 THEN 'dead' ELSE 'processed' END, 0, 0, 0,
    timestamptz '2027-01-01' + i * interval '1 s', now(), now()
FROM generate_series(1, 40000) AS i;
"""  # noqa: S608  numbers and streams of our own


@pytest.fixture
def many() -> range:
    """500 repositories, 8 streams each, read twice with a hole between; ten times as many others, and a backlog."""
    Installation.objects.create(github_id=7)
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        cursor.execute("ANALYZE activity_coverage, activity_repository, activity_repositoryaccess, webhooks_delivery")
    log_scanned(3000, 4000)
    return range(1, REPOSITORIES + 1)


@pytest.mark.proof
def test_a_team_of_500_repositories_costs_three_statements_by_index(many: range) -> None:
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)), CaptureQueriesContext(connection) as queries:
        told = report_of(many).of_team(end_at=datetime.now(UTC) + timedelta(days=1000))
    assert told.complete_until is not None
    assert len([query for query in queries if not str(query["sql"]).startswith("EXPLAIN")]) == STATEMENTS
    assert not [plan for plan in plans if re.search(r"Seq Scan on (activity_coverage|webhooks_delivery)", plan)], plans


@pytest.mark.proof
def test_the_oldest_of_a_long_backlog_is_found_by_its_own_index(many: range) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {inbox_overview._PENDING}", [list(many)])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert plan.count("delivery_without_effect") == 2, plan


@pytest.mark.proof
def test_all_figures_of_a_team_take_less_than_a_moment(many: range) -> None:
    window = Window.last(90, time_zone="UTC", now=hour(2500))
    query = FigureQuery(team=team_of(*many), window=window, as_of=hour(4000))
    began = time.process_time()
    told = completeness_of(query)
    by_figure = completeness_by_figure(query)
    spent_s = time.process_time() - began
    print(f"{REPOSITORIES} repositories, {len(STREAM_NAMES)} streams: {spent_s * 1000:.0f} ms")  # noqa: T201
    assert [str(gap.reason) for gap in told.gaps] == ["unread"]
    assert all(found.gaps for found in by_figure.values())
    assert spent_s < 1
