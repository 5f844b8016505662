"""Figures of a million pull requests: a team's dashboard, the whole organisation, an unchanged answer, one change."""

import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

import django
import psycopg

from benchmarks.inbox import counted
from benchmarks.results import Measurement
from benchmarks.stack import stack

PULL_REQUESTS, REPOSITORIES, TEAMS, MEMBERS = 1_000_000, 500, 50, 20
YEARS = "3 years"
ROUNDS = 40
FEW = 5
DASHBOARD = "window=84d&granularity=week&compare=previous"
ACCOUNTS = TEAMS * MEMBERS
ORGANISATION = ACCOUNTS + 1
BOT = ACCOUNTS + 2
AMOUNT = "current_setting('bench.pull_requests')::integer"

# A repository is of the team of its number, and so are nine of ten of its authors; one of fifty pull requests is by a
# bot, one of ten is closed unmerged, and one of a hundred of the latest is open.
ROWS = (
    f"""INSERT INTO activity_contributor (github_id, login, kind, stamp)
        SELECT i, 'account-' || i, CASE i WHEN {ORGANISATION} THEN 'organization' WHEN {BOT} THEN 'bot' ELSE 'user' END,
               ''
        FROM generate_series(1, {BOT}) i""",
    f"""INSERT INTO activity_installation (github_id, account_id, stamp, suspension_stamp)
        VALUES (1, {ORGANISATION}, '', '')""",
    f"""INSERT INTO activity_repository (github_id, full_name, owner_id, created_at, stamp)
        SELECT i, 'acme/' || i, {ORGANISATION}, now() - interval '{YEARS}', ''
        FROM generate_series(1, {REPOSITORIES}) i""",
    f"""INSERT INTO activity_repositoryaccess (installation_id, repository_id, has_access, is_verified, stamp)
        SELECT 1, i, true, true, '' FROM generate_series(1, {REPOSITORIES}) i""",
    f"""INSERT INTO activity_coverage (repository_id, stream, from_at, to_at)
        SELECT i, stream, now() - interval '4 years', now() - interval '10 minutes'
        FROM generate_series(1, {REPOSITORIES}) i,
             unnest(ARRAY[
                'pull_requests', 'commits', 'deployments', 'issues', 'issue_comments', 'workflow_runs'
             ]) stream""",
    f"""CREATE TEMPORARY TABLE work AS
        SELECT i, 1 + i % {REPOSITORIES} AS repository_id,
               CASE WHEN i % 50 = 0 THEN {BOT}
                    WHEN i % 10 = 3 THEN 1 + hash % {ACCOUNTS}
                    ELSE 1 + i % {REPOSITORIES} / {REPOSITORIES // TEAMS} * {MEMBERS} + hash % {MEMBERS}
               END AS author_id,
               now() - i * interval '{YEARS}' / {AMOUNT} AS at,
               hash, 600 + hash % 1000 * (1 + hash % 400) AS seconds
        FROM generate_series(1, {AMOUNT}) i, LATERAL (SELECT abs(hashint4(i)) AS hash) hashed""",
    f"""INSERT INTO metrics_derivedpullrequest (repository_id, number, author_id, is_bot_author, opened_at,
            is_opened_as_draft, ready_at, is_first_commit_adjusted, first_review_at, review_wait_ended_at,
            first_response_at, response_wait_ended_at, merged_at, landed_at, closed_at, draft_starts, draft_ends,
            is_draft, cycle_seconds, first_review_seconds, first_response_seconds, coding_seconds, pickup_seconds,
            review_seconds, merge_seconds, queue_seconds, size, review_rounds, reverts_number, is_hotfix,
            is_ai_assisted, is_reviewed_in_draft, is_reopened, is_force_pushed, rules_version)
        SELECT repository_id, i, author_id, author_id = {BOT}, at, hash % 5 = 0, at, false, reviewed_at, reviewed_at,
               reviewed_at, reviewed_at, merged_at, merged_at, ended_at,
               CASE WHEN hash % 5 = 0 THEN ARRAY[at - interval '1 h'] ELSE ARRAY[]::timestamptz[] END,
               CASE WHEN hash % 5 = 0 THEN ARRAY[at] ELSE ARRAY[]::timestamptz[] END, false,
               CASE WHEN merged_at IS NOT NULL THEN seconds END,
               CASE WHEN reviewed_at IS NOT NULL THEN seconds / 3 END,
               CASE WHEN reviewed_at IS NOT NULL THEN seconds / 3 END,
               CASE WHEN merged_at IS NOT NULL THEN hash % 90000 END,
               CASE WHEN merged_at IS NOT NULL THEN seconds / 3 END,
               CASE WHEN merged_at IS NOT NULL THEN seconds / 2 - seconds / 3 END,
               CASE WHEN merged_at IS NOT NULL THEN seconds - seconds / 2 END,
               CASE WHEN merged_at IS NOT NULL AND hash % 3 = 0 THEN hash % 2000 END,
               hash % 900, hash % 4, CASE WHEN i % 200 = 5 THEN i + {REPOSITORIES} END, hash % 60 = 0, hash % 7 = 0,
               false, hash % 30 = 0, false, 1
        FROM work, LATERAL (
            SELECT CASE WHEN at + seconds * interval '1 s' < now() AND NOT (i < 50000 AND i % 100 = 5)
                        THEN at + seconds * interval '1 s' END AS ended_at,
                   CASE WHEN hash % 9 > 0 THEN at + seconds / 3 * interval '1 s' END AS reviewed_at) ended,
             LATERAL (SELECT CASE WHEN i % 10 <> 7 THEN ended_at END AS merged_at) merged""",
    """INSERT INTO metrics_derivedclosing (repository_id, number, author_id, is_bot_author, closed_at, reopened_at,
            rules_version)
        SELECT repository_id, number, author_id, is_bot_author,
               CASE WHEN is_reopened THEN opened_at + (coalesce(closed_at, now()) - opened_at) / 4 ELSE closed_at END,
               CASE WHEN is_reopened THEN opened_at + (coalesce(closed_at, now()) - opened_at) / 3 END, 1
        FROM metrics_derivedpullrequest WHERE is_reopened OR (closed_at IS NOT NULL AND merged_at IS NULL)""",
    f"""INSERT INTO metrics_derivedreview (review_id, repository_id, number, reviewer_id, submitted_at, verdict,
            is_by_bot, is_by_author, rules_version)
        SELECT i * 2 + half, repository_id, i,
               1 + i % {REPOSITORIES} / {REPOSITORIES // TEAMS} * {MEMBERS} + (hash + half) % {MEMBERS},
               at + seconds / 3 * interval '1 s', 'approved', hash % 20 = 0, hash % 15 = 1, 1
        FROM work, generate_series(0, 1) half""",
    """INSERT INTO metrics_derivedcommit (repository_id, sha, author_id, author_login, is_by_bot, is_merge, landed_at,
            rules_version)
        SELECT repository_id, md5(i || '-' || part), author_id, '', false, hash % 10 = part,
               at + seconds * interval '1 s', 1
        FROM work, generate_series(0, 2) part""",
    f"""INSERT INTO metrics_derivedreviewrequest (repository_id, number, subject, reviewer_id, is_bot_reviewer,
            requested_at, answered_at, answer_seconds, rules_version)
        SELECT repository_id, i, reviewer_id::text, reviewer_id, false, at,
               CASE WHEN hash % 9 > 0 THEN at + seconds / 3 * interval '1 s' END,
               CASE WHEN hash % 9 > 0 THEN seconds / 3 END, 1
        FROM work, LATERAL (
            SELECT 1 + i % {REPOSITORIES} / {REPOSITORIES // TEAMS} * {MEMBERS} + hash % {MEMBERS} AS reviewer_id
        ) asked""",
    """INSERT INTO metrics_derivedworkflowrun (repository_id, run_id, attempt, workflow_id, workflow, event, branch,
            sha, actor_id, is_by_bot, conclusion, started_at, concluded_at, queued_seconds, duration_seconds, is_flaky,
            rules_version)
        SELECT repository_id, i, 1, 1, 'Tests', 'push', 'main', md5(i || '-0'), author_id, false,
               (ARRAY['success', 'success', 'success', 'failure', 'cancelled'])[1 + hash % 5], at,
               at + hash % 2000 * interval '1 s', hash % 60, hash % 2000, false, 1
        FROM work""",
    """INSERT INTO metrics_deriveddeployment (repository_id, name, group_key, source, environment, service,
            is_production, job_name, deployment_ids, last_deployment_id, sha, order_at, order_position, created_at,
            succeeded_at, failed_at, rules_version)
        SELECT repository_id, i::text, i::text, 'deployments',
               CASE WHEN i % 3 = 0 THEN 'staging' ELSE 'production' END, '', i % 3 > 0, '', ARRAY[i], i, '', at, 0, at,
               CASE WHEN i % 20 > 0 THEN at END, CASE WHEN i % 20 = 0 THEN at END, 1
        FROM work WHERE hash % 10 = 0""",
    """INSERT INTO metrics_derivedshipment (repository_id, number, service, environment, source, is_production,
            deployment, author_id, is_bot_author, merged_at, landed_at, deployed_at, is_order_unknown, lead_seconds,
            coding_seconds, pickup_seconds, review_seconds, merge_seconds, deploy_seconds, is_hotfix, rules_version)
        SELECT repository_id, number, '', environment, 'deployments', is_production, name, author_id, is_bot_author,
               merged_at, landed_at, deployed_at, false,
               coding_seconds + cycle_seconds + deploy_seconds, coding_seconds, pickup_seconds, review_seconds,
               merge_seconds, deploy_seconds, is_hotfix, 1
        FROM metrics_derivedpullrequest AS merged, unnest(ARRAY['production', 'staging']) AS environment,
             LATERAL (
                SELECT name, is_production, succeeded_at AS deployed_at,
                       extract(epoch FROM succeeded_at - merged_at)::bigint AS deploy_seconds
                FROM metrics_deriveddeployment AS one
                WHERE one.repository_id = merged.repository_id AND one.environment = environment.environment
                  AND service = '' AND succeeded_at >= merged_at
                ORDER BY succeeded_at LIMIT 1
             ) AS carrier
        WHERE merged_at IS NOT NULL""",
    """INSERT INTO metrics_derivedremediation (repository_id, remediation, failing, service, environment, source,
            is_production, kind, evidence, failing_at, remediated_at, rules_version)
        SELECT repository_id, name, failing, '', 'production', 'deployments', true, 'revert', '', failing_at,
               succeeded_at, 1
        FROM (
            SELECT repository_id, name, succeeded_at, lag(name) OVER earlier AS failing,
                   lag(succeeded_at) OVER earlier AS failing_at
            FROM metrics_deriveddeployment WHERE is_production AND succeeded_at IS NOT NULL
            WINDOW earlier AS (PARTITION BY repository_id ORDER BY succeeded_at)
        ) AS successes
        WHERE name::integer % 15 = 1 AND failing IS NOT NULL""",
    """INSERT INTO metrics_derivedincident (repository_id, name, origin, issue_number, title, service, opened_at,
            closed_at, named_deployment, rules_version)
        SELECT repository_id, 'issue ' || i, 'issue', i, 'Outage', '', at, at + hash % 90000 * interval '1 s', '', 1
        FROM work WHERE hash % 300 = 0""",
    f"""INSERT INTO activity_pullrequest (repository_id, number, title, state, author_id, created_at, updated_at,
            merged_at, closed_at, labels, head_ref, head_sha)
        SELECT repository_id, number, 'Change ' || number, 'closed', author_id, opened_at, opened_at, merged_at,
               closed_at, CASE WHEN number % 3 = 0 THEN ARRAY['bug'] ELSE ARRAY[]::text[] END, 'branch-' || number,
               md5(number::text)
        FROM metrics_derivedpullrequest WHERE repository_id < {REPOSITORIES // TEAMS}""",
    "DROP TABLE work",
)


