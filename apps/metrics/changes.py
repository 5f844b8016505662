"""Changes, and the rows that they make stale."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from apps.activity.models import Change
from apps.common import db
from apps.metrics.derivation.incidents import ISSUE, REPORT
from apps.metrics.derived_row_writer import Scope, as_json
from apps.teams.models import DeploymentSource, ServiceRule

Kind = Change.Kind

ORIGINS: Mapping[str, str] = {Kind.ISSUE: ISSUE, Kind.REPORTED_INCIDENT: REPORT}
"""What the names of incidents begin with."""
ALONE = "alone"
"""Suffix of the key of a pull request that was handed on: what it makes stale was handed on with it."""

# A change that was set aside is recorded in the future: until then it is nobody's.
DUE = """
    kind = ANY(%(kinds)s) AND id > %(after)s AND NOT id = ANY(%(skipped)s) AND recorded_at <= statement_timestamp()
    ORDER BY id LIMIT %(limit)s
"""
CLAIM = f"""
    DELETE FROM activity_change WHERE id = ANY(ARRAY(
        SELECT id FROM activity_change WHERE {DUE} FOR UPDATE SKIP LOCKED
    )) RETURNING id, kind, key
"""  # noqa: S608  a clause of our own
OLDEST = f"SELECT id, kind, key FROM activity_change WHERE {DUE}"  # noqa: S608  a clause of our own
CLAIM_ONE = "DELETE FROM activity_change WHERE id = %s RETURNING id, kind, key"
SET_ASIDE = """
    UPDATE activity_change SET recorded_at = statement_timestamp() + make_interval(mins => %s) WHERE id = %s
"""
SET_ASIDE_MINUTES = 15

HAND_ON = """
    INSERT INTO activity_change (kind, key)
    SELECT 'pull_request', repository_id || ':' || number || ':' || %s
    FROM json_to_recordset(%s) AS row (repository_id bigint, number integer)
    ORDER BY repository_id, number
"""
PULL_REQUESTS_OF_BRANCHES = """
    WITH branches AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, ref text))
    SELECT DISTINCT repository_id, number
    FROM branches JOIN activity_pullrequest USING (repository_id)
    WHERE head_ref = substr(ref, length('refs/heads/') + 1) AND is_cross_repository IS NOT TRUE
"""
PULL_REQUESTS_OF_COMMITS = """
    WITH branches AS MATERIALIZED (
        SELECT DISTINCT repository_id, ref FROM activity_push
        WHERE commit_shas && %(shas)s::text[] AND repository_id = ANY(%(repositories)s)
          AND is_default_branch = 0 AND starts_with(ref, 'refs/heads/')
    )
    SELECT DISTINCT repository_id, number
    FROM branches JOIN activity_pullrequest USING (repository_id)
    WHERE head_ref = substr(ref, length('refs/heads/') + 1) AND is_cross_repository IS NOT TRUE
"""
# The head at which a pull request was merged ends the search of later ones of its branch.
LATER_PULL_REQUESTS = """
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, number integer))
    SELECT DISTINCT later.repository_id, later.number
    FROM scopes JOIN activity_pullrequest AS one USING (repository_id, number)
    JOIN activity_pullrequest AS later USING (repository_id, head_ref)
    WHERE one.merged_at IS NOT NULL AND one.head_ref <> '' AND one.is_cross_repository IS NOT TRUE
      AND later.number > one.number AND later.is_cross_repository IS NOT TRUE
"""

# A cherry-picked commit has the author date of its original. What is committed as it was authored is no copy.
LANDED_DATES = """
    WITH landed AS MATERIALIZED (
        SELECT DISTINCT repository_id, authored_at
        FROM json_to_recordset(%s) AS row (repository_id bigint, sha text)
        JOIN activity_commit USING (repository_id, sha)
        WHERE coalesce(landed_at, presumed_landed_at) IS NOT NULL
    )
"""
COPIES_OF_COMMITS = f"""
    {LANDED_DATES}
    SELECT DISTINCT copy.repository_id, copy.sha
    FROM landed CROSS JOIN LATERAL (
        SELECT * FROM activity_commit AS one
        WHERE (one.repository_id, one.authored_at) = (landed.repository_id, landed.authored_at)
        OFFSET 0  -- by index, one date after the other
    ) AS copy
    WHERE copy.committed_at > copy.authored_at
