"""Derivation of remediations: deployments that undid or repaired an earlier one.

The best evidence counts: a revert of a pull request that the failing deployment shipped, then a rollback to an earlier
commit, then a hotfix, which repairs the deployment before it, then the end of an incident: the last deployment before
that remedied the one that caused it.
"""

from collections.abc import Iterable, Sequence

from apps.common import db
from apps.metrics.derivation.deployments import DEPLOYMENTS
from apps.metrics.derivation.incidents import FAILURES
from apps.metrics.derivation.shipments import SHIPMENTS
from apps.metrics.derived_row_writer import DerivedTable, Row, Scope, as_json, selected
from apps.metrics.models import DerivedRemediation

SCOPE = ("repository_id", "remediation")
REMEDIATIONS = DerivedTable(model=DerivedRemediation, key=(*SCOPE, "failing"), scope=SCOPE)

READ = """
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, remediation text)),
    made AS MATERIALIZED (
        SELECT one.*, before.name AS before_name, before.succeeded_at AS before_at, before.sha AS before_sha,
               (one.order_at, one.order_position) < (before.order_at, before.order_position) AS is_rollback
        FROM scopes JOIN metrics_deriveddeployment AS one
          ON (one.repository_id, one.name) = (scopes.repository_id, scopes.remediation)
        LEFT JOIN LATERAL (
            SELECT name, succeeded_at, sha, order_at, order_position FROM metrics_deriveddeployment AS other
            WHERE (other.repository_id, other.service, other.environment)
                = (one.repository_id, one.service, one.environment)
              AND other.succeeded_at IS NOT NULL AND (other.succeeded_at, other.name) < (one.succeeded_at, one.name)
            ORDER BY succeeded_at DESC, name DESC LIMIT 1
        ) AS before ON true
        WHERE one.succeeded_at IS NOT NULL
    ), shipped AS MATERIALIZED (
        SELECT made.repository_id, made.name, made.before_name, made.before_at, one.service, one.environment,
               one.number, one.reverts_number, one.is_hotfix
        FROM made JOIN metrics_derivedshipment AS one
          ON (one.repository_id, one.deployment) = (made.repository_id, made.name)
        WHERE one.is_hotfix OR one.reverts_number IS NOT NULL
    ), found AS (
        SELECT shipped.repository_id, shipped.name, failing.deployment AS failing, failing.deployed_at AS failing_at,
               1 AS rank, 'revert' AS kind,
               '#' || shipped.number || ' reverts #' || shipped.reverts_number AS evidence
        FROM shipped JOIN metrics_derivedshipment AS failing
          ON (failing.repository_id, failing.number, failing.service, failing.environment)
           = (shipped.repository_id, shipped.reverts_number, shipped.service, shipped.environment)
        WHERE failing.deployment <> shipped.name
        UNION ALL
        SELECT repository_id, name, before_name, before_at, 2, 'rollback', before_sha || ' to ' || sha
        FROM made WHERE is_rollback
        UNION ALL
        SELECT repository_id, name, before_name, before_at, 3, 'hotfix', '#' || number || ' is a hotfix'
        FROM shipped WHERE is_hotfix AND before_name IS NOT NULL
    ), ended AS (
        SELECT made.repository_id, made.name, failure.failing, failure.failing_at, failure.incident, failure.closed_at
        FROM made JOIN metrics_derivedfailure AS failure USING (repository_id, service, environment)
        WHERE failure.failing_at < made.succeeded_at AND failure.opened_at <= made.succeeded_at
          AND failure.closed_at >= made.succeeded_at AND NOT EXISTS (
              SELECT FROM metrics_deriveddeployment AS later
              WHERE (later.repository_id, later.service, later.environment)
                  = (made.repository_id, made.service, made.environment)
                AND (later.succeeded_at, later.name) > (made.succeeded_at, made.name)
                AND later.succeeded_at <= failure.closed_at
          )
    ), evidences AS (
        SELECT *, NULL::timestamptz AS incident_closed_at FROM found
        UNION ALL
        SELECT repository_id, name, failing, failing_at, 4, 'incident', incident || ' ended', closed_at FROM ended
    )
    SELECT DISTINCT ON (found.repository_id, found.name, failing)
           found.repository_id, found.name AS remediation, failing, made.service, made.environment, made.source,
           made.is_production, kind, evidence, failing_at, made.succeeded_at AS remediated_at,
           incident_closed_at
    FROM evidences AS found JOIN made ON (made.repository_id, made.name) = (found.repository_id, found.name)
    WHERE failing_at <= made.succeeded_at
    ORDER BY found.repository_id, found.name, failing, rank, incident_closed_at, evidence COLLATE "C"
"""
# What a deployment remedied depends on the one before it, and whether it ended an incident on the one after it.
HAND_ON_DEPLOYMENTS = """
    WITH moved AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%s) AS row (
            repository_id bigint, service text, environment text, name text, succeeded_at timestamptz
        )
    )
    INSERT INTO activity_change (kind, key)
    SELECT 'remediation', repository_id || ':' || name FROM moved
    UNION
    SELECT 'remediation', moved.repository_id || ':' || later.name
    FROM moved CROSS JOIN LATERAL (
        SELECT name FROM metrics_deriveddeployment AS one
        WHERE (one.repository_id, one.service, one.environment)
            = (moved.repository_id, moved.service, moved.environment)
          AND one.succeeded_at IS NOT NULL AND (one.succeeded_at, one.name) > (moved.succeeded_at, moved.name)
        ORDER BY succeeded_at, name LIMIT 1
    ) AS later
    UNION
    SELECT 'remediation', moved.repository_id || ':' || earlier.name
    FROM moved CROSS JOIN LATERAL (
        SELECT FROM metrics_derivedfailure AS one
        WHERE (one.repository_id, one.service, one.environment)
            = (moved.repository_id, moved.service, moved.environment)
          AND one.opened_at <= moved.succeeded_at AND one.closed_at >= moved.succeeded_at
        ORDER BY opened_at DESC LIMIT 1  -- one is enough, and is found by its index however many there are
    ) AS failure
    CROSS JOIN LATERAL (
        SELECT name FROM metrics_deriveddeployment AS one
        WHERE (one.repository_id, one.service, one.environment)
            = (moved.repository_id, moved.service, moved.environment)
          AND one.succeeded_at IS NOT NULL AND (one.succeeded_at, one.name) < (moved.succeeded_at, moved.name)
        ORDER BY succeeded_at DESC, name DESC LIMIT 1
    ) AS earlier
"""
# An incident that ended, or no longer did, was ended by the last deployment until then.
HAND_ON_FAILURES = """
    WITH moved AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%s) AS row (
            repository_id bigint, service text, environment text, failing text, opened_at timestamptz,
            closed_at timestamptz
        )
    )
    INSERT INTO activity_change (kind, key)
    SELECT 'remediation', moved.repository_id || ':' || last.name
    FROM moved CROSS JOIN LATERAL (
        SELECT name FROM metrics_deriveddeployment AS one
        WHERE (one.repository_id, one.service, one.environment)
            = (moved.repository_id, moved.service, moved.environment)
          AND one.succeeded_at >= moved.opened_at AND one.succeeded_at <= moved.closed_at
        ORDER BY succeeded_at DESC, name DESC LIMIT 1
    ) AS last
    UNION
    SELECT 'remediation', repository_id || ':' || one.remediation
    FROM moved JOIN metrics_derivedremediation AS one USING (repository_id, failing) WHERE one.kind = 'incident'
"""
# What a pull request shipped with may have failed: what reverts it says so.
HAND_ON_SHIPMENTS = """
    WITH moved AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, number integer, deployment text)
    )
    INSERT INTO activity_change (kind, key)
    SELECT 'remediation', repository_id || ':' || deployment FROM moved
    UNION
    SELECT 'remediation', one.repository_id || ':' || one.deployment
    FROM moved JOIN metrics_derivedshipment AS one USING (repository_id)
    WHERE one.reverts_number = moved.number
"""


