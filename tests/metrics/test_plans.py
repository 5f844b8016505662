"""Neither a figure nor a recalculation reads a table from end to end."""

from datetime import UTC, date, datetime

import pytest
from django.db import connection

from apps.activity.models import Change, Contributor
from apps.metrics.figures import FIGURES, Asked, FigureQuery, Granularity, Window, read_figures
from apps.metrics.figures.figure_reader import read_together
from apps.metrics.recalculation import recalculate_batch
from apps.metrics.stuck import read_stuck
from apps.teams.models import Team, TeamMember
from tests.metrics.steps import profile, record_facts, repository
from tests.plans import explaining

pytestmark = pytest.mark.django_db

REPOSITORIES, ACCOUNTS, ROWS = 20, 100, 6000
PLAIN = {"repository_id": "1 + mod(i, 20)", "number": "i", "rules_version": "1"}
MANY: dict[str, dict[str, str]] = {
    "metrics_derivedpullrequest": PLAIN
    | {
        "author_id": "1 + mod(i, 100)",
        "is_bot_author": "false",
        "opened_at": "t",
        "is_opened_as_draft": "false",
        "ready_at": "t",
        "is_first_commit_adjusted": "false",
        "review_wait_ended_at": "t + interval '1 h'",
        "merged_at": "t + interval '2 h'",
        "closed_at": "t + interval '2 h'",
        "draft_starts": "'{}'",
        "draft_ends": "'{}'",
        "is_draft": "false",
        "cycle_seconds": "7200",
        "first_review_seconds": "3600",
        "response_wait_ended_at": "t + interval '1 h'",
        "first_response_at": "t + interval '1 h'",
        "first_response_seconds": "3600",
        **dict.fromkeys(("coding_seconds", "pickup_seconds", "review_seconds", "merge_seconds"), "1800"),
        "size": "5",
        "review_rounds": "0",
        "is_reviewed_in_draft": "false",
        "is_reopened": "false",
        "is_force_pushed": "false",
        "queue_seconds": "60",
        "is_auto_merged": "false",
    },
    "metrics_derivedclosing": PLAIN | {"author_id": "1 + mod(i, 100)", "is_bot_author": "false", "closed_at": "t"},
    "metrics_derivedreview": PLAIN
    | {
        "review_id": "i",
        "reviewer_id": "1 + mod(i, 100)",
        "submitted_at": "t",
        "is_by_bot": "false",
        "is_by_author": "false",
    },
    "metrics_derivedreviewrequest": PLAIN
    | {
        "subject": "1 + mod(i, 100)",
        "reviewer_id": "1 + mod(i, 100)",
        "is_bot_reviewer": "false",
        "requested_at": "t",
        "answered_at": "t + interval '1 h'",
        "answer_seconds": "3600",
    },
    "metrics_deriveddeployment": {
        "repository_id": "1 + mod(i, 20)",
        "name": "'deployment ' || i || '#1'",
        "group_key": "'deployment ' || i",
        "source": "'deployments'",
        "environment": "'production'",
        "service": "''",
        "is_production": "true",
        "job_name": "''",
        "order_at": "t",
        "order_position": "0",
        "failed_at": "CASE WHEN mod(i, 7) = 0 THEN t END",
        "deployment_ids": "ARRAY[i]",
        "last_deployment_id": "i",
        "sha": "''",
        "succeeded_at": "CASE WHEN mod(i, 7) > 0 THEN t END",
        "rules_version": "1",
    },
    "metrics_derivedshipment": PLAIN
    | {
        "service": "''",
        "environment": "'production'",
        "source": "'deployments'",
        "is_production": "true",
        "deployment": "'deployment ' || i || '#1'",
        "author_id": "1 + mod(i, 100)",
        "is_bot_author": "false",
        "merged_at": "t",
        "landed_at": "t",
        "deployed_at": "t",
        "is_order_unknown": "false",
        "lead_seconds": "9000",
        **dict.fromkeys(("coding_seconds", "pickup_seconds", "review_seconds", "merge_seconds"), "1800"),
        "deploy_seconds": "1800",
        "is_hotfix": "false",
    },
    "metrics_derivedremediation": {
        "repository_id": "1 + mod(i, 20)",
        "remediation": "'deployment ' || i || '#1'",
        "failing": "'deployment ' || i - 20 || '#1'",
        "service": "''",
        "environment": "'production'",
        "source": "'deployments'",
        "is_production": "true",
        "kind": "'revert'",
        "evidence": "''",
        "failing_at": "t",
        "remediated_at": "t",
        "rules_version": "1",
    },
    "metrics_derivedworkflowrun": {
        "repository_id": "1 + mod(i, 20)",
        "run_id": "i",
        "attempt": "1",
        "workflow_id": "1",
        "workflow": "'Tests'",
        "event": "'push'",
        "branch": "'main'",
        "sha": "'sha ' || i",
        "actor_id": "1 + mod(i, 100)",
        "is_by_bot": "false",
        "conclusion": "'success'",
        "started_at": "t",
        "concluded_at": "t",
        "queued_seconds": "5",
        "duration_seconds": "600",
        "is_flaky": "false",
        "rules_version": "1",
    },
    "metrics_derivedcommit": {
        "repository_id": "1 + mod(i, 20)",
        "sha": "'sha ' || i",
        "author_id": "1 + mod(i, 100)",
        "author_login": "''",
        "is_by_bot": "false",
        "landed_at": "t",
        "rules_version": "1",
    },
    "activity_pullrequest": {
        "repository_id": "1 + mod(i, 20)",
        "number": "i",
        "author_id": "1 + mod(i, 100)",
        "created_at": "t",
        "updated_at": "t",
        "merged_at": "t + interval '2 h'",
        "merge_sha": "'head ' || i",
        "base_ref": "'branch ' || i + 20",
        "head_ref": "'branch ' || i",
        "head_sha": "'head ' || i",
    },
    "activity_issuecomment": {
        "github_id": "i",
        "repository_id": "1 + mod(i, 20)",
        "number": "i",
        "is_on_pull_request": "true",
        "author_id": "1 + mod(i, 100)",
        "created_at": "t",
    },
    "activity_pullrequestevent": {
        "repository_id": "1 + mod(i, 20)",
        "number": "i",
        "kind": "CASE WHEN mod(i, 2) = 0 THEN 'review_requested' ELSE 'head_moved' END",
        "subject": "CASE WHEN mod(i, 2) = 0 THEN '' || 1 + mod(i, 100) ELSE 'head ' || i END",
        "at": "t",
        "source": "'webhook'",
    },
    "activity_pullrequestcommit": {
        "repository_id": "1 + mod(i, 20)",
        "number": "i",
        "head_sha": "'head ' || i",
        "sha": "'head ' || i",
        "authored_at": "t",
        "committed_at": "t + interval '1 h'",
    },
    "activity_review": {"github_id": "i", "repository_id": "1 + mod(i, 20)", "number": "i", "submitted_at": "t"},
    "activity_push": {
        "repository_id": "1 + mod(i, 20)",
        "ref": "'refs/heads/branch ' || i",
        "before_sha": "'0'",
        "after_sha": "'head ' || i",
        "pushed_at": "t",
        "commit_shas": "ARRAY['head ' || i]",
        "distinct_shas": "ARRAY['head ' || i]",
    },
    "activity_commit": {
        "repository_id": "1 + mod(i, 20)",
        "sha": "'head ' || i",
        "author_login": "'login ' || i",
        "authored_at": "t",
        "committed_at": "t + interval '1 h'",
        "landed_at": "t",
    },
    "activity_deployment": {
        "github_id": "i",
        "repository_id": "1 + mod(i, 20)",
        "sha": "'head ' || i",
        "environment": "'production'",
        "run_id": "i",
        "created_at": "t",
    },
    "activity_issue": {
        "repository_id": "1 + mod(i, 20)",
        "number": "i",
        "labels": "ARRAY['incident']",
        "created_at": "t",
    },
    "activity_reportedincident": {"repository_id": "1 + mod(i, 20)", "external_id": "i", "opened_at": "t"},
    "metrics_derivedincident": {
        "repository_id": "1 + mod(i, 20)",
        "name": "'issue ' || i",
        "origin": "'issue'",
        "issue_number": "i",
        "title": "''",
        "service": "''",
        "opened_at": "t",
        "closed_at": "t + interval '2 h'",
        "named_deployment": "''",
        "named_number": "i",
        "rules_version": "1",
    },
    "metrics_derivedfailure": {
        "repository_id": "1 + mod(i, 20)",
        "incident": "'issue ' || i",
        "failing": "'deployment ' || i || '#1'",
        "service": "''",
        "environment": "'production'",
        "source": "'deployments'",
        "is_production": "true",
        "kind": "'pull_request'",
        "failing_at": "t",
        "opened_at": "t",
        "closed_at": "t + interval '2 h'",
        "rules_version": "1",
    },
    "activity_reporteddeployment": {
        "repository_id": "1 + mod(i, 20)",
        "external_id": "i",
        "finished_at": "t",
        "state": "'success'",
        "environment": "'production'",
        "sha": "'head ' || i",
    },
    "activity_workflowrun": {
        "run_id": "i",
        "attempt": "1",
        "repository_id": "1 + mod(i, 20)",
        "conclusion": "'success'",
        "head_sha": "'head ' || i",
        "actor_id": "1 + mod(i, 100)",
        "started_at": "t",
        "concluded_at": "t",
    },
    "activity_deploymentstatus": {
        "github_id": "i",
        "repository_id": "1 + mod(i, 20)",
        "deployment_id": "i",
        "state": "'success'",
        "created_at": "t",
    },
}