"""  # noqa: S608  a clause of our own
PULL_REQUESTS_OF_COPIES = f"""
    {LANDED_DATES}
    SELECT DISTINCT copy.repository_id, copy.number
    FROM landed CROSS JOIN LATERAL (
        SELECT * FROM activity_pullrequestcommit AS one
        WHERE (one.repository_id, one.authored_at) = (landed.repository_id, landed.authored_at)
          AND one.committed_at > one.authored_at
        OFFSET 0  -- as above
    ) AS copy
"""  # noqa: S608  a clause of our own
PULL_REQUESTS_OF_MERGES = """
    SELECT repository_id, number
    FROM json_to_recordset(%s) AS row (repository_id bigint, sha text)
    JOIN activity_pullrequest AS one USING (repository_id) WHERE one.merge_sha = row.sha
"""
# What was merged into the head of a merged pull request since the last merge of that head, and did not land by itself.
STACKED_PULL_REQUESTS = """
    WITH RECURSIVE stack AS (
        SELECT repository_id, number, head_ref, merged_at, is_cross_repository, 0 AS depth
        FROM json_to_recordset(%s) AS row (repository_id bigint, number integer)
        JOIN activity_pullrequest USING (repository_id, number)
        UNION
        SELECT below.repository_id, below.number, below.head_ref, below.merged_at, below.is_cross_repository, depth + 1
        FROM stack CROSS JOIN LATERAL (
            SELECT coalesce(max(merged_at), '-infinity') AS at FROM activity_pullrequest AS other
            WHERE (other.repository_id, other.head_ref) = (stack.repository_id, stack.head_ref)
              AND other.merged_at < stack.merged_at
        ) AS before CROSS JOIN LATERAL (
            SELECT repository_id, number, head_ref, merged_at, is_cross_repository, merge_sha
            FROM activity_pullrequest AS other
            WHERE (other.repository_id, other.base_ref) = (stack.repository_id, stack.head_ref)
              AND other.merged_at >= before.at AND other.merged_at <= stack.merged_at
        ) AS below
        WHERE stack.head_ref <> '' AND stack.is_cross_repository IS NOT TRUE AND depth < 10 AND NOT EXISTS (
            SELECT FROM activity_commit AS kept
            WHERE (kept.repository_id, kept.sha) = (below.repository_id, below.merge_sha)
              AND coalesce(kept.landed_at, kept.presumed_landed_at) IS NOT NULL
        )
    )
    SELECT DISTINCT repository_id, number FROM stack WHERE depth > 0
"""
DEPLOYMENTS_OF_COMMITS = """
    SELECT github_id
    FROM json_to_recordset(%s) AS row (repository_id bigint, sha text)
    JOIN activity_deployment USING (repository_id, sha)
"""
REPORTS_OF_COMMITS = """
    SELECT DISTINCT repository_id, external_id
    FROM json_to_recordset(%s) AS row (repository_id bigint, sha text)
    JOIN activity_reporteddeployment USING (repository_id, sha)
"""
DEPLOYMENTS_OF_RUNS = """
    SELECT github_id
    FROM json_to_recordset(%s) AS row (repository_id bigint, number bigint)
    JOIN activity_deployment AS one ON (one.repository_id, one.run_id) = (row.repository_id, row.number)
"""
RUNS_OF_COMMITS = """
    SELECT DISTINCT one.repository_id, one.run_id
    FROM json_to_recordset(%s) AS row (repository_id bigint, sha text)
    JOIN activity_workflowrun AS one ON (one.repository_id, one.head_sha) = (row.repository_id, row.sha)
"""
RELEASES_OF_COMMITS = """
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, sha text))
    SELECT DISTINCT one.repository_id, one.github_id
    FROM (SELECT DISTINCT repository_id FROM scopes) AS concerned
    JOIN activity_release AS one USING (repository_id)
    JOIN activity_push AS push ON push.repository_id = one.repository_id AND push.ref = 'refs/tags/' || one.tag_name
    JOIN scopes ON (scopes.repository_id, scopes.sha) = (push.repository_id, push.after_sha)
"""
RELEASES_OF_TAGS = """
    SELECT DISTINCT one.repository_id, one.github_id
    FROM json_to_recordset(%s) AS row (repository_id bigint, ref text)
    JOIN activity_release AS one ON one.repository_id = row.repository_id AND row.ref = 'refs/tags/' || one.tag_name
