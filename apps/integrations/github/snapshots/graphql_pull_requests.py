"""A pull request as GraphQL shows it, as the same facts that its webhooks become."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apps.activity.facts import (
    Fact,
    PullRequestCommitList,
    PullRequestCommitted,
    PullRequestHappened,
    ReviewDismissed,
    ReviewVerdict,
)
from apps.activity.models import PullRequestEvent
from apps.integrations.github.reading import Reading
from apps.integrations.github.snapshots.accounts import account_id, profile
from apps.integrations.github.snapshots.graphql_dialect import account, is_complete, number_of_id, pull_request, review
from apps.integrations.github.snapshots.graphql_dialect import user as account_of_user
from apps.integrations.github.snapshots.pull_requests import VERDICTS, pull_request_facts, review_facts
from apps.integrations.github.snapshots.repositories import CLOCK_SKEW

Kind = PullRequestEvent.Kind
KINDS: Mapping[str, PullRequestEvent.Kind] = {
    "ReadyForReviewEvent": Kind.READY_FOR_REVIEW,
    "ConvertToDraftEvent": Kind.CONVERTED_TO_DRAFT,
    "ReviewRequestedEvent": Kind.REVIEW_REQUESTED,
    "ReviewRequestRemovedEvent": Kind.REVIEW_REQUEST_REMOVED,
    "HeadRefForcePushedEvent": Kind.FORCE_PUSHED,
    "ReopenedEvent": Kind.REOPENED,
    "ClosedEvent": Kind.CLOSED,
}


def pull_request_node_facts(node: Mapping[str, Any], *, repository_id: int, observed_at: datetime) -> Iterator[Fact]:
    """Everything that a node of `fragment PullRequest` says, read at GitHub's `Date`; UnusablePayload if it cannot be.

    Lists that go on are taken as far as they go; whether all commits are there, and labels as a whole, is said only of
    a complete list: finish them with `unfinished` and `extended` first.
    """
    parent = _reading(pull_request(node, repository_id=repository_id), path="pullRequest", observed_at=observed_at)
    yield from pull_request_facts(parent, repository_id=repository_id)
    for listed in (node.get("reviews") or {}).get("nodes") or ():
        shaped = _reading(review(listed), path="pullRequest.review", observed_at=observed_at)
        yield from review_facts(shaped, pull_request=parent, repository_id=repository_id)
    yield from _commits(node, parent=parent, repository_id=repository_id)
    yield from _timeline(node, parent=parent, repository_id=repository_id)


def _commits(node: Mapping[str, Any], *, parent: Reading, repository_id: int) -> Iterator[Fact]:
    """The commits of the current head, each with its author's account, if the e-mail is of one."""
    listed = node["commits"]
    number, head_sha = parent.count("number"), parent.child("head").sha("sha")
    for member in listed["nodes"]:
        commit = parent.alike(member["commit"], path="pullRequest.commit")
        author = commit.child_or_none("author")
        user = author.child_or_none("user") if author else None
        yield from _committer(user, parent=parent)
        before = parent.arrived_at + CLOCK_SKEW
        yield PullRequestCommitted(
            repository_id=repository_id,
            number=number,
            head_sha=head_sha,
            sha=commit.sha("oid"),
            authored_at=commit.git_time("authoredDate", before=before)[0],
            committed_at=commit.git_time("committedDate", before=before)[0],
            author_id=user.id_or_none("databaseId") if user else None,
        )
    if is_complete(listed):
        yield PullRequestCommitList(
            stamp=parent.stamp(parent.time("updated_at")),
            repository_id=repository_id,
            number=number,
            listed_head_sha=head_sha,
            listed_commit_count=len(listed["nodes"]),
        )


def _committer(user: Reading | None, *, parent: Reading) -> Iterator[Fact]:
    if user is not None:
        shaped = account_of_user({"databaseId": user.id_or_none("databaseId"), "login": user.text("login")})
        yield from profile(parent.alike(shaped, path=user.path), at=parent.time("updated_at"))


def _timeline(node: Mapping[str, Any], *, parent: Reading, repository_id: int) -> Iterator[Fact]:
    number = parent.count("number")
    for member in (node.get("timelineItems") or {}).get("nodes") or ():
        item = parent.alike(member, path=f"pullRequest.{member.get('__typename')}")
        if member.get("__typename") == "ReviewDismissedEvent":
            yield from _dismissal(item, repository_id=repository_id, number=number)
        elif member.get("__typename") in KINDS:
            yield from _happening(member, item, repository_id=repository_id, number=number)
    merged_at = parent.time_or_none("merged_at")
    if merged_at is not None:
        merger = account_id(parent.child_or_none("merged_by"))
        yield _happened(Kind.MERGED, at=merged_at, actor_id=merger, repository_id=repository_id, number=number)


def _happening(member: Mapping[str, Any], item: Reading, *, repository_id: int, number: int) -> Iterator[Fact]:
    kind, at = KINDS[member["__typename"]], item.time("createdAt")
    people = [account(member.get("actor"))]
    subject = ""
    if kind in {Kind.REVIEW_REQUESTED, Kind.REVIEW_REQUEST_REMOVED}:
        reviewer = member.get("requestedReviewer")
        if reviewer is None:
            return  # a ghost is nobody, as in a webhook
        people.append(account(reviewer) if reviewer.get("__typename") != "Team" else None)
        subject = _reviewer(item.child("requestedReviewer"), is_team=reviewer.get("__typename") == "Team")
    if kind is Kind.FORCE_PUSHED:
        after = item.child_or_none("afterCommit")
        subject = after.sha("oid") if after else ""
    known = [item.alike(person, path=f"{item.path}.account") for person in people if person]
    for person in known:
        yield from profile(person, at=at)
    actor_id = account_id(known[0]) if people[0] else None
    yield _happened(kind, at=at, actor_id=actor_id, subject=subject, repository_id=repository_id, number=number)


def _reviewer(reviewer: Reading, *, is_team: bool) -> str:
    return f"team:{reviewer.id('databaseId')}" if is_team else str(reviewer.id("databaseId"))


def _dismissal(item: Reading, *, repository_id: int, number: int) -> Iterator[Fact]:
    """What the review had said before, which nothing else tells any more."""
    reviewed, at = item.child_or_none("review"), item.time("createdAt")
    if reviewed is None:
        return  # the review itself was deleted since
    review_id = item.alike({"id": number_of_id(reviewed.text("fullDatabaseId"))}, path=f"{item.path}.review").id()
    yield ReviewDismissed(github_id=review_id, repository_id=repository_id, number=number, dismissed_at=at)
    verdict = item.word("previousReviewState")
    if verdict in VERDICTS:
        yield ReviewVerdict(
            stamp=item.stamp(at), github_id=review_id, repository_id=repository_id, number=number, verdict=verdict
        )


def _happened(
    kind: PullRequestEvent.Kind,
    *,
    at: datetime,
    actor_id: int | None,
    repository_id: int,
    number: int,
    subject: str = "",
) -> PullRequestHappened:
    return PullRequestHappened(
        repository_id=repository_id,
        number=number,
        kind=kind.value,
        subject=subject,
        at=at,
        source=PullRequestEvent.Source.API.value,
        actor_id=actor_id,
    )


def _reading(shaped: Mapping[str, Any], *, path: str, observed_at: datetime) -> Reading:
    return Reading(shaped, path=path, arrived_at=observed_at, observed_at=observed_at)
