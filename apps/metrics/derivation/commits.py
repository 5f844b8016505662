"""Derivation of commits on the default branch, with their authors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from apps.common import db
from apps.metrics.derived_row_writer import DerivedTable, Row, Scope, as_json
from apps.metrics.models import DerivedCommit
from apps.teams.account_classes import class_of

SCOPE = ("repository_id", "sha")
AUTHOR_CLASS = class_of(
    login="coalesce(nullif(account.login, ''), author_login)",
    kind="coalesce(account.kind, '')",
    rule="rule.account_class",
)
COMMITS = DerivedTable(model=DerivedCommit, key=SCOPE, scope=SCOPE)

# A push says when a commit landed. Where none is known, history says that it did, and when its committer's date says.
# The API says how many parents a commit has. Until it is asked, the push that brought the commit lets presume.
#
# The API names the author by id. A push knows a login at best, which may be nobody's by now, or of two accounts
# (labels go stale): then the younger account, as a login is given again only once its first holder gave it up. Who was
# seen last does not decide: being seen again is no Change. An unused login still shows a bot by its name.
READ = f"""
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, sha text))
    SELECT repository_id, sha, coalesce(author_id, named.github_id) AS author_id,
           coalesce(nullif(account.login, ''), nullif(author_login, ''), author_name) AS author_login,
           {AUTHOR_CLASS} <> 'human' AS is_by_bot,
           coalesce(parent_count, presumed_parent_count) > 1 AS is_merge,
           coalesce(landed_at, presumed_landed_at) AS landed_at
    FROM scopes JOIN activity_commit USING (repository_id, sha)
    LEFT JOIN LATERAL (
        SELECT github_id FROM activity_contributor
        WHERE author_id IS NULL AND author_login <> '' AND lower(login) = lower(author_login)
        ORDER BY github_id DESC LIMIT 1
    ) AS named ON true
    LEFT JOIN activity_contributor AS account ON account.github_id = coalesce(author_id, named.github_id)
    LEFT JOIN teams_accountrule AS rule ON rule.contributor_id = account.github_id
    WHERE coalesce(landed_at, presumed_landed_at) IS NOT NULL
"""  # noqa: S608  an expression of our own


def derive(scopes: Sequence[Scope]) -> list[Row]:
    """Return the rows of the commits that have landed."""
    return [COMMITS.row(**row) for row in db.run_with_names(READ, [as_json(SCOPE, scopes)])]


OLDEST_BELIEVED = timedelta(days=365)
"""An author date further back from the opening is an accident (a wrong clock, a cherry-pick)."""


@dataclass(frozen=True, slots=True)
class TrailerLine:
    """A trailer of a commit, as `token: value`."""

    sha: str
    text: str


@dataclass(frozen=True, slots=True)
class Commits:
    """The trailers and dates of a pull request's commits: of a copy when it was committed, of others when authored."""

    first_begun_at: datetime | None = None
    has_clamped_date: bool = False
    is_force_pushed: bool = False
    is_cherry_picked: bool = False
    trailers: tuple[TrailerLine, ...] = ()