"""
SPREAD_DEPLOYMENT_RULES = """
    WITH repositories AS MATERIALIZED (
        SELECT github_id AS repository_id FROM activity_repository
        WHERE %(is_all)s OR github_id = %(repository_id)s OR owner_id = %(account_id)s
    ), enqueued AS (
        INSERT INTO activity_change (kind, key)
        SELECT 'deployment', github_id::text FROM repositories JOIN activity_deployment USING (repository_id)
        UNION ALL
        SELECT DISTINCT 'workflow_run', repository_id || ':' || run_id
        FROM repositories JOIN activity_workflowrun USING (repository_id)
        UNION ALL
        SELECT 'release', repository_id || ':' || github_id
        FROM repositories JOIN activity_release USING (repository_id)
        UNION ALL
        SELECT DISTINCT 'reported_deployment', repository_id || ':' || external_id
        FROM repositories JOIN activity_reporteddeployment USING (repository_id)
        UNION ALL
        SELECT 'pull_request', repository_id || ':' || number || ':alone'
        FROM repositories JOIN activity_pullrequest USING (repository_id) WHERE merged_at IS NOT NULL
    )
    SELECT repository_id FROM repositories
"""
SPREAD_INCIDENT_RULES = """
    WITH repositories AS MATERIALIZED (
        SELECT github_id AS repository_id FROM activity_repository
        WHERE %(is_all)s OR github_id = %(repository_id)s OR owner_id = %(account_id)s
    ), enqueued AS (
        INSERT INTO activity_change (kind, key)
        SELECT 'issue', repository_id || ':' || number FROM repositories JOIN activity_issue USING (repository_id)
        UNION ALL
        SELECT 'reported_incident', repository_id || ':' || external_id
        FROM repositories JOIN activity_reportedincident USING (repository_id)
    )
    SELECT repository_id FROM repositories
"""

# An account's kind, rule or login bears on what it wrote, reviewed and committed, and on the team of
# its installation. That may be a great deal: it is handed on as changes instead of entering the batch at hand.
SPREAD_CONTRIBUTORS = """
    WITH accounts AS MATERIALIZED (
        SELECT id, lower(nullif(login, '')) AS login
        FROM unnest(%(ids)s::bigint[]) AS id LEFT JOIN activity_contributor ON github_id = id
    ), pull_requests AS (
        SELECT repository_id, number FROM accounts JOIN activity_pullrequest ON author_id = accounts.id
        UNION
        SELECT repository_id, number FROM accounts JOIN activity_review ON author_id = accounts.id
        UNION
        SELECT repository_id, number FROM accounts JOIN activity_pullrequestevent ON subject = accounts.id::text
        WHERE kind = 'review_requested'
        UNION
        SELECT repository_id, number FROM accounts JOIN activity_issuecomment ON author_id = accounts.id
        WHERE is_on_pull_request IS NOT FALSE
        UNION
        SELECT repository_id, number FROM accounts JOIN activity_pullrequest ON assignee_ids @> ARRAY[accounts.id]
        UNION
        SELECT repository_id, number FROM accounts JOIN activity_pullrequestevent ON actor_id = accounts.id
        WHERE kind = 'review_requested'
    ), commits AS (
        SELECT repository_id, sha FROM accounts JOIN activity_commit ON author_id = accounts.id
        UNION
        SELECT repository_id, sha FROM accounts JOIN activity_commit ON lower(author_login) = accounts.login
        WHERE author_login <> ''
        UNION
        SELECT repository_id, sha FROM accounts JOIN metrics_derivedcommit ON author_id = accounts.id
    )
    INSERT INTO activity_change (kind, key)
    SELECT 'pull_request', repository_id || ':' || number FROM pull_requests
    WHERE NOT repository_id || ':' || number = ANY(%(pull_requests)s)
    UNION ALL
    SELECT 'commit', repository_id || ':' || sha FROM commits
    WHERE NOT repository_id || ':' || sha = ANY(%(commits)s)
    UNION ALL
    SELECT DISTINCT 'workflow_run', repository_id || ':' || run_id
    FROM accounts JOIN activity_workflowrun ON actor_id = accounts.id
    UNION ALL
    SELECT 'installation', github_id::text FROM accounts JOIN activity_installation ON account_id = accounts.id
    WHERE NOT github_id = ANY(%(installations)s)
