"""Derivation of deployments that were reported over the API, by the id that their reporter gave them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from apps.common import db
from apps.metrics.derivation.deployment_rules import Kind, Rules, read_rules
from apps.metrics.derivation.deployments import PLACE, Attempt, Group, rows_of
from apps.metrics.derived_row_writer import Row, Scope, as_json

SCOPE = ("repository_id", "external_id")
PREFIX = "report "
"""What the key of a group begins with; the reporter's id follows."""

# The latest report says where and what was deployed; each says how it stood at its instant.
READ = f"""
    WITH scopes AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, external_id text)
    ), reports AS MATERIALIZED (
        SELECT repository_id, external_id, environment, service, sha, finished_at, state
        FROM scopes JOIN activity_reporteddeployment USING (repository_id, external_id)
    ), latest AS (
        SELECT DISTINCT ON (repository_id, external_id) repository_id, external_id, environment, service, sha
        FROM reports ORDER BY repository_id, external_id, finished_at DESC
    ), successes AS (
        SELECT repository_id, external_id, min(finished_at) FILTER (WHERE state = 'success') AS at
        FROM reports GROUP BY repository_id, external_id
    ), outcomes AS (
        SELECT repository_id, external_id, successes.at AS succeeded_at, min(finished_at) AS created_at,
               min(finished_at) FILTER (
                   WHERE state = 'failure' AND finished_at < coalesce(successes.at, 'infinity')
               ) AS failed_at,
               min(finished_at) FILTER (WHERE state = 'failure' AND finished_at > successes.at) AS failed_after_at
        FROM reports JOIN successes USING (repository_id, external_id)
        GROUP BY repository_id, external_id, successes.at
    )
    SELECT one.repository_id, one.external_id, one.environment, one.service, one.sha, place.at, place.position,
           created_at, succeeded_at, failed_at, failed_after_at
    FROM latest AS one JOIN outcomes USING (repository_id, external_id)
    {PLACE.format(alias="one", sha="sha")}
"""  # noqa: S608  a clause of our own


def derive(scopes: Sequence[Scope]) -> tuple[list[Scope], list[Row]]:
    """Return the groups of these reported deployments, and the rows of those that count."""
    rules = read_rules(repository_id for repository_id, _ in scopes)
    groups: dict[Group, list[Attempt]] = defaultdict(list)
    for row in db.run(READ, [as_json(SCOPE, scopes)]):
        repository_id, external_id, environment, *_ = row
        if rules.counts(Kind.REPORTS, repository_id, name=environment):
            group = Group(repository_id, group_key(external_id), Kind.REPORTS, _service(row, rules=rules))
            groups[group].append(_attempt(row))
    named = [(repository_id, group_key(external_id)) for repository_id, external_id in scopes]
    return named, [row for group, attempts in groups.items() for row in rows_of(group, attempts)]


def group_key(external_id: str) -> str:
    """Return the key of the group that a reported deployment is."""
    return f"{PREFIX}{external_id}"


def _service(row: tuple[Any, ...], *, rules: Rules) -> str:
    repository_id, _, environment, service, *_ = row
    return service or rules.service_of(repository_id, {"environment": environment}) or ""


def _attempt(row: tuple[Any, ...]) -> Attempt:
    repository_id, _, environment, _, sha, landed_at, position, created_at, *outcomes = row
    succeeded_at, failed_at, failed_after_at = outcomes
    return Attempt(
        repository_id=repository_id,
        github_id=0,
        environment=environment,
        is_production=None,
        run_id=None,
        job_name="",
        task="",
        workflow="",
        sha=sha,
        landed_at=landed_at,
        position=position,
        created_at=created_at,
        succeeded_at=succeeded_at,
        failed_at=failed_at,
        failed_after_at=failed_after_at,
    )
