"""An installation as the API lists it: its state, and the repositories that it reaches. Pure.

The webhooks that tell of the same things have no time of their own and are stamped with their arrival. So what a
listing says is stamped with `as_of`: it settles what arrived before, and what arrives later wins until the next one.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from apps.activity.facts import (
    Fact,
    InstallationDeleted,
    InstallationSuspended,
    InstallationSuspension,
    ListingDone,
    RepositoryAccessLost,
    RepositoryAccessState,
    Stamp,
)
from apps.github.objects.accounts import installation_state, renamed_profile
from apps.github.payload import TRANSLATOR_VERSION, PayloadReader


def standing_facts(installation: PayloadReader, *, as_of: datetime) -> Iterator[Fact]:
    """Yield the App on an account, and whether it is suspended there."""
    suspended_at = installation.time_or_none("suspended_at")
    account = installation.child_or_none("account")
    if account is not None:  # not cut to the hour: else a rename that was told of within it would outweigh this
        yield from renamed_profile(account, at=as_of, kind="user")
    yield installation_state(installation)
    yield InstallationSuspension(
        stamp=_as_of(as_of),
        github_id=installation.id(),
        suspended_at=suspended_at,
        is_suspension_verified=True,
    )
    if suspended_at is not None:
        yield InstallationSuspended(github_id=installation.id(), last_suspended_at=suspended_at)


def removal(installation_id: int, *, as_of: datetime) -> InstallationDeleted:
    """Yield the end of an installation that GitHub no longer has."""
    return InstallationDeleted(github_id=installation_id, deleted_at=as_of)


def access_facts(
    installation_id: int, *, listed: Iterable[int], lost: Mapping[int, datetime | None], as_of: datetime
) -> Iterator[Fact]:
    """Yield the repositories that the installation reaches, and those that it no longer reaches.

    `lost` are known to us and were not listed; their time is when they were last known to be reached, None where it is
    known already that they are not.
    """
    for repository_id in listed:
        yield _access(installation_id, repository_id, has_access=True, as_of=as_of)
    for repository_id, reached_at in lost.items():
        yield _access(installation_id, repository_id, has_access=False, as_of=as_of)
        if reached_at is not None:
            yield RepositoryAccessLost(installation_id=installation_id, repository_id=repository_id, lost_at=reached_at)


def listing_done(installation_id: int, *, as_of: datetime) -> ListingDone:
    return ListingDone(github_id=installation_id, listed_at=as_of)


def _access(installation_id: int, repository_id: int, *, has_access: bool, as_of: datetime) -> RepositoryAccessState:
    return RepositoryAccessState(
        stamp=_as_of(as_of),
        installation_id=installation_id,
        repository_id=repository_id,
        has_access=has_access,
        is_verified=True,
    )


def _as_of(moment: datetime) -> Stamp:
    return Stamp(source_updated_at=moment, translator_version=TRANSLATOR_VERSION)
