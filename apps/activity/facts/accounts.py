"""Accounts, the App's installations on them, and who belongs where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from apps.activity.facts.evidence import Fact, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributorProfile(Snapshot):
    """A GitHub account as some payload showed it. Its stamp is the payload's time cut to the hour: see record."""

    github_id: int
    login: str
    kind: str
    """`user`, `bot`, `organization` or `mannequin`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationState(Snapshot):
    """The App on an account: what it may do and where."""

    entity: ClassVar[str] = "installation"

    github_id: int
    account_id: int | None
    app_id: int | None
    repository_selection: str | None
    permissions: Mapping[str, str] = field(hash=False)
    """Sorted by name, so that equal permissions read alike."""
    events: tuple[str, ...]
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationSuspension(Snapshot):
    """Whether the installation is suspended. From a webhook it is unverified and stamped with its arrival."""

    entity: ClassVar[str] = "installation"

    github_id: int
    suspended_at: datetime | None
    is_suspension_verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationSuspended(Fact):
    """GitHub told nothing of the installation's repositories from here until it was unsuspended; the latest counts."""

    entity: ClassVar[str] = "installation"

    github_id: int
    last_suspended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationDeleted(Fact):
    """The App was removed from the account: final for this installation id."""

    entity: ClassVar[str] = "installation"

    github_id: int
    deleted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingNeeded(Fact):
    """An event without a time of its own happened: ask the API what is true now. The time is the arrival."""

    entity: ClassVar[str] = "installation"

    github_id: int
    needs_listing_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingDone(Fact):
    """The installation was listed through the API: signals that arrived before `listed_at` are settled.

    Signals are stamped with their arrival, by the database's clock, and so is this: no two clocks must agree.
    """

    entity: ClassVar[str] = "installation"

    github_id: int
    listed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryAccessState(Snapshot):
    """Whether an installation reaches a repository. Access is not existence: losing it deletes nothing."""

    entity: ClassVar[str] = "repository_access"

    installation_id: int
    repository_id: int
    has_access: bool
    is_verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryAccessLost(Fact):
    """GitHub told nothing of the repository from here until the installation reached it again; the latest counts."""

    entity: ClassVar[str] = "repository_access"

    installation_id: int
    repository_id: int
    lost_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubTeamState(Snapshot):
    """A team of an organisation on GitHub; stamped with the arrival, as its events carry no time."""

    entity: ClassVar[str] = "github_team"

    github_id: int
    organization_id: int | None
    slug: str
    name: str
    is_deleted: bool
    is_verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubMembershipState(Snapshot):
    """Whether an account belongs to an `organization`, a `team` or (as collaborator) a `repository` on GitHub."""

    entity: ClassVar[str] = "github_membership"

    scope: str
    scope_id: int
    contributor_id: int
    is_member: bool
    role: str | None
    is_verified: bool
