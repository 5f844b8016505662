"""What a team of many repositories costs: few statements, each by index, and little arithmetic."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.activity.models import Installation
from apps.integrations.streams import STREAM_NAMES
from apps.metrics.completeness import report_of
from apps.metrics.figures import FigureQuery, Window
from apps.metrics.figures.values import completeness_by_figure, completeness_of
from apps.webhooks import pending
from tests.metrics.completeness.known import hour, log_scanned, team_of
from tests.plans import explaining

pytestmark = pytest.mark.django_db
REPOSITORIES, OTHERS = 500, 5000
STATEMENTS = 4
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
def test_a_team_of_500_repositories_costs_four_statements_by_index(many: range) -> None:
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)), CaptureQueriesContext(connection) as queries:
        told = report_of(many).of_team(end_at=datetime.now(UTC) + timedelta(days=1000))
    assert told.complete_until is not None
    assert len([query for query in queries if not str(query["sql"]).startswith("EXPLAIN")]) == STATEMENTS
    assert not [plan for plan in plans if re.search(r"Seq Scan on (activity_coverage|webhooks_delivery)", plan)], plans


@pytest.mark.proof
def test_the_oldest_of_a_long_backlog_is_found_by_its_own_index(many: range) -> None:
    plans = []
    for statement, parameters in ((pending._OF_REPOSITORIES, [list(many)]), (pending._OF_NO_REPOSITORY, [])):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {statement}", parameters)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))
    assert all("delivery_without_effect" in plan for plan in plans), plans


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
