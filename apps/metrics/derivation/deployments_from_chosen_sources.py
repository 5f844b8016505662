"""Derivation of deployments from workflow runs, releases and merges, where these were chosen as their source."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from apps.common import db
from apps.metrics.derivation.deployment_rules import Kind, Rules, read_rules
from apps.metrics.derivation.deployments import PLACE, Attempt, Group, rows_of
from apps.metrics.derived_row_writer import Row, Scope, as_json
from apps.teams.models import DeploymentSource

PRODUCTION = "production"
"""The environment of what was chosen as a deployment."""

READ_RUNS = f"""
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, number bigint))
    SELECT one.repository_id, one.run_id, one.attempt, one.name, one.head_sha, one.conclusion = 'success',
           coalesce(one.started_at, one.created_at, one.concluded_at), one.concluded_at, place.at, place.position
    FROM scopes JOIN activity_workflowrun AS one
      ON (one.repository_id, one.run_id) = (scopes.repository_id, scopes.number)
    {PLACE.format(alias="one", sha="head_sha")}
    WHERE one.concluded_at IS NOT NULL AND one.conclusion IN ('success', 'failure', 'timed_out', 'startup_failure')
"""  # noqa: S608  a clause of our own
# A tag that points at a commit says what was released; one that is an object of its own does not.
READ_RELEASES = f"""
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, number bigint)),
    releases AS MATERIALIZED (
        SELECT one.repository_id, one.github_id, one.tag_name, one.published_at, coalesce((
            SELECT min(after_sha) FROM activity_push AS push
            WHERE push.repository_id = one.repository_id AND push.ref = 'refs/tags/' || one.tag_name
        ), '') AS sha
        FROM scopes JOIN activity_release AS one
          ON (one.repository_id, one.github_id) = (scopes.repository_id, scopes.number)
        WHERE one.published_at IS NOT NULL AND NOT one.is_draft AND NOT one.is_prerelease AND one.deleted_at IS NULL
    )
    SELECT one.repository_id, one.github_id, 1, one.tag_name, one.sha, true,
           one.published_at, one.published_at, place.at, place.position
    FROM releases AS one
    {PLACE.format(alias="one", sha="sha")}
"""  # noqa: S608  a clause of our own
READ_MERGES = f"""
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, number bigint))
    SELECT one.repository_id, one.number, 1, one.base_ref, coalesce(one.merge_sha, ''), true,
           one.merged_at, greatest(one.merged_at, place.at), place.at, place.position
    FROM scopes JOIN activity_pullrequest AS one USING (repository_id, number)
    {PLACE.format(alias="one", sha="merge_sha")}
    WHERE one.merged_at IS NOT NULL
"""  # noqa: S608  a clause of our own
STATEMENTS = {Kind.WORKFLOW_RUNS: READ_RUNS, Kind.RELEASES: READ_RELEASES, Kind.MERGES: READ_MERGES}
GROUPS = {Kind.WORKFLOW_RUNS: "run", Kind.RELEASES: "release", Kind.MERGES: "merge"}


def derive(scopes: Sequence[Scope], *, kind: Kind) -> tuple[list[Scope], list[Row]]:
    """Return the groups of these runs, releases or merges, and the rows of those that are deployments."""
    groups: dict[Group, list[Attempt]] = defaultdict(list)
    repositories = repositories_with(kind, (repository_id for repository_id, _ in scopes))
    if chosen := [scope for scope in scopes if scope[0] in repositories]:
        rules = read_rules(repositories)
        for row in db.run(STATEMENTS[kind], [as_json(("repository_id", "number"), chosen)]):
            repository_id, number, _, name, *_ = row
            if rules.counts(kind, repository_id, name=name):
                service = _service(row, kind=kind, rules=rules)
                groups[Group(repository_id, group_key(kind, number), kind, service)].append(_attempt(row, kind=kind))
    named = [(repository_id, group_key(kind, number)) for repository_id, number in scopes]
    return named, [row for group, attempts in groups.items() for row in rows_of(group, attempts)]


def group_key(kind: Kind, number: int) -> str:
    """Return the key of the group that a run, release or merge is."""
    return f"{GROUPS[kind]} {number}"


def repositories_with(kind: Kind, repository_ids: Iterable[int]) -> set[int]:
    """Return those of the repositories where this kind was chosen."""
    if not DeploymentSource.objects.filter(kind=kind).exists():
        return set()
    return read_rules(repository_ids).repositories_with(kind)


def _service(row: tuple[Any, ...], *, kind: Kind, rules: Rules) -> str:
    names = {"environment": PRODUCTION, "workflow": row[3] if kind == Kind.WORKFLOW_RUNS else ""}
    return rules.service_of(row[0], names) or ""


def _attempt(row: tuple[Any, ...], *, kind: Kind) -> Attempt:
    repository_id, number, _, _, sha, is_success, started_at, ended_at, landed_at, position = row
    ended: datetime = ended_at
    return Attempt(
        repository_id=repository_id,
        github_id=number,
        environment=PRODUCTION,
        is_production=True,
        run_id=number if kind == Kind.WORKFLOW_RUNS else None,
        job_name="",
        task="",
        workflow="",
        sha=sha,
        landed_at=landed_at,
        position=position,
        created_at=started_at,
        succeeded_at=ended if is_success else None,
        failed_at=None if is_success else ended,
    )
