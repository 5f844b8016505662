"""Derivation of shipments: the first deployment of each service and environment that has a merged pull request.

Commits of the default branch stand in the order of their pushes, and in each push in its order. A pull request ships
with the first success whose commit stands at or after its merge. The first success of a service and environment is its
baseline: what was merged before it was there already, for nobody knows how long.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.common import db
from apps.metrics.derivation.deployments import DEPLOYMENTS, PLACE
from apps.metrics.derivation.stages import NO_STAGES, Stages
from apps.metrics.derived_row_writer import DerivedTable, Row, Scope, as_json, selected
from apps.metrics.models import DerivedShipment

SCOPE = ("repository_id", "number")
SHIPMENTS = DerivedTable(model=DerivedShipment, key=(*SCOPE, "service", "environment"), scope=SCOPE)
MOST_STACKED = 10
BIGGEST_NUMBER = 2**31 - 1

# A pull request that was merged into the head of another one is on the default branch once that one is.
READ_MERGES = f"""
    WITH RECURSIVE scopes AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%(scopes)s) AS row (repository_id bigint, number integer)
    ), path AS (
        SELECT repository_id, number, 0 AS depth, merged_at, merge_sha, base_ref
        FROM scopes JOIN activity_pullrequest USING (repository_id, number) WHERE merged_at IS NOT NULL
        UNION ALL
        SELECT path.repository_id, path.number, depth + 1, above.merged_at, above.merge_sha, above.base_ref
        FROM path CROSS JOIN LATERAL (
            SELECT merged_at, merge_sha, base_ref FROM activity_pullrequest
            WHERE repository_id = path.repository_id AND head_ref = path.base_ref AND number <> path.number
              AND is_cross_repository IS NOT TRUE AND merged_at >= path.merged_at
            ORDER BY merged_at, number LIMIT 1
        ) AS above
        WHERE depth < %(most)s AND path.base_ref <> ''
    )
    SELECT DISTINCT ON (path.repository_id, path.number) path.repository_id, path.number, place.at, place.position
    FROM path {PLACE.format(alias="path", sha="merge_sha")}
    WHERE place.at IS NOT NULL
    ORDER BY path.repository_id, path.number, depth
"""  # noqa: S608  a clause of our own
# `chains`: only those that ever had a commit of the default branch, one look into the index for each.
CHAINS = """
    WITH RECURSIVE merges AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%s)
            AS row (repository_id bigint, number integer, at timestamptz, position integer)
    ), chains AS (
        SELECT repository_id, one.service, one.environment
        FROM (SELECT DISTINCT repository_id FROM merges) AS concerned CROSS JOIN LATERAL (
            SELECT service, environment FROM metrics_deriveddeployment AS kept
            WHERE kept.repository_id = concerned.repository_id AND order_at IS NOT NULL
            ORDER BY service, environment LIMIT 1
        ) AS one
        UNION ALL
        SELECT repository_id, one.service, one.environment FROM chains CROSS JOIN LATERAL (
            SELECT service, environment FROM metrics_deriveddeployment AS kept
            WHERE kept.repository_id = chains.repository_id AND order_at IS NOT NULL
              AND (kept.service, kept.environment) > (chains.service, chains.environment)
            ORDER BY service, environment LIMIT 1
        ) AS one
    ), bases AS MATERIALIZED (
        SELECT chains.*, base.name, base.at, base.position FROM chains CROSS JOIN LATERAL (
            SELECT name, coalesce(order_at, succeeded_at) AS at, coalesce(order_position, 0) AS position
            FROM metrics_deriveddeployment AS one
            WHERE (one.repository_id, one.service, one.environment)
                = (chains.repository_id, chains.service, chains.environment) AND succeeded_at IS NOT NULL
            ORDER BY succeeded_at, name LIMIT 1
        ) AS base
    )
"""
# What a success `one` needs to have a merge.
HAS_MERGE = "succeeded_at >= merges.at AND (order_at, order_position) >= (merges.at, merges.position)"
IS_AFTER_BASELINE = "(merges.at, merges.position) > (bases.at, bases.position)"
READ_CARRIERS = f"""
    {CHAINS}
    SELECT merges.repository_id, merges.number, merges.at AS landed_at, bases.service, bases.environment,
           carrier.name AS deployment, carrier.source, carrier.is_production, carrier.succeeded_at AS deployed_at,
           EXISTS (
               SELECT FROM metrics_deriveddeployment AS one
               WHERE (one.repository_id, one.service, one.environment)
                   = (bases.repository_id, bases.service, bases.environment)
                 AND order_at IS NULL AND succeeded_at >= merges.at AND succeeded_at < carrier.succeeded_at
           ) AS is_order_unknown
    FROM merges JOIN bases USING (repository_id) CROSS JOIN LATERAL (
        SELECT name, source, is_production, succeeded_at FROM metrics_deriveddeployment AS one
        WHERE (one.repository_id, one.service, one.environment)
            = (bases.repository_id, bases.service, bases.environment)
          AND {HAS_MERGE}
        ORDER BY succeeded_at, name LIMIT 1
    ) AS carrier
    WHERE {IS_AFTER_BASELINE}