def derive(scopes: Sequence[Scope]) -> list[Row]:
    """Return what these deployments remedied."""
    return [REMEDIATIONS.row(**row) for row in db.run_with_names(READ, [as_json(SCOPE, scopes)])]


def hand_on_deployments(rows: Iterable[Row]) -> None:
    """Enqueue the remediations of deployments that came, went or moved, and of those after them."""
    names = ("repository_id", "service", "environment", "name", "succeeded_at")
    moved = [row for row in DEPLOYMENTS.as_dicts(rows) if row["succeeded_at"] is not None]
    if moved:
        db.run(HAND_ON_DEPLOYMENTS, [as_json(names, selected(names, moved))])


def hand_on_shipments(rows: Iterable[Row]) -> None:
    """Enqueue the remediations that follow from these shipments."""
    names = ("repository_id", "number", "deployment")
    if moved := selected(names, SHIPMENTS.as_dicts(rows)):
        db.run(HAND_ON_SHIPMENTS, [as_json(names, moved)])


def hand_on_failures(rows: Iterable[Row]) -> None:
    """Enqueue the remediations that follow from the incidents which these deployments caused."""
    names = ("repository_id", "service", "environment", "failing", "opened_at", "closed_at")
    if moved := selected(names, FAILURES.as_dicts(rows)):
        db.run(HAND_ON_FAILURES, [as_json(names, moved)])
