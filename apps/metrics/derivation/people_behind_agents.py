"""The people to whom the pull requests of agents are attributed."""

from collections.abc import Iterable

from apps.common import db
from apps.metrics.derived_row_writer import Scope, as_json
from apps.teams.account_classes import class_of

# The first person assigned, else the person who first requested a review.
READ = f"""
    WITH scopes AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, number integer)
    ), candidates AS (
        SELECT repository_id, number, 1 AS rank, one.place, NULL::timestamptz AS at, one.account_id
        FROM scopes JOIN activity_pullrequest USING (repository_id, number)
        CROSS JOIN LATERAL unnest(assignee_ids) WITH ORDINALITY AS one (account_id, place)
        UNION ALL
        SELECT repository_id, number, 2, NULL, at, actor_id
        FROM scopes JOIN activity_pullrequestevent USING (repository_id, number)
        WHERE kind = 'review_requested'
    )
    SELECT DISTINCT ON (repository_id, number) repository_id, number, account_id
    FROM candidates JOIN activity_contributor AS account ON account.github_id = account_id
    LEFT JOIN teams_accountrule AS rule ON rule.contributor_id = account_id
    WHERE {class_of(login="account.login", kind="account.kind", rule="rule.account_class")} = 'human'
    ORDER BY repository_id, number, rank, place, at, account_id
"""  # noqa: S608  an expression of our own


def read_people(scopes: Iterable[Scope]) -> dict[Scope, int]:
    """Return the person to whom each of these pull requests is attributed; those without any are left out."""
    agents = sorted(scopes)
    if not agents:
        return {}
    rows = db.run(READ, [as_json(("repository_id", "number"), agents)])
    return {(repository_id, number): account_id for repository_id, number, account_id in rows}