def measure() -> Iterator[Measurement]:
    """Milliseconds of each answer of the web process, with all of Python, and the number of statements."""
    with stack() as running:
        os.environ |= running.environment | {"DJANGO_SETTINGS_MODULE": "tformance.settings", "TFORMANCE_ROLE": "web"}
        django.setup()
        with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
            fill(connection)
        make_teams()
        yield from answers()


def fill(connection: psycopg.Connection[Any], *, pull_requests: int = PULL_REQUESTS, more: Iterable[str] = ()) -> None:
    """Fill the derived tables, in which history is only rows."""
    connection.execute("SELECT set_config('bench.pull_requests', %s, false)", [str(pull_requests)])
    for statement in (*ROWS, *more):
        connection.execute(statement)
    connection.execute("VACUUM ANALYZE")


def make_teams() -> None:
    """A team of the organisation without members, and 50 of ten repositories and twenty members each."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415  the settings come first

    from apps.activity.models import Change  # noqa: PLC0415
    from apps.teams.models import Team, TeamMember, TeamRepository  # noqa: PLC0415

    get_user_model().objects.create_superuser("operator")
    Team.objects.create(name="Acme", slug="acme", account_id=ORGANISATION, time_zone="America/New_York")
    each = REPOSITORIES // TEAMS
    for place in range(TEAMS):
        team = Team.objects.create(name=f"Team {place}", slug=f"team-{place}", time_zone="Europe/Berlin")
        TeamRepository.objects.bulk_create(
            TeamRepository(team=team, repository_id=1 + place * each + number) for number in range(each)
        )
        TeamMember.objects.bulk_create(
            TeamMember(team=team, contributor_id=1 + place * MEMBERS + number) for number in range(MEMBERS)
        )
    Change.objects.all().delete()


def answers() -> Iterator[Measurement]:
    """The dashboard of each team in turn, of the organisation, the same unchanged, and one changed pull request."""
    asking = Asking()
    of_teams = [f"/api/v1/teams/team-{place % TEAMS}/figures/?{DASHBOARD}" for place in range(ROUNDS)]
    yield from times("a team's dashboard, 12 weeks and compare", [asking.answer(address) for address in of_teams])
    of_all = "/api/v1/teams/acme/figures/?window=30d&compare=previous"
    yield from times("500 repositories, 30 days and compare", [asking.answer(of_all) for _ in range(FEW)])
    long = f"/api/v1/teams/acme/figures/?{DASHBOARD}"
    yield from times("500 repositories, 12 weeks and compare", [asking.answer(long) for _ in range(FEW)])
    for name, address in (("a team", of_teams[0]), ("500 repositories", of_all)):
        tag = asking.tag(address)
        yield from times(f"{name} unchanged (304)", [asking.answer(address, tag=tag) for _ in range(ROUNDS)])
    yield from times("one changed pull request", [change(number) for number in range(ROUNDS)])


def times(name: str, found: list[tuple[float, int]]) -> Iterator[Measurement]:
    """Return the 95th percentile of the times, and the most statements of any."""
    milliseconds = sorted(seconds * 1000 for seconds, _ in found)
    p95 = milliseconds[min(len(milliseconds) - 1, int(len(milliseconds) * 0.95))]
    beside = {"median, ms": statistics.median(milliseconds), "statements": max(count for _, count in found)}
    yield Measurement(name=f"{name}, p95", value=p95, unit="ms", beside=beside, rounds=tuple(milliseconds))


class Asking:
    """A client of the API who is signed in."""

    def __init__(self) -> None:
        from django.contrib.auth import get_user_model  # noqa: PLC0415
        from rest_framework.test import APIClient  # noqa: PLC0415

        self._client = APIClient(headers={"host": "localhost"})
        self._client.force_authenticate(get_user_model().objects.get(username="operator"))

    def answer(self, address: str, *, tag: str = "") -> tuple[float, int]:
        """Return the seconds until the answer was there, and the number of statements."""
        headers = {"if-none-match": tag} if tag else {}
        with counted() as spent:
            began = time.perf_counter()
            answer = self._client.get(address, headers=headers)
            seconds = time.perf_counter() - began
        if answer.status_code != (HTTPStatus.NOT_MODIFIED if tag else HTTPStatus.OK):
            sys.stderr.write(f"{answer.status_code}: {address}: {answer.content[:300]!r}\n")
        return seconds, len(spent)

    def tag(self, address: str) -> str:
        return str(self._client.get(address)["ETag"])


def change(number: int) -> tuple[float, int]:
    """Return the seconds of the recalculation of one pull request, and its statements."""
    from apps.activity.models import Change, PullRequest  # noqa: PLC0415
    from apps.metrics.recalculation import recalculate_batch  # noqa: PLC0415

    one = PullRequest.objects.order_by("pk")[number]
    Change.objects.create(kind="pull_request", key=f"{one.repository_id}:{one.number}")
    with counted() as spent:
        began = time.perf_counter()
        recalculate_batch(skipped=set())
        return time.perf_counter() - began, len(spent)
