"""Commits that landed on the default branch, each with its author."""

from collections.abc import Sequence

from apps.common import db
from apps.metrics.models import RULES_VERSION, DerivedCommit
from apps.metrics.storing import DerivedTable, Row, Scope, as_json

SCOPE = ("repository_id", "sha")
COMMITS = DerivedTable(model=DerivedCommit, key=SCOPE, scope=SCOPE)

# A push says when a commit landed. Where none is known, history says that it did, and when its committer's date says.
# The API says how many parents a commit has. Until it is asked, the push that brought the commit lets presume.
#
# The API names the author by id. A push knows a login at best, which may be nobody's by now, or of two accounts
# (labels go stale): then the younger account, as a login is given again only once its first holder gave it up. Who was
# seen last does not decide: being seen again is no Change. A login that nobody holds still tells a bot by its name.
READ = """
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, sha text))
    SELECT repository_id, sha, coalesce(author_id, named.github_id),
           coalesce(nullif(account.login, ''), nullif(author_login, ''), author_name),
           coalesce(rule.is_bot, nullif(account.kind, '') = 'bot', author_login LIKE '%%[bot]'),
           coalesce(parent_count, presumed_parent_count) > 1, coalesce(landed_at, presumed_landed_at)
    FROM scopes JOIN activity_commit USING (repository_id, sha)
    LEFT JOIN LATERAL (
        SELECT github_id FROM activity_contributor
        WHERE author_id IS NULL AND author_login <> '' AND lower(login) = lower(author_login)
        ORDER BY github_id DESC LIMIT 1
    ) AS named ON true
    LEFT JOIN activity_contributor AS account ON account.github_id = coalesce(author_id, named.github_id)
    LEFT JOIN teams_botrule AS rule ON rule.contributor_id = account.github_id
    WHERE coalesce(landed_at, presumed_landed_at) IS NOT NULL
"""


def derive(scopes: Sequence[Scope]) -> list[Row]:
    """The rows of those commits that have landed, their columns in the order of the model."""
    return [(*row, RULES_VERSION) for row in db.run(READ, [as_json(SCOPE, scopes)])]
