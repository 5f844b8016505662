"""The streams of a repository's history; `Coverage` names them."""

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
"""The streams that figures are computed from."""


STREAM_EVENTS: Mapping[Stream, frozenset[str]] = {
    Stream.PULL_REQUESTS: frozenset({"pull_request", "pull_request_review", "pull_request_review_thread"}),
    Stream.ISSUES: frozenset({"issues"}),
    Stream.ISSUE_COMMENTS: frozenset({"issue_comment"}),
    Stream.REVIEW_COMMENTS: frozenset({"pull_request_review_comment"}),
    Stream.COMMITS: frozenset({"push"}),
    Stream.RELEASES: frozenset({"release"}),
    Stream.DEPLOYMENTS: frozenset({"deployment", "deployment_status"}),
    Stream.WORKFLOW_RUNS: frozenset({"workflow_run"}),
}
"""The webhook events of each stream; GitHub's log has nothing of an event that an installation does not send."""


def in_order(streams: frozenset[Stream]) -> tuple[Stream, ...]:
    """Return the streams in their fixed order."""
    return tuple(stream for stream in EVERY_STREAM if stream in streams)


def withheld(events: Collection[str]) -> frozenset[Stream]:
    """Return the streams that these webhook events do not cover completely."""
    sent = frozenset(events)
    return frozenset(stream for stream, needed in STREAM_EVENTS.items() if not needed <= sent)
