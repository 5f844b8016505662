"""Derivation of deployments: one per success of a service, environment and workflow run.

Attempts that failed before a success belong to it. What comes after a success is another deployment, so what is known
of an instant stays as it was.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apps.common import db
from apps.metrics.derivation.deployment_rules import Kind, Rules, is_named_production, read_rules
from apps.metrics.derived_row_writer import DerivedTable, Row, Scope, as_json, selected
from apps.metrics.models import DerivedDeployment

SCOPE = ("repository_id", "group_key")
DEPLOYMENTS = DerivedTable(model=DerivedDeployment, key=("repository_id", "name"), scope=SCOPE)

# A commit's place on the default branch: when it landed, and its position in the push that brought it.
PLACE = """
    LEFT JOIN LATERAL (
        SELECT coalesce(landed_at, presumed_landed_at) AS at, coalesce((
            SELECT min(array_position(commit_shas, kept.sha)) FROM activity_push AS push
            WHERE push.repository_id = kept.repository_id AND commit_shas @> ARRAY[kept.sha]
              AND is_default_branch = 1 AND pushed_at = kept.landed_at
        ), 0) AS position
        FROM activity_commit AS kept WHERE (kept.repository_id, kept.sha) = ({alias}.repository_id, {alias}.{sha})
        OFFSET 0  -- one look into the index for each row
    ) AS place ON true
"""
READ_OLD_GROUPS = """
    SELECT repository_id, group_key, deployment_ids
    FROM metrics_deriveddeployment WHERE deployment_ids && %s::bigint[]
"""
READ_FACTS = f"""
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
    SELECT one.repository_id, one.github_id, one.environment, one.is_production, one.run_id, one.job_name, one.task,
           coalesce(run.name, ''), one.sha, place.at, place.position, one.created_at,
           statuses.succeeded_at, statuses.failed_at, statuses.failed_after_at
    FROM grouped JOIN activity_deployment AS one USING (github_id)
    LEFT JOIN LATERAL (
        SELECT min(name) AS name FROM activity_workflowrun AS run WHERE run.run_id = one.run_id
    ) AS run ON true
    {PLACE.format(alias="one", sha="sha")}
    LEFT JOIN LATERAL (
        SELECT first.succeeded_at,
               min(created_at) FILTER (
                   WHERE created_at <= coalesce(first.succeeded_at, 'infinity')
               ) AS failed_at,
               min(created_at) FILTER (WHERE created_at > first.succeeded_at) AS failed_after_at
        FROM (
            SELECT min(created_at) AS succeeded_at FROM activity_deploymentstatus
            WHERE deployment_id = one.github_id AND state = 'success'
        ) AS first LEFT JOIN activity_deploymentstatus
            ON deployment_id = one.github_id AND state IN ('failure', 'error')
        GROUP BY first.succeeded_at
    ) AS statuses ON true
    WHERE one.created_at IS NOT NULL
"""  # noqa: S608  a clause of our own
# The jobs that deploy to an environment beside another job of the same run: each of them is a service.
READ_PARALLEL_JOBS = """
    WITH places AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, environment text)),
    runs AS (
        SELECT repository_id, environment, array_agg(DISTINCT job_name) AS jobs
        FROM places JOIN activity_deployment USING (repository_id, environment)
        WHERE job_name <> '' AND run_id IS NOT NULL
        GROUP BY repository_id, environment, run_id
        HAVING count(DISTINCT job_name) > 1
    )
    SELECT DISTINCT repository_id, environment, job FROM runs CROSS JOIN LATERAL unnest(jobs) AS job
"""
# A job was alone until now: what it deployed before belongs to its service too.
HAND_ON_JOBS = """
    WITH jobs AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, environment text, job_name text)
    )
    INSERT INTO activity_change (kind, key)
    SELECT 'deployment', last_deployment_id::text
    FROM jobs JOIN metrics_deriveddeployment USING (repository_id, environment, job_name)
    WHERE run_id IS NOT NULL AND right(group_key, length(service) + 3) <> ' / ' || service