"""


@dataclass(frozen=True, slots=True)
class Stale:
    """The keys that must be derived again."""

    pull_requests: set[Scope] = field(default_factory=set)
    commits: set[Scope] = field(default_factory=set)
    deployments: set[int] = field(default_factory=set)
    installations: set[int] = field(default_factory=set)
    teams: set[int] = field(default_factory=set)
    github_teams: set[int] = field(default_factory=set)
    contributors: set[int] = field(default_factory=set)
    workflow_runs: set[Scope] = field(default_factory=set)
    releases: set[Scope] = field(default_factory=set)
    reported_deployments: set[Scope] = field(default_factory=set)
    incidents: set[Scope] = field(default_factory=set)
    remediations: set[Scope] = field(default_factory=set)
    incident_rules: set[str] = field(default_factory=set)
    deployment_rules: set[str] = field(default_factory=set)
    """Which repositories' rules changed, as the key of the change says."""
    handed_on: set[Scope] = field(default_factory=set)
    """Pull requests that are too many for the current batch."""

    def of_kind(self, kind: str) -> set[int]:
        """Return the keys of a kind that is named by an id alone."""
        by_kind: dict[str, set[int]] = {
            Kind.DEPLOYMENT: self.deployments,
            Kind.INSTALLATION: self.installations,
            Kind.TEAM: self.teams,
            Kind.GITHUB_TEAM: self.github_teams,
            Kind.CONTRIBUTOR: self.contributors,
        }
        return by_kind[kind]

    def of_named_kind(self, kind: str) -> set[Scope]:
        """Return the keys of a kind that is named by a repository and a text."""
        by_kind: dict[str, set[Scope]] = {
            Kind.COMMIT: self.commits,
            Kind.REPORTED_DEPLOYMENT: self.reported_deployments,
            Kind.REMEDIATION: self.remediations,
        }
        return by_kind[kind]


@dataclass(frozen=True, slots=True)
class ChangeAtHand:
    """A change that was claimed or read."""

    id: int
    kind: str
    key: str


def claim(kinds: Collection[str], *, limit: int, skipped: Collection[int] = (), after: int = 0) -> list[ChangeAtHand]:
    """Claim the oldest changes (after this one) that are not locked, in the caller's transaction."""
    rows = db.run(CLAIM, {"kinds": list(kinds), "skipped": list(skipped), "limit": limit, "after": after})
    return [ChangeAtHand(*row) for row in rows]


def oldest(kinds: Collection[str], *, limit: int, skipped: Collection[int] = ()) -> list[ChangeAtHand]:
    """Return the oldest changes without claiming them."""
    rows = db.run(OLDEST, {"kinds": list(kinds), "skipped": list(skipped), "limit": limit, "after": 0})
    return [ChangeAtHand(*row) for row in rows]


def set_aside(change_id: int) -> None:
    """Set this change aside for a while."""
    db.run(SET_ASIDE, [SET_ASIDE_MINUTES, change_id])


def claim_one(change_id: int) -> list[ChangeAtHand]:
    """Claim this change, if it still exists."""
    return [ChangeAtHand(*row) for row in db.run(CLAIM_ONE, [change_id])]


def stale(changes: Iterable[ChangeAtHand], *, most: int) -> Stale:
    """Return everything that the changes make stale, by the facts and not by derived rows.

    A branch or a commit may belong to any number of pull requests: if more than `most` come along, they are handed on.
    """
    found, branches, alone = Stale(), set[Scope](), set[Scope]()
    for change in changes:
        match change.kind:
            case Kind.PULL_REQUEST:
                repository_id, name = split(change.key)
                number, _, mark = name.partition(":")
                (alone if mark == ALONE else found.pull_requests).add((repository_id, int(number)))
            case Kind.BRANCH:
                branches.add(split(change.key))
            case Kind.WORKFLOW_RUN | Kind.RELEASE:
                repository_id, name = split(change.key)
                numbered = found.workflow_runs if change.kind == Kind.WORKFLOW_RUN else found.releases
                numbered.add((repository_id, int(name)))
            case Kind.COMMIT | Kind.REPORTED_DEPLOYMENT | Kind.REMEDIATION:
                found.of_named_kind(change.kind).add(split(change.key))
            case Kind.ISSUE | Kind.REPORTED_INCIDENT | Kind.INCIDENT:
                found.incidents.add(_incident_of(change))
            case Kind.DEPLOYMENT_RULES | Kind.INCIDENT_RULES:
                is_of_incidents = change.kind == Kind.INCIDENT_RULES
                (found.incident_rules if is_of_incidents else found.deployment_rules).add(change.key)
            case _:
                found.of_kind(change.kind).add(int(change.key))
    _bring_deployments(found, branches=branches)
    brought = _brought(found, branches=branches) - found.pull_requests - alone
    found.pull_requests.update(alone)
    (found.handed_on if len(brought) > most else found.pull_requests).update(brought)
    return found