COMMITS_OF_PULL_REQUESTS = """
    WITH RECURSIVE scopes AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%(scopes)s) AS row (repository_id bigint, number integer)
    ), pull_requests AS MATERIALIZED (
        SELECT repository_id, number, head_ref, 'refs/heads/' || head_ref AS ref, head_sha, created_at, merged_at
        FROM scopes JOIN activity_pullrequest USING (repository_id, number)
        WHERE is_cross_repository IS NOT TRUE AND head_ref <> ''
    ), heads AS (
        SELECT repository_id, number, ref, created_at, merged_at, head_sha AS sha FROM pull_requests
        UNION
        SELECT repository_id, number, ref, created_at, merged_at, subject
        FROM pull_requests JOIN activity_pullrequestevent USING (repository_id, number)
        WHERE kind IN ('head_moved', 'force_pushed')
    ), ends AS MATERIALIZED (
        SELECT one.repository_id, one.number, earlier.head_sha AS sha
        FROM pull_requests AS one JOIN activity_pullrequest AS earlier USING (repository_id, head_ref)
        WHERE earlier.is_cross_repository IS NOT TRUE AND earlier.number < one.number
          AND earlier.merged_at IS NOT NULL
    ), path AS (
        SELECT repository_id, number, ref, created_at, merged_at, sha, NULL::bigint AS push_id
        FROM heads WHERE sha <> ''
        UNION
        SELECT repository_id, number, ref, created_at, merged_at, push.before_sha, push.id
        FROM path CROSS JOIN LATERAL (
            SELECT id, before_sha FROM activity_push
            WHERE (repository_id, ref, after_sha) = (path.repository_id, path.ref, path.sha)
              AND is_default_branch = 0 AND pushed_at > path.created_at - make_interval(days => %(days)s)
            OFFSET 0  -- one look into the index for each step, whatever the planner thinks of the rest
        ) AS push
        WHERE (repository_id, number, sha) NOT IN (SELECT repository_id, number, sha FROM ends)
    ), pushes AS MATERIALIZED (
        SELECT path.repository_id, number, pushed_at,
               CASE WHEN cardinality(distinct_shas) > 0 THEN distinct_shas ELSE commit_shas END AS shas,
               is_forced = 1 AND pushed_at BETWEEN path.created_at AND coalesce(path.merged_at, 'infinity') AS is_forced
        FROM path JOIN activity_push ON id = push_id
    ), pushed AS MATERIALIZED (
        SELECT repository_id, number, sha, kept.authored_at, kept.committed_at, kept.is_date_clamped,
               coalesce(kept.landed_at < pushes.pushed_at, false) AS had_landed
        FROM pushes CROSS JOIN LATERAL unnest(shas) AS pushed (sha) CROSS JOIN LATERAL (
            SELECT authored_at, committed_at, is_date_clamped, landed_at FROM activity_commit
            WHERE (repository_id, sha) = (pushes.repository_id, pushed.sha)
            OFFSET 0  -- as above
        ) AS kept
    ), commits AS (
        SELECT repository_id, number, sha, authored_at, committed_at, false AS is_clamped, false AS had_landed
        FROM scopes JOIN activity_pullrequestcommit USING (repository_id, number)
        UNION
        SELECT repository_id, number, sha, authored_at, committed_at, is_date_clamped, had_landed FROM pushed
    ), begun AS (
        -- A cherry-picked commit has the author date of its original, which had landed when the copy was committed.
        SELECT repository_id, number, sha, authored_at, is_clamped, had_landed, original.is_found AS is_copy,
               CASE WHEN original.is_found THEN committed_at ELSE authored_at END AS at
        FROM commits LEFT JOIN LATERAL (
            SELECT true AS is_found FROM activity_commit AS one
            WHERE (one.repository_id, one.authored_at) = (commits.repository_id, commits.authored_at)
              AND one.sha <> commits.sha AND commits.committed_at > commits.authored_at AND NOT had_landed
              AND coalesce(one.landed_at, one.presumed_landed_at) <= commits.committed_at
            LIMIT 1
        ) AS original ON true
    ), forced AS (
        SELECT repository_id, number, bool_or(is_forced) AS is_forced FROM pushes GROUP BY repository_id, number
    )
"""
READING = f"""
    {COMMITS_OF_PULL_REQUESTS}
    , lines AS (
        SELECT repository_id, number, sha, unnest(trailers) AS line
        FROM scopes JOIN activity_pullrequestcommit USING (repository_id, number)
        UNION ALL
        SELECT repository_id, number, sha, token || ': ' || value
        FROM pushed JOIN activity_committrailer USING (repository_id, sha) WHERE NOT had_landed
        UNION ALL
        SELECT repository_id, number, sha, token || ': ' || value
        FROM scopes JOIN activity_pullrequest AS one USING (repository_id, number)
        JOIN activity_committrailer AS kept USING (repository_id) WHERE kept.sha = one.merge_sha
    ), trailers AS (
        SELECT repository_id, number, array_agg(DISTINCT sha || ' ' || line) AS trailers
        FROM lines GROUP BY repository_id, number
    )
    SELECT repository_id, number, min(at) FILTER (WHERE NOT is_clamped), coalesce(bool_or(is_clamped), false),
           coalesce(bool_or(forced.is_forced), false), coalesce(bool_or(is_copy), false), coalesce(trailers, '{{}}')
    FROM scopes
    LEFT JOIN (SELECT * FROM begun WHERE NOT had_landed) AS own USING (repository_id, number)
    LEFT JOIN forced USING (repository_id, number)
    LEFT JOIN trailers USING (repository_id, number)
    GROUP BY repository_id, number, trailers
"""  # noqa: S608  a clause of our own
READ_CANDIDATES = f"""
    {COMMITS_OF_PULL_REQUESTS}
    SELECT sha, coalesce(min(at) FILTER (WHERE NOT is_clamped AND NOT had_landed), min(authored_at)) AS at,
           CASE WHEN bool_or(NOT is_clamped AND NOT had_landed AND at IS NOT NULL) THEN ''
                WHEN bool_and(had_landed) THEN 'had_landed' WHEN bool_or(is_clamped) THEN 'date_clamped'
                ELSE 'date_unknown' END AS reason
    FROM begun GROUP BY sha ORDER BY at, sha
"""  # noqa: S608  a clause of our own


def asking_commits(scopes: Sequence[Scope]) -> db.Statement:
    """Return the statement of the pull requests' commits, whose rows are for `commits_in`."""
    return READING, _asked(scopes)


def commits_in(rows: Iterable[Row]) -> dict[Scope, Commits]:
    """Return the dates and trailers of each pull request's commits."""
    return {
        (repository_id, number): replace(Commits(*dates), trailers=_lines(trailers))
        for repository_id, number, *dates, trailers in rows
    }


def _lines(trailers: Sequence[str]) -> tuple[TrailerLine, ...]:
    return tuple(TrailerLine(*trailer.split(" ", 1)) for trailer in trailers)


@dataclass(frozen=True, slots=True)
class CommitCandidate:
    """A commit that was pushed or listed for a pull request, and why it does not count; empty if it does."""

    sha: str
    at: datetime | None
    reason: str


def asking_candidates(scope: Scope) -> db.Statement:
    """Return the statement of the commits that the first one is chosen from, the earliest first."""
    return READ_CANDIDATES, _asked([scope])


def _asked(scopes: Sequence[Scope]) -> dict[str, Any]:
    return {"scopes": as_json(("repository_id", "number"), scopes), "days": OLDEST_BELIEVED.days}


@dataclass(frozen=True, slots=True)
class FirstCommit:
    """The time of the first commit, and whether it was adjusted."""

    at: datetime | None
    is_adjusted: bool


def first_commit(commits: Commits, *, opened_at: datetime, ready_at: datetime | None) -> FirstCommit:
    """Return the earliest date: not after `ready_at`, and not more than a year before the opening."""
    at = commits.first_begun_at
    if at is None:
        return FirstCommit(None, commits.has_clamped_date)
    bent = max(at, opened_at - OLDEST_BELIEVED)
    if ready_at is not None:
        bent = min(bent, ready_at)
    return FirstCommit(bent, bent != at or commits.has_clamped_date)
