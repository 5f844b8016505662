"""Accounts, installations, and teams of an organisation."""

from collections.abc import Iterator
from datetime import datetime

from apps.activity.facts import ContributorProfile, GitHubTeamState, InstallationState
from apps.github.payload import PayloadReader

WEB_FLOW = "web-flow"
"""The committer of commits made on GitHub's pages, whoever made them."""


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