"""  # noqa: S608  clauses of our own
# Of each deployment of the repository, why it did not ship the merge; of those that could have, the first one did.
CANDIDATE = (
    *("service", "environment", "name", "source", "is_production", "sha", "deployment_ids", "last_deployment_id"),
    *("group_key", "at", "reason"),
)
"""The columns of READ_CANDIDATES."""
READ_CANDIDATES = f"""
    {CHAINS}
    SELECT one.service, one.environment, one.name, one.source, one.is_production, one.sha, one.deployment_ids,
           one.last_deployment_id, one.group_key, coalesce(one.succeeded_at, one.failed_at, one.created_at) AS at,
           CASE WHEN one.succeeded_at IS NULL THEN 'not_succeeded'
                WHEN one.name = bases.name THEN 'baseline'
                WHEN merges.at IS NULL THEN 'not_landed'
                WHEN one.succeeded_at < merges.at THEN 'before_merge'
                WHEN one.order_at IS NULL THEN 'commit_unknown'
                WHEN NOT ({HAS_MERGE}) THEN 'without_merge'
                WHEN NOT ({IS_AFTER_BASELINE}) THEN 'baseline_unknown'
                ELSE '' END AS reason
    FROM merges JOIN metrics_deriveddeployment AS one USING (repository_id)
    LEFT JOIN bases USING (repository_id, service, environment)
    ORDER BY one.service, one.environment, one.succeeded_at, one.name
"""  # noqa: S608  clauses of our own
# A success that came, went or moved re-dates the merges between its neighbours. Where its commit is unknown, those are
# in doubt that a later success shipped. The first success of all is a baseline, so it moves what the next one shipped.
# Neighbours are those that stayed: of several new ones before all others, none shows where the baseline was.
HAND_ON = """
    WITH moved AS MATERIALIZED (
        SELECT *, coalesce(order_at, succeeded_at) AS at FROM json_to_recordset(%s) AS row (
            repository_id bigint, service text, environment text, name text, succeeded_at timestamptz,
            order_at timestamptz
        )
    ), around AS MATERIALIZED (
        SELECT moved.*, earlier.at AS earlier_at, later.name AS later_name, later.at AS later_at,
               min(moved.at) OVER (PARTITION BY repository_id, service, environment) AS lowest_at
        FROM moved LEFT JOIN LATERAL (
            SELECT coalesce(max(order_at), min(succeeded_at)) AS at FROM metrics_deriveddeployment AS one
            WHERE (one.repository_id, one.service, one.environment)
                = (moved.repository_id, moved.service, moved.environment)
              AND one.succeeded_at IS NOT NULL AND (one.succeeded_at, one.name) < (moved.succeeded_at, moved.name)
              AND (one.repository_id, one.name) NOT IN (SELECT repository_id, name FROM moved)
        ) AS earlier ON true LEFT JOIN LATERAL (
            SELECT name, coalesce(order_at, succeeded_at) AS at FROM metrics_deriveddeployment AS one
            WHERE (one.repository_id, one.service, one.environment)
                = (moved.repository_id, moved.service, moved.environment)
              AND one.succeeded_at IS NOT NULL AND (one.succeeded_at, one.name) > (moved.succeeded_at, moved.name)
              AND (one.repository_id, one.name) NOT IN (SELECT repository_id, name FROM moved)
            ORDER BY succeeded_at, name LIMIT 1
        ) AS later ON true
    ), reaches AS (
        SELECT repository_id, earlier_at AS since, at AS until FROM around WHERE earlier_at IS NOT NULL
        UNION ALL
        SELECT repository_id, least(lowest_at, later_at), greatest(at, later_at) FROM around WHERE earlier_at IS NULL
    ), stale AS (
        SELECT repository_id, number
        FROM moved JOIN metrics_derivedshipment AS one USING (repository_id) WHERE one.deployment = moved.name
        UNION
        SELECT repository_id, number
        FROM around JOIN metrics_derivedshipment AS one USING (repository_id)
        WHERE one.deployment = around.later_name AND earlier_at IS NULL
        UNION
        SELECT repository_id, number FROM moved JOIN metrics_derivedshipment AS one
            USING (repository_id, service, environment)
        WHERE moved.order_at IS NULL AND one.landed_at <= moved.succeeded_at AND one.deployed_at > moved.succeeded_at
        UNION
        SELECT repository_id, number FROM reaches JOIN metrics_derivedpullrequest USING (repository_id)
        WHERE landed_at BETWEEN since AND until
    )
    INSERT INTO activity_change (kind, key)
    SELECT 'pull_request', repository_id || ':' || number || ':alone' FROM stale
