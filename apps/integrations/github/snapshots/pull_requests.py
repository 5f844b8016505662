"""Pull requests in their field groups, reviews and review comments."""

from collections.abc import Iterator

from apps.activity.facts import (
    Fact,
    PullRequestCore,
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
from apps.activity.models import Review
from apps.integrations.github.reading import Reading
from apps.integrations.github.snapshots.accounts import account_id, profiles

TITLE = 1000
VERDICTS = frozenset(Review.Verdict.values)


def pull_request_facts(pull_request: Reading, *, repository_id: int) -> Iterator[Fact]:
    """Every field group that this representation carries: the full one has sizes, the shorter ones have not."""
    updated_at = pull_request.time("updated_at")
    stamp = pull_request.stamp(updated_at, is_merged=pull_request.time_or_none("merged_at") is not None)
    yield core(pull_request, repository_id=repository_id, stamp=stamp)
    if "additions" in pull_request:
        yield sizes(pull_request, repository_id=repository_id, stamp=stamp)
    if "labels" in pull_request:
        yield labels(pull_request, repository_id=repository_id, stamp=stamp)
    if "body" in pull_request:
        yield text(pull_request, repository_id=repository_id, stamp=stamp)
    if "stack" in pull_request:
        yield stack(pull_request, repository_id=repository_id, stamp=stamp)
    yield from profiles(pull_request, "user", "merged_by", at=updated_at)


def core(pull_request: Reading, *, repository_id: int, stamp: Stamp) -> PullRequestCore:
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


def is_cross_repository(head: Reading, *, repository_id: int) -> bool:
    """Whether the head is in another repository; only a fork can be gone while the pull request is there."""
    repository = head.child_or_none("repo")
    return repository is None or repository.id() != repository_id


def sizes(pull_request: Reading, *, repository_id: int, stamp: Stamp) -> PullRequestSizes:
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


def labels(pull_request: Reading, *, repository_id: int, stamp: Stamp) -> PullRequestLabels:
    return PullRequestLabels(
        stamp=stamp,
        repository_id=repository_id,
        number=pull_request.count("number"),
        labels=label_names(pull_request),
    )


def label_names(parent: Reading) -> tuple[str, ...]:
    """The labels of an issue or pull request, sorted."""
    return tuple(sorted(label.text("name") for label in parent.children("labels")))


def text(pull_request: Reading, *, repository_id: int, stamp: Stamp) -> PullRequestText:
    return PullRequestText(
        stamp=stamp,
        repository_id=repository_id,
        number=pull_request.count("number"),
        body=pull_request.prose("body"),
    )


def stack(pull_request: Reading, *, repository_id: int, stamp: Stamp) -> PullRequestStack:
    """The stack of pull requests that this one is in: null is none, and a missing one says nothing."""
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


def review_facts(review: Reading, *, pull_request: Reading, repository_id: int) -> Iterator[Fact]:
    """A submitted review, what it said, and its dismissal; a pending one is nobody's business yet.

    A dismissed review does not tell what it had said, so it brings no verdict and overwrites none.
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


def review_comment_facts(comment: Reading, *, repository_id: int, number: int) -> Iterator[Fact]:
    """A comment on a line of the diff, and its author."""
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
