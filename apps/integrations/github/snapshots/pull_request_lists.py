"""What a pull request has in lists of their own beside its reviews: its commits and its timeline."""

from collections.abc import Iterator, Mapping
from datetime import datetime

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
from apps.integrations.github.snapshots.accounts import WEB_FLOW, account_id, profile, profiles
from apps.integrations.github.snapshots.pull_requests import VERDICTS
from apps.integrations.github.snapshots.repositories import CLOCK_SKEW, git_date

Kind = PullRequestEvent.Kind
KINDS: Mapping[str, PullRequestEvent.Kind] = {
    "ready_for_review": Kind.READY_FOR_REVIEW,
    "convert_to_draft": Kind.CONVERTED_TO_DRAFT,
    "review_requested": Kind.REVIEW_REQUESTED,
    "review_request_removed": Kind.REVIEW_REQUEST_REMOVED,
    "head_ref_force_pushed": Kind.FORCE_PUSHED,
    "reopened": Kind.REOPENED,
    "closed": Kind.CLOSED,
}


def commit_facts(commit: Reading, *, pull_request: Reading, repository_id: int, position: int) -> Iterator[Fact]:
    """A commit of the pull request's current head. A person's account is known there by number, a bot's is not."""
    author, signed = commit.child_or_none("author"), commit.child("commit")
    if author is not None and author.text_or_none("type") != "User":
        author = None
    yield from profile(author, at=pull_request.time("updated_at"))
    before = pull_request.arrived_at + CLOCK_SKEW
    yield PullRequestCommitted(
        repository_id=repository_id,
        number=pull_request.count("number"),
        head_sha=pull_request.child("head").sha("sha"),
        sha=commit.sha("sha"),
        authored_at=git_date(signed.child_or_none("author"), signed, before=before)[0],
        committed_at=git_date(signed.child_or_none("committer"), signed, before=before)[0],
        author_id=account_id(author),
        position=position,
        is_by_author=int(_is_by_author(commit, pull_request=pull_request)),
    )


def _is_by_author(commit: Reading, *, pull_request: Reading) -> bool:
    """Whether the author of the pull request pushed the commit, as far as its accounts tell.

    Nobody tells who pushed a commit. Its committer made it in the clone that it was pushed from, unless GitHub did.
    """
    pushers = [login for role in ("committer", "author") if (login := _login(commit, role)) not in {None, WEB_FLOW}]
    return not pushers or pushers[0] == _login(pull_request, "user")


def _login(parent: Reading, role: str) -> str | None:
    account = parent.child_or_none(role)
    return account.text_or_none("login") if account else None


def commit_list(pull_request: Reading, *, repository_id: int, count: int) -> PullRequestCommitList:
    """That all commits of the current head were told, and how many they are."""
    return PullRequestCommitList(
        stamp=pull_request.stamp(pull_request.time("updated_at")),
        repository_id=repository_id,
        number=pull_request.count("number"),
        listed_head_sha=pull_request.child("head").sha("sha"),
        listed_commit_count=count,
    )


def merging_facts(pull_request: Reading, *, repository_id: int) -> Iterator[Fact]:
    """The merge, which a merged pull request tells of itself."""
    merged_at = pull_request.time_or_none("merged_at")
    if merged_at is not None:
        merger = account_id(pull_request.child_or_none("merged_by"))
        number = pull_request.count("number")
        yield _happened(Kind.MERGED, at=merged_at, actor_id=merger, repository_id=repository_id, number=number)


def timeline_facts(item: Reading, *, repository_id: int, number: int) -> Iterator[Fact]:
    """An item of the timeline by its own time; most kinds of items say nothing that we keep."""
    event = item.word_or_none("event") or ""
    if event == "review_dismissed":
        yield from _dismissal(item, repository_id=repository_id, number=number)
    elif event in KINDS:
        yield from _happening(KINDS[event], item, repository_id=repository_id, number=number)


def _happening(kind: PullRequestEvent.Kind, item: Reading, *, repository_id: int, number: int) -> Iterator[Fact]:
    at, subject = item.time("created_at"), _subject(kind, item)
    if subject is None:
        return  # a ghost is nobody, as in a webhook
    yield from profiles(item, "actor", "requested_reviewer", at=at)
    actor_id = account_id(item.child_or_none("actor"))
    yield _happened(kind, at=at, actor_id=actor_id, subject=subject, repository_id=repository_id, number=number)


def _subject(kind: PullRequestEvent.Kind, item: Reading) -> str | None:
    """Whom or what it concerns."""
    if kind is Kind.FORCE_PUSHED:
        return "" if item.text_or_none("commit_id") is None else item.sha("commit_id")
    if kind not in {Kind.REVIEW_REQUESTED, Kind.REVIEW_REQUEST_REMOVED}:
        return ""
    reviewer, team = item.child_or_none("requested_reviewer"), item.child_or_none("requested_team")
    if team is not None:
        return f"team:{team.id()}"
    return None if reviewer is None else str(reviewer.id())


def _dismissal(item: Reading, *, repository_id: int, number: int) -> Iterator[Fact]:
    """What the review had said before, which nothing else tells any more."""
    reviewed, at = item.child("dismissed_review"), item.time("created_at")
    review_id = reviewed.id_or_none("review_id")
    if review_id is None:
        return  # the review itself was deleted since
    yield ReviewDismissed(github_id=review_id, repository_id=repository_id, number=number, dismissed_at=at)
    verdict = reviewed.word("state")
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
