"""Accounts, an organisation's teams, and installations with the repositories that they reach. Pure.

Webhooks of installations have no time of their own and are stamped with their arrival. So what a listing says is
stamped with `as_of`: it decides over what arrived before, and what arrives later wins until the next listing.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from apps.activity.facts import (
    ContributorProfile,
    Fact,
    GitHubMembershipState,
    GitHubTeamHappened,
    GitHubTeamState,
    InstallationDeleted,
    InstallationState,
    InstallationSuspended,
    InstallationSuspension,
    ListingDone,
    RepositoryAccessLost,
    RepositoryAccessState,
    Stamp,
)
from apps.activity.models import GitHubMembership
from apps.github.payload import TRANSLATOR_VERSION, PayloadReader

WEB_FLOW = "web-flow"
"""The committer of all commits made on GitHub's pages."""


def account_id(account: PayloadReader | None) -> int | None:
    """Return the id of an account; a deleted account (a ghost) has none, and an enterprise is no account."""
    if account is None or "login" not in account:
        return None
    return account.id_or_none("id")


def profile(account: PayloadReader | None, *, at: datetime, kind: str = "user") -> Iterator[ContributorProfile]:
    """Yield the account as of `at`, cut to the hour, so that not each payload of a busy sender rewrites its row.

    `kind` stands where the object does not say, as organisations do not.
    """
    if account is None or account_id(account) is None:
        return
    yield ContributorProfile(
        stamp=account.stamp(at.replace(minute=0, second=0, microsecond=0)),
        github_id=account.id(),
        login=account.text("login"),
        kind=account.word_or_none("type") or kind,
    )


def profiles(parent: PayloadReader, *names: str, at: datetime) -> Iterator[ContributorProfile]:
    """Yield the accounts under these names of `parent`, without ghosts."""
    for name in names:
        yield from profile(parent.child_or_none(name), at=at)


def renamed_profile(account: PayloadReader, *, at: datetime, kind: str) -> Iterator[ContributorProfile]:
    """Yield an account that was renamed: not cut to the hour, so that it outweighs the hour's earlier payloads."""
    for found in profile(account, at=at, kind=kind):
        yield ContributorProfile(stamp=account.stamp(at), github_id=found.github_id, login=found.login, kind=found.kind)


def installation_state(installation: PayloadReader) -> InstallationState:
    """Return the state of a full installation; the short one in most payloads has only an id."""
    permissions = installation.child_or_none("permissions")
    names = sorted(permissions.names()) if permissions else ()
    return InstallationState(
        stamp=installation.stamp(installation.time("updated_at")),
        github_id=installation.id(),
        account_id=account_id(installation.child_or_none("account")),
        app_id=installation.id_or_none("app_id"),
        repository_selection=installation.word_or_none("repository_selection"),
        permissions={name: permissions.text(name) for name in names} if permissions else {},
        events=tuple(sorted(installation.texts("events"))),
        created_at=installation.time_or_none("created_at"),
    )


def team_state(
    team: PayloadReader, *, organization_id: int | None, at: datetime, is_deleted: bool, is_verified: bool
) -> GitHubTeamState:
    """Return the state of an organisation's team as of `at`."""
    return GitHubTeamState(
        stamp=team.stamp(at),
        github_id=team.id(),
        organization_id=organization_id,
        slug=team.text("slug"),
        name=team.text("name"),
        is_deleted=is_deleted,
        is_verified=is_verified,
    )


def standing_facts(installation: PayloadReader, *, as_of: datetime) -> Iterator[Fact]:
    """Yield the App on an account, and whether it is suspended there."""
    suspended_at = installation.time_or_none("suspended_at")
    account = installation.child_or_none("account")
    if account is not None:  # not cut to the hour: else an earlier rename within it would outweigh this
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


def listed_team(
    team_id: int, *, organization_id: int, slug: str, name: str, is_deleted: bool, as_of: datetime
) -> GitHubTeamState:
    """Return the state of a team as a listing shows it; one that GitHub no longer has keeps its last name."""
    return GitHubTeamState(
        stamp=_as_of(as_of),
        github_id=team_id,
        organization_id=organization_id,
        slug=slug,
        name=name,
        is_deleted=is_deleted,
        is_verified=True,
    )


def team_membership(team_id: int, contributor_id: int, *, is_member: bool, as_of: datetime) -> GitHubMembershipState:
    """Return whether the account was in the list of a team's members."""
    return GitHubMembershipState(
        stamp=_as_of(as_of),
        scope=GitHubMembership.Scope.TEAM.value,
        scope_id=team_id,
        contributor_id=contributor_id,
        is_member=is_member,
        role=None,
        is_verified=True,
    )


def team_joined_or_left(team_id: int, contributor_id: int, *, is_member: bool, as_of: datetime) -> GitHubTeamHappened:
    """Return that an account was in the list of a team's members, or no longer, by which it joined or left before."""
    return GitHubTeamHappened(team_id=team_id, contributor_id=contributor_id, at=as_of, is_member=is_member)


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
