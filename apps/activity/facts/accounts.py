"""Accounts, installations of the App, and memberships."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from apps.activity.facts.declaration import Earliest, Fact, Key, Snapshot, fact
from apps.activity.merging import ChangeKey
from apps.activity.models import (
    Change,
    Contributor,
    GitHubMembership,
    GitHubTeam,
    GitHubTeamEvent,
    Installation,
    RepositoryAccess,
)

CONTRIBUTOR = ChangeKey(Change.Kind.CONTRIBUTOR, ("github_id",))
INSTALLATION = ChangeKey(Change.Kind.INSTALLATION, ("github_id",))
GITHUB_TEAM = ChangeKey(Change.Kind.GITHUB_TEAM, ("github_id",))
GITHUB_TEAM_OF_EVENT = ChangeKey(Change.Kind.GITHUB_TEAM, ("team_id",))
INSTALLATION_OF_ACCESS = ChangeKey(Change.Kind.INSTALLATION, ("installation_id",))


@fact(Contributor, change=CONTRIBUTOR, describes=True)
class ContributorProfile(Snapshot):
    """A GitHub account as some payload showed it. Its stamp is the payload's time cut to the hour: see record."""

    github_id: Key[int]
    login: str
    kind: str
    """`user`, `bot`, `organization` or `mannequin`."""


@fact(Installation, entity="installation", change=INSTALLATION, describes=True)
class InstallationState(Snapshot):
    """The App on an account: what it may do and where."""

    github_id: Key[int]
    account_id: int | None
    app_id: int | None
    repository_selection: str | None
    permissions: Mapping[str, str] = field(hash=False)
    """Sorted by name, so that equal permissions are equal text."""
    events: tuple[str, ...]
    created_at: datetime | None


@fact(Installation, entity="installation", stamp="suspension_stamp", change=INSTALLATION)
class InstallationSuspension(Snapshot):
    """The suspension of an installation. From a webhook it is unverified and stamped with its arrival."""

    github_id: Key[int]
    suspended_at: datetime | None
    is_suspension_verified: bool


@fact(Installation, entity="installation")
class InstallationSuspended(Fact):
    """The start of a suspension, during which GitHub sends nothing of the installation; the latest counts."""

    github_id: Key[int]
    last_suspended_at: datetime


@fact(Installation, entity="installation", change=INSTALLATION)
class InstallationDeleted(Fact):
    """The removal of the App from the account: final for this installation id."""

    github_id: Key[int]
    deleted_at: Earliest[datetime]


@fact(Installation, entity="installation")
class ListingNeeded(Fact):
    """The arrival of an event without a time of its own: the API has to be asked for what is true now."""

    github_id: Key[int]
    needs_listing_at: datetime


@fact(Installation, entity="installation")
class ListingDone(Fact):
    """The listing of the installation through the API: events that arrived before `listed_at` are settled.

    Both times are the database's, so no two clocks have to agree.
    """

    github_id: Key[int]
    listed_at: datetime


@fact(Installation, entity="installation")
class TeamsListed(Fact):
    """The complete listing of the teams of the installation's account on GitHub, with all their members."""

    github_id: Key[int]
    teams_listed_at: datetime


@fact(RepositoryAccess, entity="repository_access", change=INSTALLATION_OF_ACCESS)
class RepositoryAccessState(Snapshot):
    """The access of an installation to a repository; its loss deletes nothing."""

    installation_id: Key[int]
    repository_id: Key[int]
    has_access: bool
    is_verified: bool


@fact(RepositoryAccess, entity="repository_access")
class RepositoryAccessLost(Fact):
    """The start of a time without access, during which GitHub sends nothing of the repository; the latest counts."""

    installation_id: Key[int]
    repository_id: Key[int]
    lost_at: datetime


@fact(GitHubTeam, entity="github_team", change=GITHUB_TEAM)
class GitHubTeamState(Snapshot):
    """A team of an organisation on GitHub; stamped with the arrival, as its events have no time."""

    github_id: Key[int]
    organization_id: int | None
    slug: str
    name: str
    is_deleted: bool
    is_verified: bool


@fact(GitHubTeam, entity="github_team", change=GITHUB_TEAM)
class GitHubTeamFirstRead(Fact):
    """The first time that GitHub showed the team's members: since when they were members, it did not say."""

    github_id: Key[int]
    first_read_at: Earliest[datetime]


@fact(GitHubMembership, entity="github_membership")
class GitHubMembershipState(Snapshot):
    """The membership of an account in an `organization`, a `team` or (as collaborator) a `repository` on GitHub."""

    scope: Key[str]
    scope_id: Key[int]
    contributor_id: Key[int]
    is_member: bool
    role: str | None
    is_verified: bool


@fact(GitHubTeamEvent, entity="github_team", change=GITHUB_TEAM_OF_EVENT)
class GitHubTeamHappened(Fact):
    """An account that joined a team on GitHub (or was read to be a member) or left it: its history, in any order."""

    team_id: Key[int]
    contributor_id: Key[int]
    at: Key[datetime]
    is_member: Key[bool]
