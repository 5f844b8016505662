"""The common part of all payloads: a shape that must fit the event's name, and the facts that every payload has."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache

from apps.activity.facts import Fact, ListingNeeded
from apps.github.objects.accounts import profile, profiles
from apps.github.objects.repositories import repository_facts
from apps.github.payload import PayloadReader
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import Event

MEMBERS_OF_OTHERS = frozenset(
    (
        "alert",
        "blocked_issue",
        "blocked_user",
        "blocking_issue",
        "build",
        "check_suite",
        "client_payload",
        "context",
        "definition",
        "discussion",
        "forkee",
        "inputs",
        "key",
        "marketplace_purchase",
        "merge_group",
        "new_property_values",
        "package",
        "pages",
        "parent_issue",
        "personal_access_token_request",
        "project",
        "project_card",
        "project_column",
        "projects_v2",
        "projects_v2_item",
        "projects_v2_status_update",
        "registry_package",
        "related_issue",
        "repository_advisory",
        "repository_ruleset",
        "rule",
        "secret_types",
        "security_advisory",
        "sponsorship",
        "starred_at",
        "sub_issue",
        "workflow_job",
        "workflow_job_run",
    )
)
"""The members that payloads of events without a translator are about."""

_members: dict[str, frozenset[str]] = {}
_required: dict[str, str] = {}


def declare_shape(event_name: str, *, members: str, required: str | None = None) -> None:
    """Name the members that the event's payload is about, and one that it never lacks.

    The event's name is a header, which no signature covers: a body that was captured and sent again under another name
    must not be read as, say, the end of its repository.
    """
    _members[event_name] = frozenset(members.split())
    if required is not None:
        _required[event_name] = required


@cache
def foreign_members(event_name: str) -> frozenset[str]:
    """Return the members that only payloads of other events have. GitHub adds members, so unknown ones are no sign."""
    return MEMBERS_OF_OTHERS.union(*_members.values()) - _members[event_name]


def open_payload(event: Event) -> PayloadReader:
    """Return the payload, if it has the shape of the event that its delivery names."""
    payload = PayloadReader(event.payload, path=event.name, arrived_at=event.received_at)
    foreign = payload.names() & foreign_members(event.name)
    if foreign:
        raise UnusablePayloadError("shape_mismatch", f"a {event.name} has no {', '.join(sorted(foreign))}")
    required = _required.get(event.name)
    if required is not None and required not in payload:
        raise payload.mismatch(required, "is missing")
    return payload


def common_facts(payload: PayloadReader, *, at: datetime) -> Iterator[Fact]:
    """Yield the repository, the organisation and the sender, which every payload has."""
    repository = payload.child_or_none("repository")
    if repository is not None:
        yield from repository_facts(repository)
    yield from profile(payload.child_or_none("organization"), at=at, kind="organization")
    yield from profiles(payload, "sender", at=at)


def repository_id(payload: PayloadReader) -> int:
    return payload.child("repository").id()


def listing_needed(payload: PayloadReader) -> Iterator[ListingNeeded]:
    """Yield that the installation is to be listed, for an event that has no time of its own."""
    installation = payload.child_or_none("installation")
    if installation is not None:
        yield ListingNeeded(github_id=installation.id(), needs_listing_at=payload.arrived_at)
