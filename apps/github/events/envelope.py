"""Opening a payload: is it what its event's name says, and what does every payload carry along?"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from apps.activity.facts import Fact, ListingNeeded
from apps.github.objects.accounts import profile, profiles
from apps.github.objects.repositories import repository_facts
from apps.github.payload import PayloadReader
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import Event

NOUNS: Mapping[str, frozenset[str]] = {
    name: frozenset(nouns.split())
    for name, nouns in {
        "ping": "hook",
        "installation": "repositories",
        "installation_repositories": "repositories_added repositories_removed",
        "installation_target": "account",
        "repository": "",
        "push": "ref pusher commits",
        "create": "ref ref_type master_branch",
        "delete": "ref ref_type",
        "pull_request": "pull_request label milestone",
        "pull_request_review": "pull_request review",
        "pull_request_review_comment": "pull_request comment",
        "pull_request_review_thread": "pull_request thread",
        "issues": "issue label milestone",
        "issue_comment": "issue comment",
        "deployment": "deployment workflow workflow_run",
        "deployment_status": "deployment deployment_status check_run workflow workflow_run",
        "workflow_run": "workflow workflow_run",
        "release": "release",
        "member": "member",
        "membership": "member team",
        "team": "team",
        "organization": "membership invitation",
    }.items()
}
"""What each event's payload is about. The event's name is a header, which no signature covers: a body that was captured
and sent again under another name must not be read as, say, the end of its repository."""

FOREIGN = frozenset().union(*NOUNS.values()) | frozenset(
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
"""The nouns of all other events; one that is new to us is not among them, as GitHub adds members without notice."""

REQUIRED: Mapping[str, str] = {
    "ping": "hook",
    "create": "master_branch",  # all that tells it from `delete`
    "delete": "ref_type",
    "push": "after",
    "member": "member",
    "membership": "scope",
    "organization": "organization",
}


def open_payload(event: Event) -> PayloadReader:
    """The payload, when it has the shape of the event that its delivery names."""
    payload = PayloadReader(event.payload, path=event.name, arrived_at=event.received_at)
    strange = payload.names() & (FOREIGN - NOUNS[event.name])
    if strange:
        raise UnusablePayloadError("shape_mismatch", f"a {event.name} has no {', '.join(sorted(strange))}")
    required = REQUIRED.get(event.name)
    if required is not None and required not in payload:
        raise payload.mismatch(required, "is missing")
    return payload


def surroundings(payload: PayloadReader, *, at: datetime) -> Iterator[Fact]:
    """The repository, the organisation and the sender, as every payload carries them along."""
    repository = payload.child_or_none("repository")
    if repository is not None:
        yield from repository_facts(repository)
    yield from profile(payload.child_or_none("organization"), at=at, kind="organization")
    yield from profiles(payload, "sender", at=at)


def repository_id(payload: PayloadReader) -> int:
    return payload.child("repository").id()


def listing_needed(payload: PayloadReader) -> Iterator[ListingNeeded]:
    """Ask what is true now, where an event has no time of its own and the installation is known."""
    installation = payload.child_or_none("installation")
    if installation is not None:
        yield ListingNeeded(github_id=installation.id(), needs_listing_at=payload.arrived_at)
