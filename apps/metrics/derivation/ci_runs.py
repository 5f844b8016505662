"""Derivation of workflow runs: one row for each attempt that concluded, and what the attempts before it came to."""

from collections.abc import Sequence

from apps.common import db
from apps.metrics.derived_row_writer import DerivedTable, Row, Scope, as_json
from apps.metrics.models import DerivedWorkflowRun
from apps.teams.account_classes import class_of

SCOPE = ("repository_id", "run_id")
WORKFLOW_RUNS = DerivedTable(model=DerivedWorkflowRun, key=(*SCOPE, "attempt"), scope=SCOPE)
ACTOR_CLASS = class_of(
    login="coalesce(account.login, '')", kind="coalesce(account.kind, '')", rule="rule.account_class"
)

# Of attempts that concluded before this one, it is enough to know one that failed; to know that none did, all of them.
READ = f"""
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, run_id bigint)),
    attempts AS (
        SELECT one.*, conclusion = 'success' AS is_success,
               conclusion IN ('failure', 'timed_out', 'startup_failure') AS is_failure,
               extract(epoch FROM in_progress_at - started_at) AS queued,
               extract(epoch FROM concluded_at - started_at) AS duration
        FROM scopes JOIN activity_workflowrun AS one USING (repository_id, run_id)
        WHERE concluded_at IS NOT NULL
    )
    SELECT repository_id, run_id, attempt, workflow_id, name AS workflow, event,
           coalesce(head_branch, '') AS branch, head_sha AS sha,
           actor_id, {ACTOR_CLASS} <> 'human' AS is_by_bot,
           coalesce(conclusion, '') AS conclusion, attempts.created_at, started_at, concluded_at,
           min(concluded_at) OVER later AS run_again_at,
           CASE WHEN queued >= 0 THEN queued::bigint END AS queued_seconds,
           CASE WHEN duration >= 0 THEN duration::bigint END AS duration_seconds,
           CASE WHEN attempt = 1 OR is_success IS NOT TRUE THEN false
                WHEN bool_or(is_failure) OVER earlier THEN true
                WHEN count(*) OVER earlier = attempt - 1 THEN false
           END AS is_flaky
    FROM attempts
    LEFT JOIN activity_contributor AS account ON account.github_id = actor_id
    LEFT JOIN teams_accountrule AS rule ON rule.contributor_id = actor_id
    WINDOW earlier AS (
        PARTITION BY repository_id, run_id ORDER BY attempt ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), later AS (
        PARTITION BY repository_id, run_id ORDER BY attempt ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    )
"""  # noqa: S608  an expression of our own


def derive(scopes: Sequence[Scope]) -> list[Row]:
    """Return the rows of the attempts of these runs that have concluded."""
    return [WORKFLOW_RUNS.row(**row) for row in db.run_with_names(READ, [as_json(SCOPE, scopes)])]
