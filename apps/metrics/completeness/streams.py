"""What is read of a repository, each by itself; `Coverage` names them."""

from collections.abc import Collection, Mapping
from enum import StrEnum


class Stream(StrEnum):
    """A stream of a repository's history, as backfills name it."""

    PULL_REQUESTS = "pull_requests"  # with reviews, commits and timeline
    ISSUES = "issues"
    ISSUE_COMMENTS = "issue_comments"
    REVIEW_COMMENTS = "review_comments"
    COMMITS = "commits"  # of the default branch
    RELEASES = "releases"
    DEPLOYMENTS = "deployments"  # with their statuses
    WORKFLOW_RUNS = "workflow_runs"


EVERY_STREAM = tuple(Stream)
OF_FIGURES = (Stream.PULL_REQUESTS, Stream.COMMITS, Stream.DEPLOYMENTS)
"""What any figure is read from."""


TOLD_BY: Mapping[Stream, frozenset[str]] = {
    Stream.PULL_REQUESTS: frozenset({"pull_request", "pull_request_review", "pull_request_review_thread"}),
    Stream.ISSUES: frozenset({"issues"}),
    Stream.ISSUE_COMMENTS: frozenset({"issue_comment"}),
    Stream.REVIEW_COMMENTS: frozenset({"pull_request_review_comment"}),
    Stream.COMMITS: frozenset({"push"}),
    Stream.RELEASES: frozenset({"release"}),
    Stream.DEPLOYMENTS: frozenset({"deployment", "deployment_status"}),
    Stream.WORKFLOW_RUNS: frozenset({"workflow_run"}),
}
"""The webhooks that tell of a stream: of one that an installation does not send, GitHub's log holds nothing."""


def in_order(streams: frozenset[Stream]) -> tuple[Stream, ...]:
    """The streams, always in the same order."""
    return tuple(stream for stream in EVERY_STREAM if stream in streams)


def untold(events: Collection[str]) -> frozenset[Stream]:
    """The streams of which these webhooks do not tell everything."""
    sent = frozenset(events)
    return frozenset(stream for stream, needed in TOLD_BY.items() if not needed <= sent)
