"""Which stream an entity belongs to, and which one an event tells of."""

from collections.abc import Mapping

from apps.integrations.models import Backfill

Stream = Backfill.Stream
STREAM_OF_ENTITY: Mapping[str, str] = {
    "pull_request": Stream.PULL_REQUESTS.value,
    "review": Stream.PULL_REQUESTS.value,
    "review_comment": Stream.REVIEW_COMMENTS.value,
    "issue": Stream.ISSUES.value,
    "issue_comment": Stream.ISSUE_COMMENTS.value,
    "commit": Stream.COMMITS.value,
    "release": Stream.RELEASES.value,
    "deployment": Stream.DEPLOYMENTS.value,
    "deployment_status": Stream.DEPLOYMENTS.value,
    "workflow_run": Stream.WORKFLOW_RUNS.value,
}
"""By the kind of an entity, as its provenance names it. An entity counts where it belongs, whichever walk met it."""

STREAM_OF_EVENT: Mapping[str, str] = {
    "pull_request": Stream.PULL_REQUESTS.value,
    "pull_request_review": Stream.PULL_REQUESTS.value,
    "pull_request_review_thread": Stream.PULL_REQUESTS.value,
    "pull_request_review_comment": Stream.REVIEW_COMMENTS.value,
    "issues": Stream.ISSUES.value,
    "issue_comment": Stream.ISSUE_COMMENTS.value,
    "push": Stream.COMMITS.value,
    "release": Stream.RELEASES.value,
    "deployment": Stream.DEPLOYMENTS.value,
    "deployment_status": Stream.DEPLOYMENTS.value,
    "workflow_run": Stream.WORKFLOW_RUNS.value,
}
"""By the name of an event; those that are missing here tell of no stream."""