"""
REPOSITORIES = "SELECT DISTINCT repository_id FROM activity_deployment WHERE github_id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A deployment, with the first success and failures of its statuses; `inactive` is neither."""

    repository_id: int
    github_id: int
    environment: str
    is_production: bool | None
    run_id: int | None
    job_name: str
    task: str
    workflow: str
    sha: str
    landed_at: datetime | None
    position: int | None
    created_at: datetime
    succeeded_at: datetime | None
    failed_at: datetime | None
    failed_after_at: datetime | None = None

    @property
    def outcomes(self) -> "list[Outcome]":
        """Return what became of it, at least that it was made."""
        known = [
            Outcome(at, is_success=is_success, attempt=self)
            for at, is_success in ((self.failed_at, False), (self.succeeded_at, True), (self.failed_after_at, False))
            if at is not None
        ]
        return known or [Outcome(self.created_at, is_success=None, attempt=self)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A success or a failure of an attempt; None while it is neither."""

    at: datetime
    is_success: bool | None = field(kw_only=True)
    attempt: Attempt = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Group:
    """A service and environment of one run, or a deployment outside of any run."""

    repository_id: int
    key: str
    source: str
    service: str


def repositories_of(deployment_ids: Sequence[int]) -> list[int]:
    """Return the repositories of the deployments."""
    return [row[0] for row in db.run(REPOSITORIES, [list(deployment_ids)])]


def derive(deployment_ids: Sequence[int]) -> tuple[list[Scope], list[Row]]:
    """Return the groups that have or had the deployments, and the rows of the current groups."""
    old = db.run(READ_OLD_GROUPS, [list(deployment_ids)])
    members = {each for _, _, group in old for each in group}
    attempts = [Attempt(*row) for row in db.run(READ_FACTS, {"ids": sorted(members.union(deployment_ids))})]
    rules = read_rules(attempt.repository_id for attempt in attempts)
    parallel = _parallel_jobs(attempts)
    groups: dict[Group, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if rules.counts(Kind.DEPLOYMENTS, attempt.repository_id, name=attempt.environment):
            groups[_group(attempt, rules=rules, parallel=parallel)].append(attempt)
    scopes = {(repository_id, group_key) for repository_id, group_key, _ in old}
    scopes.update((group.repository_id, group.key) for group in groups)
    return sorted(scopes), [row for group, attempts in groups.items() for row in rows_of(group, attempts)]


def _is_production(attempt: Attempt) -> bool:
    return bool(attempt.is_production) or is_named_production(attempt.environment)


def hand_on_jobs(rows: Iterable[Row]) -> None:
    """Enqueue the other deployments of jobs that turned out to deploy beside another one."""
    names = ("repository_id", "environment", "job_name")
    jobs = [
        row
        for row in DEPLOYMENTS.as_dicts(rows)
        if row["job_name"] and row["group_key"].endswith(f" / {row['service']}")
    ]
    if jobs:
        db.run(HAND_ON_JOBS, [as_json(names, selected(names, jobs))])


def rows_of(group: Group, attempts: Iterable[Attempt]) -> list[Row]:
    """Return the rows of a group: each success closes one, and what comes later begins another."""
    outcomes = sorted(
        (outcome for attempt in attempts for outcome in attempt.outcomes),
        key=lambda outcome: (outcome.at, outcome.attempt.github_id, bool(outcome.is_success)),
    )
    rows, current = list[Row](), list[Outcome]()
    for outcome in outcomes:
        current.append(outcome)
        if outcome.is_success:
            rows.append(_row(group, current, number=len(rows) + 1))
            current = []
    return [*rows, _row(group, current, number=len(rows) + 1)] if current else rows


def _row(group: Group, outcomes: Sequence[Outcome], *, number: int) -> Row:
    last = outcomes[-1].attempt
    succeeded_at = outcomes[-1].at if outcomes[-1].is_success else None
    is_on_branch = succeeded_at is not None and last.landed_at is not None and last.landed_at <= succeeded_at
    github_ids = {outcome.attempt.github_id for outcome in outcomes}
    return DEPLOYMENTS.row(
        repository_id=group.repository_id,
        name=f"{group.key}#{number}",
        group_key=group.key,
        source=group.source,
        environment=last.environment,
        service=group.service,
        is_production=any(_is_production(outcome.attempt) for outcome in outcomes),
        run_id=last.run_id,
        job_name=last.job_name,
        deployment_ids=tuple(sorted(github_ids)) if group.source == Kind.DEPLOYMENTS else (),
        last_deployment_id=last.github_id,
        sha=last.sha,
        order_at=last.landed_at if is_on_branch else None,
        order_position=last.position if is_on_branch else None,
        created_at=min(outcome.attempt.created_at for outcome in outcomes),
        succeeded_at=succeeded_at,
        failed_at=next((outcome.at for outcome in outcomes if outcome.is_success is False), None),
    )


def _group(attempt: Attempt, *, rules: Rules, parallel: set[tuple[Any, ...]]) -> Group:
    """Return the group of an attempt: of its run and environment, or it alone outside of any run."""
    is_parallel = (attempt.repository_id, attempt.environment, attempt.job_name) in parallel
    names = {
        "environment": attempt.environment,
        "workflow": attempt.workflow,
        "task": attempt.task,
        "job": attempt.job_name,
    }
    service = rules.service_of(attempt.repository_id, names)
    if service is None:
        service = attempt.job_name if is_parallel else ""
    if attempt.run_id is None:
        key = f"deployment {attempt.github_id}"
    else:
        key = f"run {attempt.run_id} {attempt.environment}" + (f" / {service}" if is_parallel else "")
    return Group(attempt.repository_id, key, Kind.DEPLOYMENTS, service)


def _parallel_jobs(attempts: Iterable[Attempt]) -> set[tuple[Any, ...]]:
    places = {(each.repository_id, each.environment) for each in attempts if each.job_name and each.run_id is not None}
    if not places:
        return set()
    return set(db.run(READ_PARALLEL_JOBS, [as_json(("repository_id", "environment"), places)]))
