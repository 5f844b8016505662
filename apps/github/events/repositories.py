"""Repositories and their releases: repository, release."""

from collections.abc import Iterator

from apps.activity.facts import Fact, ReleaseDeleted, RepositoryDeleted
from apps.github.events.envelope import common_facts, declare_shape, listing_needed, open_payload, repository_id
from apps.github.objects.repositories import release_facts
from apps.webhooks.registry import Event, translates

declare_shape("repository", members="")
declare_shape("release", members="release")


@translates(
    "repository",
    "created",
    "archived",
    "unarchived",
    "edited",
    "renamed",
    "transferred",
    "publicized",
    "privatized",
)
def repository(event: Event) -> Iterator[Fact]:
    """Not every action moves the repository's `updated_at`, so a listing settles them."""
    payload = open_payload(event)
    payload.child("repository")
    yield from common_facts(payload, at=event.received_at)
    yield from listing_needed(payload)


@translates("repository", "deleted")
def repository_deleted(event: Event) -> Iterator[Fact]:
    yield from repository(event)
    yield RepositoryDeleted(github_id=repository_id(open_payload(event)), deleted_at=event.received_at)


@translates("release", "created", "published", "released", "prereleased", "edited", "unpublished")
def release(event: Event) -> Iterator[Fact]:
    """An edit does not change the times of a payload without `updated_at`: its arrival takes that place."""
    payload = open_payload(event)
    is_change = event.action in {"edited", "unpublished"}
    yield from common_facts(payload, at=event.received_at)
    yield from release_facts(
        payload.child("release"),
        repository_id=repository_id(payload),
        at=event.received_at if is_change else None,
    )


@translates("release", "deleted")
def release_deleted(event: Event) -> Iterator[Fact]:
    yield from release(event)
    payload = open_payload(event)
    yield ReleaseDeleted(
        github_id=payload.child("release").id(),
        repository_id=repository_id(payload),
        deleted_at=event.received_at,
    )
