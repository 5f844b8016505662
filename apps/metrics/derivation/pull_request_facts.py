"""Facts of pull requests, as their rows are derived from them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.activity.models import Review
from apps.common import db
from apps.metrics.derivation import review_requests, shipments, timeline
from apps.metrics.derivation.commits import Commits, asking_commits, commits_in
from apps.metrics.derivation.people_behind_agents import read_people
from apps.metrics.derivation.review_requests import RequestEvent
from apps.metrics.derivation.review_rounds import Move, Seen, read_listed
from apps.metrics.derivation.shipments import Place
from apps.metrics.derivation.timeline import Happening
from apps.metrics.derived_row_writer import Row, Scope, as_json
from apps.teams.account_classes import class_of
from apps.teams.models import AccountRule

SCOPE = ("repository_id", "number")
Verdict = Review.Verdict
AccountClass = AccountRule.AccountClass
ASKING = (Verdict.CHANGES_REQUESTED, Verdict.COMMENTED)


@dataclass(frozen=True, slots=True)
class SubmittedReview:
    """A review, and who it is by; those of humans other than the author count."""

    review_id: int
    reviewer_id: int | None
    reviewer_login: str
    reviewer_class: str
    submitted_at: datetime
    verdict: str | None
    commit_sha: str | None
    is_by_author: bool

    @property
    def is_by_bot(self) -> bool:
        return self.reviewer_class != AccountClass.HUMAN

    @property
    def seen(self) -> Seen:
        return Seen(self.submitted_at, self.commit_sha)


def counted_reviews(reviews: Iterable[SubmittedReview], *, until: datetime | None) -> list[SubmittedReview]:
    """Return the reviews that count, the earliest first."""
    counted = (each for each in reviews if not reason_against(each, until=until))
    return sorted(counted, key=lambda each: (each.submitted_at, each.review_id))


def reason_against(review: SubmittedReview, *, until: datetime | None) -> str:
    """Return why a review does not count; empty if it does."""
    if review.is_by_bot:
        return "by_bot"
    if review.is_by_author:
        return "by_author"
    return "after_end" if until is not None and review.submitted_at > until else ""


def submitted_review(row: Row, *, author_id: int | None) -> SubmittedReview:
    """Return the review of a row of facts."""
    review_id, reviewer_id, reviewer_login, reviewer_class, submitted_at, verdict, commit_sha = row
    return SubmittedReview(
        review_id=review_id,
        reviewer_id=reviewer_id,
        reviewer_login=reviewer_login,
        reviewer_class=reviewer_class,
        submitted_at=submitted_at,
        verdict=verdict,
        commit_sha=commit_sha,
        is_by_author=reviewer_id == author_id,
    )


REQUESTS = frozenset(review_requests.STEPS)
AUTHOR_CLASS = class_of(login="account.login", kind="account.kind", rule="rule.account_class")
AUTHOR_JOINS = """
    LEFT JOIN activity_contributor AS account ON account.github_id = author_id
    LEFT JOIN teams_accountrule AS rule ON rule.contributor_id = author_id
"""
SCOPES = (
    "WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, number integer))"
)
# A comment on a line of the diff is part of a review, which counts by itself.
FIRST_COMMENT = f"""
    (
        SELECT min(comment.created_at) FROM activity_issuecomment AS comment
        LEFT JOIN activity_contributor AS account ON account.github_id = comment.author_id
        LEFT JOIN teams_accountrule AS rule ON rule.contributor_id = comment.author_id
        WHERE comment.repository_id = activity_pullrequest.repository_id
          AND comment.number = activity_pullrequest.number
          AND comment.is_on_pull_request IS NOT FALSE AND comment.deleted_at IS NULL
          AND comment.author_id IS DISTINCT FROM activity_pullrequest.author_id AND {AUTHOR_CLASS} = 'human'
          AND comment.created_at <= coalesce(merged_at, closed_at, 'infinity')
    )
"""  # noqa: S608  an expression of our own
READ_STATES = f"""
    {SCOPES}
    SELECT repository_id, number, author_id, coalesce(account.login, ''), {AUTHOR_CLASS}, is_draft, created_at,
           updated_at, merged_at, closed_at, merge_sha, additions::bigint + deletions, head_sha,
           head_ref, title, body, labels, {FIRST_COMMENT}
    FROM scopes JOIN activity_pullrequest USING (repository_id, number) {AUTHOR_JOINS}
    WHERE activity_pullrequest.created_at IS NOT NULL