"""

REVERTS = (
    re.compile(r"\breverts\s+(?:[\w.-]+/[\w.-]+)?#(\d+)", re.IGNORECASE),
    re.compile(r"\Arevert\b.*?#(\d+)", re.IGNORECASE),
    re.compile(r"\Arevert-(\d+)-"),
)
"""How the description, the title or the branch of a pull request names the one that it reverts."""
REAPPLIES = re.compile(r'\s*(reapply\b|revert\s+"revert\b)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a commit stands on the default branch."""

    at: datetime
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A merged pull request, as far as its shipment is concerned."""

    repository_id: int
    number: int
    author_id: int | None
    author_class: str
    is_bot_author: bool
    attributed_to_id: int | None
    until_merge: Stages
    merged_at: datetime
    place: Place
    reverts_number: int | None
    is_hotfix: bool


def asking_places(scopes: Sequence[Scope]) -> db.Statement:
    """Return the statement of where the merges stand, whose rows are for `places_in`."""
    return READ_MERGES, {"scopes": as_json(SCOPE, scopes), "most": MOST_STACKED}


def places_in(rows: Iterable[Row]) -> dict[Scope, Place]:
    """Return where the merges of pull requests stand; those that are not on the default branch are left out."""
    return {(row[0], row[1]): Place(*row[2:]) for row in rows}


def asking_candidates(scope: Scope, *, place: Place | None) -> db.Statement:
    """Return the statement of every deployment of the repository, with the reason why it could not ship it, or ''."""
    at, position = (place.at, place.position) if place else (None, None)
    return READ_CANDIDATES, [as_json((*SCOPE, "at", "position"), [(*scope, at, position)])]


def derive(merges: Iterable[Merge]) -> list[Row]:
    """Return the shipments of the merges, one for each service and environment."""
    by_scope = {(merge.repository_id, merge.number): merge for merge in merges}
    places = [(*scope, merge.place.at, merge.place.position) for scope, merge in by_scope.items()]
    if not places:
        return []
    carriers = db.run_with_names(READ_CARRIERS, [as_json((*SCOPE, "at", "position"), places)])
    return [_row(by_scope[one["repository_id"], one["number"]], one) for one in carriers]


def _row(merge: Merge, carrier: dict[str, Any]) -> Row:
    return SHIPMENTS.row(
        **carrier,
        author_id=merge.author_id,
        author_class=merge.author_class,
        is_bot_author=merge.is_bot_author,
        attributed_to_id=merge.attributed_to_id,
        merged_at=merge.merged_at,
        **_stages(merge, deployed_at=None if carrier["is_order_unknown"] else carrier["deployed_at"]),
        reverts_number=merge.reverts_number,
        is_hotfix=merge.is_hotfix,
    )


def _stages(merge: Merge, *, deployed_at: datetime | None) -> dict[str, int | None]:
    """Return the lead time and its five stages, all null where it is not known which deployment had the merge."""
    if deployed_at is None:
        return dict.fromkeys((*NO_STAGES, "deploy_seconds", "lead_seconds"))
    deploy = max(0, int(deployed_at.timestamp()) - int(merge.merged_at.timestamp()))
    return {**merge.until_merge.columns, "deploy_seconds": deploy, "lead_seconds": merge.until_merge.total + deploy}


def hand_on(rows: Iterable[Row]) -> None:
    """Enqueue the pull requests that ship otherwise because these deployments came, went or moved."""
    names = ("repository_id", "service", "environment", "name", "succeeded_at", "order_at")
    moved = [row for row in DEPLOYMENTS.as_dicts(rows) if row["succeeded_at"] is not None]
    if moved:
        db.run(HAND_ON, [as_json(names, selected(names, moved))])


def reverted_number(*, body: str, title: str, head_ref: str) -> int | None:
    """Return the number of the pull request that this one reverts; None if it reverts none."""
    if REAPPLIES.match(title):
        return None
    for pattern, text in zip(REVERTS, (body, title, head_ref), strict=True):
        match = pattern.search(text)
        if match and (number := int(match[1])) <= BIGGEST_NUMBER:
            return number
    return None