CHANGES = (
    ("pull_request", "6:5"),
    ("branch", "6:refs/heads/branch 5"),
    ("commit", "6:head 5"),
    ("deployment", "5"),
    ("workflow_run", "6:5"),
    ("release", "6:5"),
    ("reported_deployment", "6:5"),
    ("issue", "6:5"),
    ("reported_incident", "6:5"),
    ("incident", "6:issue 5"),
    ("remediation", "6:deployment 5#1"),
    ("contributor", "2"),
)


@pytest.fixture
def team() -> Team:
    """Many rows over many repositories, accounts and days; the team tracks two repositories and has one member."""
    Contributor.objects.bulk_create(Contributor(github_id=number) for number in range(1, ACCOUNTS + 1))
    record_facts(
        profile("ana"), *(repository(number, full_name=f"acme/{number}") for number in range(1, REPOSITORIES + 1))
    )
    with connection.cursor() as cursor:
        for table, columns in MANY.items():
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"  # noqa: S608  above
                " FROM (SELECT i, timestamptz '2026-01-01' + i * interval '1 h' AS t FROM generate_series(1, %s) AS i)",
                [ROWS],
            )
            cursor.execute(f"ANALYZE {table}")
        # Weigh rows as if there were a hundred times as many: reading some thousands from end to end is no mistake.
        cursor.execute("SET LOCAL cpu_tuple_cost = 1")
    made = Team.objects.create(name="Team", slug="team")
    for number in (1, 2):
        made.tracked.create(repository_id=number)
    TeamMember.objects.create(team=made, contributor_id=1)
    Change.objects.all().delete()
    return made