def _incident_of(change: ChangeAtHand) -> Scope:
    """Return the incident that an issue or a report may be, by its name."""
    repository_id, name = split(change.key)
    return repository_id, f"{ORIGINS.get(change.kind, '')}{name}"


def _brought(found: Stale, *, branches: Collection[Scope]) -> set[Scope]:
    """Return the pull requests that changes of branches, commits and other pull requests make stale."""
    brought = set(_found(PULL_REQUESTS_OF_BRANCHES, ("repository_id", "ref"), branches))
    copies = _found(COPIES_OF_COMMITS, ("repository_id", "sha"), found.commits)
    brought.update(_pull_requests_of(found.commits.union(copies)))
    brought.update(_found(PULL_REQUESTS_OF_COPIES, ("repository_id", "sha"), found.commits))
    brought.update(_found(PULL_REQUESTS_OF_MERGES, ("repository_id", "sha"), found.commits))
    brought.update(_found(LATER_PULL_REQUESTS, ("repository_id", "number"), brought | found.pull_requests))
    brought.update(_found(STACKED_PULL_REQUESTS, ("repository_id", "number"), brought | found.pull_requests))
    return brought


def _bring_deployments(found: Stale, *, branches: Collection[Scope]) -> None:
    """Add the deployments whose commits, tags or workflows changed."""
    commits = _found(DEPLOYMENTS_OF_COMMITS, ("repository_id", "sha"), found.commits)
    found.deployments.update(each for (each,) in commits)
    found.reported_deployments.update(_found(REPORTS_OF_COMMITS, ("repository_id", "sha"), found.commits))
    if ServiceRule.objects.filter(field=ServiceRule.Field.WORKFLOW).exists():
        runs = _found(DEPLOYMENTS_OF_RUNS, ("repository_id", "number"), found.workflow_runs)
        found.deployments.update(each for (each,) in runs)
    kinds = set(DeploymentSource.objects.order_by().values_list("kind", flat=True).distinct())
    if DeploymentSource.Kind.WORKFLOW_RUNS in kinds:
        found.workflow_runs.update(_found(RUNS_OF_COMMITS, ("repository_id", "sha"), found.commits))
    if DeploymentSource.Kind.RELEASES in kinds:
        found.releases.update(_found(RELEASES_OF_COMMITS, ("repository_id", "sha"), found.commits))
        found.releases.update(_found(RELEASES_OF_TAGS, ("repository_id", "ref"), branches))


def spread_deployment_rules(key: str) -> set[int]:
    """Enqueue everything that is or may be a deployment of the repositories that the key names, and return them."""
    return _spread_rules(SPREAD_DEPLOYMENT_RULES, key)


def spread_incident_rules(key: str) -> set[int]:
    """Enqueue everything that is or may be an incident of the repositories that the key names, and return them."""
    return _spread_rules(SPREAD_INCIDENT_RULES, key)


def _spread_rules(statement: str, key: str) -> set[int]:
    kind, _, number = key.partition(":")
    scope: dict[str, int | bool | None] = {"repository_id": None, "account_id": None, "is_all": not key}
    if key:
        scope[f"{kind}_id"] = int(number)
    return {each for (each,) in db.run(statement, scope)}


def hand_on(pull_requests: Collection[Scope]) -> None:
    """Enqueue the pull requests as changes of later batches."""
    db.run(HAND_ON, [ALONE, as_json(("repository_id", "number"), sorted(pull_requests))])


def spread_contributors(found: Stale) -> None:
    """Enqueue all that changed accounts wrote, reviewed and committed, except what is already found."""
    known = {
        "ids": sorted(found.contributors),
        "pull_requests": [f"{repository_id}:{number}" for repository_id, number in found.pull_requests],
        "commits": [f"{repository_id}:{sha}" for repository_id, sha in found.commits],
        "installations": sorted(found.installations),
    }
    db.run(SPREAD_CONTRIBUTORS, known)


def split(key: str) -> tuple[int, str]:
    """Return the repository and the name of a key."""
    repository_id, _, name = key.partition(":")
    return int(repository_id), name


def _pull_requests_of(commits: Collection[Scope]) -> list[Scope]:
    """Return the pull requests whose branches brought the commits, perhaps a few more."""
    if not commits:
        return []
    repositories, shas = zip(*commits, strict=True)
    return db.run(PULL_REQUESTS_OF_COMMITS, {"repositories": list(set(repositories)), "shas": list(set(shas))})


def _found(statement: str, names: tuple[str, ...], scopes: Collection[Scope]) -> list[Scope]:
    if not scopes:
        return []
    return db.run(statement, [as_json(names, scopes)])
