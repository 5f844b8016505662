"""The streams of a repository's history: `Coverage` names them, an app above registers them."""

from collections.abc import Collection, Mapping

PULL_REQUESTS, COMMITS, ISSUES, ISSUE_COMMENTS = "pull_requests", "commits", "issues", "issue_comments"
DEPLOYMENTS, WORKFLOW_RUNS = "deployments", "workflow_runs"
OF_FIGURES = (PULL_REQUESTS, COMMITS, DEPLOYMENTS, WORKFLOW_RUNS, ISSUES, ISSUE_COMMENTS)
"""The streams that figures are computed from."""

_events: dict[str, frozenset[str]] = {}


def register_streams(events: Mapping[str, Collection[str]]) -> None:
    """Register every stream, in order, with its webhook events.

    GitHub's log has nothing of an event that an installation does not send.
    """
    _events.update({name: frozenset(names) for name, names in events.items()})


def every_stream() -> tuple[str, ...]:
    """Return the streams in their fixed order."""
    return tuple(_events)


def in_order(streams: frozenset[str]) -> tuple[str, ...]:
    """Return these of the streams in their fixed order."""
    return tuple(stream for stream in _events if stream in streams)


def withheld(events: Collection[str]) -> frozenset[str]:
    """Return the streams that these webhook events do not cover completely."""
    sent = frozenset(events)
    return frozenset(stream for stream, needed in _events.items() if not needed <= sent)
