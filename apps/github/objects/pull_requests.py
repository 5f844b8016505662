"""Pull requests in their field groups, reviews and review comments."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from apps.activity.facts import (
    Fact,
    PullRequestAssignees,
    PullRequestCommitList,
    PullRequestCommitted,
    PullRequestCore,
    PullRequestHappened,
    PullRequestLabels,
    PullRequestSizes,
    PullRequestStack,
    PullRequestText,
    ReviewCommentState,
    ReviewDismissed,
    ReviewSubmitted,
    ReviewVerdict,
    Stamp,
)
from apps.activity.models import PullRequestEvent, Review
from apps.activity.trailers import trailers_of_message
from apps.github.objects.accounts import WEB_FLOW, account_id, profile, profiles
from apps.github.payload import CLOCK_SKEW, PayloadReader, git_date

TITLE = 1000
REASON = 100
VERDICTS = frozenset(Review.Verdict.values)


def pull_request_facts(pull_request: PayloadReader, *, repository_id: int) -> Iterator[Fact]:
    """Yield every field group that this representation has: only the full one has sizes."""
    updated_at = pull_request.time("updated_at")
    stamp = pull_request.stamp(updated_at, is_merged=pull_request.time_or_none("merged_at") is not None)
    yield core(pull_request, repository_id=repository_id, stamp=stamp)
    if "additions" in pull_request:
        yield sizes(pull_request, repository_id=repository_id, stamp=stamp)
    if "labels" in pull_request:
        yield labels(pull_request, repository_id=repository_id, stamp=stamp)
    if "assignees" in pull_request:
        yield from assignees(pull_request, repository_id=repository_id, stamp=stamp)
    if "body" in pull_request:
        yield text(pull_request, repository_id=repository_id, stamp=stamp)
    if "stack" in pull_request:
        yield stack(pull_request, repository_id=repository_id, stamp=stamp)
    yield from profiles(pull_request, "user", "merged_by", at=updated_at)


def core(pull_request: PayloadReader, *, repository_id: int, stamp: Stamp) -> PullRequestCore:
    head, merged_at = pull_request.child("head"), pull_request.time_or_none("merged_at")
    return PullRequestCore(
        stamp=stamp,
        repository_id=repository_id,
        number=pull_request.count("number"),
        github_id=pull_request.id(),
        title=pull_request.prose("title", limit=TITLE),
        state=pull_request.word("state"),
        is_draft=pull_request.flag("draft", default=False),
        author_id=account_id(pull_request.child_or_none("user")),
        author_association=pull_request.word_or_none("author_association"),
        created_at=pull_request.time("created_at"),
        updated_at=stamp.source_updated_at,
        closed_at=pull_request.time_or_none("closed_at"),
        merged_at=merged_at,
        merge_sha=pull_request.text_or_none("merge_commit_sha") if merged_at else None,
        base_ref=pull_request.child("base").text("ref"),
        head_ref=head.text("ref"),
        head_sha=head.text("sha"),
        is_cross_repository=is_cross_repository(head, repository_id=repository_id),
    )


def is_cross_repository(head: PayloadReader, *, repository_id: int) -> bool:
    """Return whether the head is in another repository; only a fork can be gone while the pull request is there."""
    repository = head.child_or_none("repo")
    return repository is None or repository.id() != repository_id


def sizes(pull_request: PayloadReader, *, repository_id: int, stamp: Stamp) -> PullRequestSizes:
    return PullRequestSizes(
        stamp=stamp,
        repository_id=repository_id,
        number=pull_request.count("number"),
        additions=pull_request.count("additions"),
        deletions=pull_request.count("deletions"),
        changed_files=pull_request.count("changed_files"),
        commit_count=pull_request.count("commits"),
        merged_by_id=account_id(pull_request.child_or_none("merged_by")),
    )


def labels(pull_request: PayloadReader, *, repository_id: int, stamp: Stamp) -> PullRequestLabels:
    return PullRequestLabels(
        stamp=stamp,
        repository_id=repository_id,
        number=pull_request.count("number"),
        labels=label_names(pull_request),
    )


def label_names(parent: PayloadReader) -> tuple[str, ...]:
    """Return the labels of an issue or pull request, sorted."""
    return tuple(sorted(label.text("name") for label in parent.children("labels")))


def assignees(pull_request: PayloadReader, *, repository_id: int, stamp: Stamp) -> Iterator[Fact]:
    """Yield the people assigned, and their accounts."""
    people = [one for one in pull_request.children("assignees") if one.text_or_none("type") == "User"]
    yield PullRequestAssignees(
        stamp=stamp,
        repository_id=repository_id,
        number=pull_request.count("number"),
        assignee_ids=tuple(one.id() for one in people),
    )
    for one in people:
        yield from profile(one, at=stamp.source_updated_at)


def text(pull_request: PayloadReader, *, repository_id: int, stamp: Stamp) -> PullRequestText:
    return PullRequestText(
        stamp=stamp,
        repository_id=repository_id,
        number=pull_request.count("number"),
        body=pull_request.prose("body"),
    )


def stack(pull_request: PayloadReader, *, repository_id: int, stamp: Stamp) -> PullRequestStack:
    """Return the stack that the pull request is in: a null member is no stack, a missing member is unknown."""
    found = pull_request.child_or_none("stack")
    base = found.child_or_none("base") if found else None
    return PullRequestStack(
        stamp=stamp,
        repository_id=repository_id,
        number=pull_request.count("number"),
        stack_id=found.id() if found else None,
        stack_number=found.count("number") if found else None,
        stack_size=found.count("size") if found else None,
        stack_position=found.count("position") if found else None,
        stack_base_ref=base.text_or_none("ref") if base else None,
        stack_base_sha=base.text_or_none("sha") if base else None,
    )


def review_facts(review: PayloadReader, *, pull_request: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """Yield a submitted review, its verdict, and its dismissal; nothing for a pending review.

    A dismissed review does not show its former verdict, so it brings none and overwrites none.
    """
    submitted_at = review.time_or_none("submitted_at")
    state = review.word("state")
    if submitted_at is None:
        return
    yield from profiles(review, "user", at=submitted_at)
    number, review_id, stamp = pull_request.count("number"), review.id(), review.stamp(submitted_at)
    yield ReviewSubmitted(
        stamp=stamp,
        github_id=review_id,
        repository_id=repository_id,
        number=number,
        author_id=account_id(review.child_or_none("user")),
        submitted_at=submitted_at,
        commit_sha=review.text_or_none("commit_id"),
    )
    if state in VERDICTS:
        yield ReviewVerdict(stamp=stamp, github_id=review_id, repository_id=repository_id, number=number, verdict=state)
    if state == "dismissed":
        dismissed_at = pull_request.time("updated_at")
        yield ReviewDismissed(
            github_id=review_id, repository_id=repository_id, number=number, dismissed_at=dismissed_at
        )


def review_comment_facts(comment: PayloadReader, *, repository_id: int, number: int) -> Iterator[Fact]:
    """Yield a comment on a line of the diff, and its author."""
    updated_at = comment.time("updated_at")
    yield ReviewCommentState(
        stamp=comment.stamp(updated_at),
        github_id=comment.id(),
        repository_id=repository_id,
        number=number,
        review_id=comment.id_or_none("pull_request_review_id"),
        author_id=account_id(comment.child_or_none("user")),
        created_at=comment.time("created_at"),
    )
    yield from profiles(comment, "user", at=updated_at)


Kind = PullRequestEvent.Kind
KINDS: Mapping[str, PullRequestEvent.Kind] = {
    "ready_for_review": Kind.READY_FOR_REVIEW,
    "convert_to_draft": Kind.CONVERTED_TO_DRAFT,
    "review_requested": Kind.REVIEW_REQUESTED,
    "review_request_removed": Kind.REVIEW_REQUEST_REMOVED,
    "head_ref_force_pushed": Kind.FORCE_PUSHED,
    "reopened": Kind.REOPENED,
    "closed": Kind.CLOSED,
    "added_to_merge_queue": Kind.ENQUEUED,
    "removed_from_merge_queue": Kind.DEQUEUED,
    "auto_merge_enabled": Kind.AUTO_MERGE_ENABLED,
    "auto_squash_enabled": Kind.AUTO_MERGE_ENABLED,
    "auto_rebase_enabled": Kind.AUTO_MERGE_ENABLED,
    "auto_merge_disabled": Kind.AUTO_MERGE_DISABLED,
    "base_ref_changed": Kind.BASE_CHANGED,
    "automatic_base_change_succeeded": Kind.BASE_CHANGED,
}


def commit_facts(
    commit: PayloadReader, *, pull_request: PayloadReader, repository_id: int, position: int
) -> Iterator[Fact]:
    """Yield a commit of the pull request's current head; it has the id of a person's account, but not of a bot's."""
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
        trailers=_trailers(signed),
    )


