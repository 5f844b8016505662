"""Every stream there is: whatever is done for each stream is derived from these."""

from collections.abc import Mapping

from apps.integrations.streams.comments import ISSUE_COMMENTS, REVIEW_COMMENTS
from apps.integrations.streams.commits import COMMITS
from apps.integrations.streams.deployments import DEPLOYMENTS
from apps.integrations.streams.issues import ISSUES
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.releases import RELEASES
from apps.integrations.streams.stream import Stream
from apps.integrations.streams.workflow_runs import WORKFLOW_RUNS

STREAMS: Mapping[str, Stream] = {
    stream.name: stream
    for stream in (
        PULL_REQUESTS,
        ISSUES,
        ISSUE_COMMENTS,
        REVIEW_COMMENTS,
        COMMITS,
        RELEASES,
        DEPLOYMENTS,
        WORKFLOW_RUNS,
    )
}
"""By name, in the order in which people see them. Deletions are searched in it too: comments after their issues."""
STREAM_NAMES = tuple(STREAMS)
STREAM_CHOICES = [(name, name.replace("_", " ").capitalize()) for name in STREAMS]
PROBES = {name: stream.probe for name, stream in STREAMS.items()}
STREAM_OF_ENTITY: Mapping[str, str] = {entity: stream.name for stream in STREAMS.values() for entity in stream.entities}
"""By the kind of an entity, as its provenance names it. An entity counts where it belongs, whichever read met it."""
STREAM_OF_EVENT: Mapping[str, str] = {event: stream.name for stream in STREAMS.values() for event in stream.events}
"""By the name of an event; an event that is missing here belongs to no stream."""