"""  # noqa: S608  names of our own tables and columns
READ_HAPPENINGS = f"""
    {SCOPES}
    SELECT repository_id, number, one.at, one.kind, one.subject, one.source = 'api', one.actor_id,
           {AUTHOR_CLASS} <> 'human'
    FROM scopes JOIN activity_pullrequestevent AS one USING (repository_id, number)
    LEFT JOIN activity_contributor AS account ON account.github_id = CASE
        WHEN one.kind = 'review_requested' AND one.subject ~ '^[0-9]{{1,18}}$' THEN one.subject::bigint
    END
    LEFT JOIN teams_accountrule AS rule ON rule.contributor_id = account.github_id
    WHERE one.kind IN (
        'ready_for_review', 'converted_to_draft', 'closed', 'reopened', 'head_moved', 'force_pushed',
        'review_requested', 'review_request_removed',
        'enqueued', 'dequeued', 'auto_merge_enabled', 'auto_merge_disabled'
    )
"""  # noqa: S608  names of our own tables and columns
READ_REVIEWS = f"""
    {SCOPES}
    SELECT repository_id, number, activity_review.github_id, author_id, coalesce(account.login, ''), {AUTHOR_CLASS},
           submitted_at, verdict, commit_sha
    FROM scopes JOIN activity_review USING (repository_id, number) {AUTHOR_JOINS}
    WHERE submitted_at IS NOT NULL AND deleted_at IS NULL
"""  # noqa: S608  names of our own tables and columns


@dataclass(frozen=True, slots=True)
class State:
    """The current state of a pull request."""

    repository_id: int
    number: int
    author_id: int | None
    author_login: str
    author_class: str
    is_draft: bool
    opened_at: datetime
    updated_at: datetime
    merged_at: datetime | None
    closed_at: datetime | None
    merge_sha: str | None
    size: int | None
    head_sha: str
    head_ref: str
    title: str
    body: str
    labels: Sequence[str] | None
    commented_at: datetime | None
    """The first comment by a human other than the author, up to its end."""

    @property
    def is_bot_author(self) -> bool:
        """Return whether an agent or another bot opened it."""
        return self.author_class != AccountClass.HUMAN

    @property
    def ended_at(self) -> datetime | None:
        return self.merged_at or self.closed_at


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rows of a pull request are derived from."""

    state: State
    history: Sequence[Happening]
    requests: Sequence[RequestEvent]
    reviews: Sequence[SubmittedReview]
    commits: Commits
    listed: Sequence[Move]
    place: Place | None
    attributed_to_id: int | None = None
    """The person to whom it is attributed, if an agent opened it."""

    @property
    def scope(self) -> Scope:
        return self.state.repository_id, self.state.number


Reading = Callable[[Iterable[db.Statement]], list[list[Row]]]


def read_facts(scopes: Sequence[Scope], *, reading: Reading = db.run_each) -> list[Facts]:
    """Return the facts of the pull requests that are known to have been opened."""
    asked = [as_json(SCOPE, scopes)]
    happened, reviewed, committed, placed, stated = reading(
        [
            (READ_HAPPENINGS, asked),
            (READ_REVIEWS, asked),
            asking_commits(scopes),
            shipments.asking_places(scopes),
            (READ_STATES, asked),
        ]
    )
    happenings, reviews = _grouped(happened), _grouped(reviewed)
    commits, places = commits_in(committed), shipments.places_in(placed)
    listed = read_listed(list(reviews)) if reviews else {}
    states = [State(*row) for row in stated]
    people = read_people((one.repository_id, one.number) for one in states if one.author_class == AccountClass.AGENT)
    found = []
    for state in states:
        scope = state.repository_id, state.number
        found.append(
            Facts(
                state=state,
                history=_history(happenings[scope]),
                requests=_requests(happenings[scope]),
                reviews=[submitted_review(row, author_id=state.author_id) for row in reviews[scope]],
                commits=commits[scope],
                listed=listed.get(scope, ()),
                place=places.get(scope),
                attributed_to_id=people.get(scope),
            )
        )
    return found


def _history(happenings: Iterable[Row]) -> list[Happening]:
    return timeline.deduplicated(Happening(*row) for *row, _ in happenings if row[1] not in REQUESTS)


def _requests(happenings: Iterable[Row]) -> list[RequestEvent]:
    return [
        RequestEvent(at, kind, subject, is_from_api, is_of_bot)
        for at, kind, subject, is_from_api, _, is_of_bot in happenings
        if kind in REQUESTS
    ]


def _grouped(rows: Iterable[Row]) -> dict[Scope, list[Row]]:
    grouped: dict[Scope, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[0], row[1]].append(row[2:])
    return grouped