@pytest.mark.proof
def test_a_figure_reads_by_index(team: Team) -> None:
    window = Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone="UTC")
    query = FigureQuery(team=team, window=window)
    for figure in FIGURES.values():
        rows = figure.population(query)
        assert rows.exists() or figure.key in ("wip", "age", "agent_authored"), f"{figure.key} shows nothing here"
        plan = rows.explain()
        assert "_by_repository" in plan, figure.key
        assert not read_whole(plan), figure.key


FROM_INDEX_ALONE = ("merged", "review_waits", "response_waits", "submitted", "answers", "commits")


@pytest.mark.proof
@pytest.mark.parametrize("asked", [Asked(), Asked(granularity=Granularity.DAY)], ids=["values", "series"])
def test_all_figures_are_one_statement_that_mostly_reads_an_index_alone(team: Team, asked: Asked) -> None:
    query = FigureQuery(team=team, window=Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone="UTC"))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        assert [reading.figure for reading in read_figures(query, asked=asked)] == list(FIGURES)
    [plan] = [plan for plan in plans if "metrics_derived" in plan]
    assert not read_whole(plan), plan
    for name in FROM_INDEX_ALONE:
        assert f"Index Only Scan using {name}_by_repository" in plan, (name, plan)


@pytest.mark.proof
@pytest.mark.parametrize("asked", [Asked(), Asked(granularity=Granularity.MONTH)], ids=["values", "series"])
def test_figures_of_much_are_read_by_several_processes(team: Team, asked: Asked) -> None:
    query = FigureQuery(team=team, window=Window(start=date(2019, 3, 9), end=date(2026, 3, 9), time_zone="UTC"))
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        read_together([(query, asked), (query.compared_with(), Asked())])
    [plan] = [plan for plan in plans if "in_parallel" in plan]
    assert "Parallel Append" in plan, plan


@pytest.mark.proof
def test_what_is_stuck_is_read_by_index(team: Team) -> None:
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        read_stuck([team], now=datetime(2026, 3, 2, tzinfo=UTC))
    assert [plan for plan in plans if "metrics_derivedpullrequest" in plan]
    for plan in plans:
        assert not read_whole(plan), plan


@pytest.mark.proof
def test_a_recalculation_reads_by_index(team: Team) -> None:
    plans: list[str] = []
    explain = explaining(plans)
    for kind, key in CHANGES:
        Change.objects.create(kind=kind, key=key)
        plans.clear()
        with connection.execute_wrapper(explain):
            assert recalculate_batch(skipped=set())
        assert plans
        for plan in plans:
            assert not read_whole(plan), f"{kind}: {plan}"


def read_whole(plan: str) -> list[str]:
    """The tables that the plan would read from end to end."""
    return [table for table in MANY if f"Seq Scan on {table} " in plan]
