"""Derivation of deployments: one per workflow run and environment, whatever number of attempts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.common import db
from apps.metrics.derived_tables import DerivedTable, Row, Scope
from apps.metrics.models import RULES_VERSION, DerivedDeployment

SCOPE = ("repository_id", "group_key")
DEPLOYMENTS = DerivedTable(model=DerivedDeployment, key=SCOPE, scope=SCOPE)

READ_OLD_GROUPS = """
    SELECT repository_id, group_key, deployment_ids
    FROM metrics_deriveddeployment WHERE deployment_ids && %s::bigint[]
"""
READ_FACTS = """
    WITH named AS MATERIALIZED (
        SELECT repository_id, environment, run_id, github_id FROM activity_deployment WHERE github_id = ANY(%(ids)s)
    ), grouped AS (
        SELECT github_id FROM named
        UNION
        SELECT other.github_id
        FROM named JOIN activity_deployment AS other
          ON (other.repository_id, other.environment, other.run_id)
           = (named.repository_id, named.environment, named.run_id)
    )
    SELECT one.repository_id, one.github_id, one.environment, one.is_production, one.run_id, one.sha, one.created_at,
           statuses.succeeded_at, statuses.failed_at
    FROM grouped JOIN activity_deployment AS one USING (github_id)
    LEFT JOIN LATERAL (
        SELECT min(created_at) FILTER (WHERE state = 'success') AS succeeded_at,
               min(created_at) FILTER (WHERE state IN ('failure', 'error')) AS failed_at
        FROM activity_deploymentstatus WHERE deployment_id = one.github_id
    ) AS statuses ON true
    WHERE one.created_at IS NOT NULL
"""
REPOSITORIES = "SELECT DISTINCT repository_id FROM activity_deployment WHERE github_id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A deployment, with the first success and failure of its statuses; `inactive` is neither."""

    repository_id: int
    github_id: int
    environment: str
    is_production: bool | None
    run_id: int | None
    sha: str
    created_at: datetime
    succeeded_at: datetime | None
    failed_at: datetime | None

    @property
    def group(self) -> Scope:
        """Return the group: one workflow run and environment, or a deployment outside any run."""
        if self.run_id is None:
            return self.repository_id, f"deployment {self.github_id}"
        return self.repository_id, f"run {self.run_id} {self.environment}"


def repositories_of(deployment_ids: Sequence[int]) -> list[int]:
    """Return the repositories of the deployments."""
    return [row[0] for row in db.run(REPOSITORIES, [list(deployment_ids)])]


def derive(deployment_ids: Sequence[int]) -> tuple[list[Scope], list[Row]]:
    """Return the groups that have or had the deployments, and the rows of the current groups."""
    old = db.run(READ_OLD_GROUPS, [list(deployment_ids)])
    members = {each for _, _, group in old for each in group}
    attempts = [Attempt(*row) for row in db.run(READ_FACTS, {"ids": sorted(members.union(deployment_ids))})]
    groups: dict[Scope, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        groups[attempt.group].append(attempt)
    scopes = {(repository_id, group_key) for repository_id, group_key, _ in old}.union(groups)
    return sorted(scopes), [_row(group, attempts) for group, attempts in groups.items()]


def _row(group: Scope, attempts: Iterable[Attempt]) -> Row:
    """Return the row of a group; its last attempt counts."""
    in_order = sorted(attempts, key=lambda each: (each.created_at, each.github_id))
    last = in_order[-1]
    return (
        *group,
        last.environment,
        last.is_production,
        last.run_id,
        tuple(sorted(each.github_id for each in in_order)),
        last.github_id,
        last.sha,
        in_order[0].created_at,
        last.succeeded_at,
        last.failed_at,
        RULES_VERSION,
    )
