"""The App on accounts: ping, installation, installation_repositories, installation_target."""

from collections.abc import Iterator
from datetime import datetime

from apps.activity.facts import (
    Fact,
    InstallationDeleted,
    InstallationSuspended,
    InstallationSuspension,
    RepositoryAccessLost,
    RepositoryAccessState,
)
from apps.github.events.envelope import common_facts, declare_shape, listing_needed, open_payload
from apps.github.objects.accounts import installation_state, profile, renamed_profile
from apps.github.objects.repositories import repository_name
from apps.github.payload import PayloadReader
from apps.webhooks.registry import Event, translates

declare_shape("ping", members="hook", required="hook")
declare_shape("installation", members="repositories")
declare_shape("installation_repositories", members="repositories_added repositories_removed")
declare_shape("installation_target", members="account")


@translates("ping")
def ping(event: Event) -> Iterator[Fact]:
    yield from common_facts(open_payload(event), at=event.received_at)


@translates("installation", "created", "new_permissions_accepted")
def installation(event: Event) -> Iterator[Fact]:
    payload, described = open_installation(event)
    yield from installation_facts(payload, described)
    at = described.time("updated_at")
    for repository in payload.children("repositories"):
        yield from access_facts(repository, installation_id=described.id(), has_access=True, at=at)


@translates("installation", "deleted")
def installation_deleted(event: Event) -> Iterator[Fact]:
    payload, described = open_installation(event)
    yield from installation_facts(payload, described)
    yield InstallationDeleted(github_id=described.id(), deleted_at=event.received_at)


@translates("installation", "suspend", "unsuspend")
def installation_suspension(event: Event) -> Iterator[Fact]:
    """Both have the same time, so only a listing shows which came last."""
    payload, described = open_installation(event)
    yield from installation_facts(payload, described)
    suspended_at = described.time_or_none("suspended_at") or event.received_at
    yield InstallationSuspension(
        stamp=described.stamp(event.received_at),
        github_id=described.id(),
        suspended_at=suspended_at if event.action == "suspend" else None,
        is_suspension_verified=False,
    )
    if event.action == "suspend":
        yield InstallationSuspended(github_id=described.id(), last_suspended_at=event.received_at)


@translates("installation_repositories", "added", "removed")
def installation_repositories(event: Event) -> Iterator[Fact]:
    payload, described = open_installation(event)
    yield from installation_facts(payload, described)
    for name, has_access in (("repositories_added", True), ("repositories_removed", False)):
        for repository in payload.children(name):
            yield from access_facts(
                repository, installation_id=described.id(), has_access=has_access, at=event.received_at
            )


@translates("installation_target", "renamed")
def installation_target(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    yield from common_facts(payload, at=event.received_at)
    kind = payload.word("target_type")
    yield from renamed_profile(payload.child("account"), at=event.received_at, kind=kind)
    yield from listing_needed(payload)


def open_installation(event: Event) -> tuple[PayloadReader, PayloadReader]:
    """Return the payload and its full installation; other payloads have one with nothing but its id."""
    payload = open_payload(event)
    described = payload.child("installation")
    if "account" not in described:
        raise described.mismatch("account", "is missing")
    return payload, described


def installation_facts(payload: PayloadReader, described: PayloadReader) -> Iterator[Fact]:
    yield from common_facts(payload, at=payload.arrived_at)
    yield from profile(described.child_or_none("account"), at=payload.arrived_at)
    yield installation_state(described)
    yield from listing_needed(payload)


def access_facts(repository: PayloadReader, *, installation_id: int, has_access: bool, at: datetime) -> Iterator[Fact]:
    yield repository_name(repository)
    yield RepositoryAccessState(
        stamp=repository.stamp(at),
        installation_id=installation_id,
        repository_id=repository.id(),
        has_access=has_access,
        is_verified=False,
    )
    if not has_access:
        yield RepositoryAccessLost(installation_id=installation_id, repository_id=repository.id(), lost_at=at)