def _trailers(signed: PayloadReader) -> tuple[str, ...] | None:
    if "message" not in signed:
        return None
    return tuple(f"{token}: {value}" for token, value in trailers_of_message(signed.prose("message")))


def _is_by_author(commit: PayloadReader, *, pull_request: PayloadReader) -> bool:
    """Return whether the author of the pull request pushed the commit, as far as its accounts show.

    GitHub does not say who pushed a commit. Its committer made it in the clone it was pushed from, unless GitHub did.
    """
    pushers = [login for role in ("committer", "author") if (login := _login(commit, role)) not in {None, WEB_FLOW}]
    return not pushers or pushers[0] == _login(pull_request, "user")


def _login(parent: PayloadReader, role: str) -> str | None:
    account = parent.child_or_none(role)
    return account.text_or_none("login") if account else None


def commit_list(pull_request: PayloadReader, *, repository_id: int, count: int) -> PullRequestCommitList:
    """Return the fact that all commits of the current head are listed, and their number."""
    return PullRequestCommitList(
        stamp=pull_request.stamp(pull_request.time("updated_at")),
        repository_id=repository_id,
        number=pull_request.count("number"),
        listed_head_sha=pull_request.child("head").sha("sha"),
        listed_commit_count=count,
    )


def merging_facts(pull_request: PayloadReader, *, repository_id: int) -> Iterator[Fact]:
    """Yield the merge of a merged pull request."""
    merged_at = pull_request.time_or_none("merged_at")
    if merged_at is not None:
        merger = account_id(pull_request.child_or_none("merged_by"))
        number = pull_request.count("number")
        yield _happened(Kind.MERGED, at=merged_at, actor_id=merger, repository_id=repository_id, number=number)


