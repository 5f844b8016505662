"""What is read of a repository, each by itself; `Coverage` names them."""

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


def in_order(streams: frozenset[Stream]) -> tuple[Stream, ...]:
    """The streams, always in the same order."""
    return tuple(stream for stream in EVERY_STREAM if stream in streams)