def timeline_facts(item: PayloadReader, *, repository_id: int, number: int) -> Iterator[Fact]:
    """Yield an item of the timeline by its own time; most kinds of items become nothing."""
    event = item.word_or_none("event") or ""
    if event == "review_dismissed":
        yield from _dismissal(item, repository_id=repository_id, number=number)
    elif event in KINDS:
        yield from _happening(KINDS[event], item, repository_id=repository_id, number=number)


def _happening(kind: PullRequestEvent.Kind, item: PayloadReader, *, repository_id: int, number: int) -> Iterator[Fact]:
    at, subject = item.time("created_at"), _subject(kind, item)
    if subject is None:
        return  # a ghost has no id, as in a webhook; REST does not name the former base
    yield from profiles(item, "actor", "requested_reviewer", at=at)
    happened = _happened(
        kind,
        at=at,
        actor_id=account_id(item.child_or_none("actor")),
        subject=subject,
        repository_id=repository_id,
        number=number,
    )
    yield replace(happened, reason=removal_reason(item)) if kind is Kind.DEQUEUED else happened


def removal_reason(parent: PayloadReader) -> str | None:
    """Return why a pull request left the merge queue, as far as it is said; REST says nothing."""
    return parent.prose("reason", limit=REASON).lower() or None


def _subject(kind: PullRequestEvent.Kind, item: PayloadReader) -> str | None:
    """Return the person, team, head or former base that an item is about."""
    if kind is Kind.BASE_CHANGED:
        return item.text_or_none("former_base")
    if kind is Kind.FORCE_PUSHED:
        return "" if item.text_or_none("commit_id") is None else item.sha("commit_id")
    if kind not in {Kind.REVIEW_REQUESTED, Kind.REVIEW_REQUEST_REMOVED}:
        return ""
    reviewer, team = item.child_or_none("requested_reviewer"), item.child_or_none("requested_team")
    if team is not None:
        return f"team:{team.id()}"
    return None if reviewer is None else str(reviewer.id())


def _dismissal(item: PayloadReader, *, repository_id: int, number: int) -> Iterator[Fact]:
    """Yield the verdict of a review before its dismissal, which nothing else shows."""
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
