"""Teams made of those that an account has on GitHub, as its webhooks reported them, and kept in step with them."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.activity.facts import Stamp
from apps.activity.models import GitHubMembership, GitHubTeam, GitHubTeamEvent
from apps.teams.accounts import free_slug
from apps.teams.models import Team, TeamAccess, TeamMember, TeamRepository
from apps.teams.visibility import repositories_of
from apps.users.access import is_operator

COPIED = (
    *("is_approved", "time_zone", "production_environments"),
    *("working_days", "working_from", "working_until", "holidays_of"),
)
"""The settings of the account's team that a new one begins with."""


class ProposalRefusedError(Exception):
    """No team can be made of this team of GitHub; the message says why."""


def proposed_to(user: Any) -> QuerySet[GitHubTeam]:
    """Return GitHub's teams of the accounts whose team the user may see."""
    accounts = Team.objects.visible_to(user).filter(account__isnull=False).order_by().values("account")
    return GitHubTeam.objects.filter(organization__in=accounts, is_deleted=False)


def members_of(github_teams: Collection[int]) -> QuerySet[GitHubMembership]:
    """Return who is a member of these teams of GitHub now."""
    rows = GitHubMembership.objects.filter(scope=GitHubMembership.Scope.TEAM, scope_id__in=github_teams, is_member=True)
    return rows.select_related("contributor").order_by("contributor__login", "contributor")


def create_team(github_team: GitHubTeam, *, is_kept_in_step: bool = False, by: Any = None) -> Team:
    """Create a team of the members, with the repositories and settings of the account's team; `by` becomes its admin.

    Each membership begins, and ends, when GitHub reported it. ProposalRefusedError without members, because a team
    without any includes everyone, or if it was made before.
    """
    with transaction.atomic():
        of_account = Team.objects.select_for_update().get(account=github_team.organization)
        if Team.objects.filter(github_team=github_team).exists():
            raise ProposalRefusedError("A team already exists for it.")
        if all(one.until_at for one in periods_on_github(github_team)):
            raise ProposalRefusedError("None of its members is known yet: GitHub only reports who joins or leaves.")
        team = Team.objects.create(
            name=github_team.name,
            slug=free_slug(github_team.slug, github_team.pk),
            github_team=github_team,
            is_kept_in_step=is_kept_in_step,
            **{name: getattr(of_account, name) for name in COPIED},
        )
        tracked = repositories_of(Team.objects.filter(pk=of_account.pk)).order_by("pk")
        TeamRepository.objects.bulk_create(TeamRepository(team=team, repository=one) for one in tracked)
        write_memberships(team)
        if by is not None and not is_operator(by):
            TeamAccess.objects.create(team=team, user=by, role=TeamAccess.Role.ADMIN)
    return team


def keep_in_step(*, teams: Collection[int], github_teams: Collection[int]) -> None:
    """Give these teams, and those made of these on GitHub, the members that GitHub has, if they are kept in step."""
    concerned = Team.objects.filter(Q(pk__in=teams) | Q(github_team__in=github_teams), is_kept_in_step=True)
    for team in concerned.select_for_update().order_by("pk"):
        write_memberships(team)


def write_memberships(team: Team) -> None:
    """Make the memberships that came from GitHub those that its events say, in the caller's transaction.

    A membership that was written or changed by hand stays, and one from GitHub at the same time is left out.
    """
    rows = TeamMember.objects.filter(team=team)
    by_hand = [Period.of(row) for row in rows.filter(is_from_github=False)]
    wanted = {
        (one.contributor_id, one.from_at): one
        for one in periods_on_github(team.github_team)
        if not any(one.overlaps(other) for other in by_hand)
    }
    for row in rows.filter(is_from_github=True):
        period = wanted.pop((row.contributor_id, row.from_at), None)
        if period is None:
            row.delete()
        elif period.until_at != row.until_at:
            TeamMember.objects.filter(pk=row.pk).update(until_at=period.until_at)
    TeamMember.objects.bulk_create(
        TeamMember(
            team=team,
            contributor_id=one.contributor_id,
            from_at=one.from_at,
            until_at=one.until_at,
            is_from_github=True,
        )
        for one in wanted.values()
    )


@dataclass(frozen=True, slots=True)
class Period:
    """A membership of an account, from when until when; None is unlimited."""

    contributor_id: int
    from_at: datetime | None
    until_at: datetime | None

    @classmethod
    def of(cls, row: TeamMember) -> "Period":
        return cls(row.contributor_id, row.from_at, row.until_at)

    def overlaps(self, other: "Period") -> bool:
        """Return whether both are of one account and have an instant in common."""
        return self.contributor_id == other.contributor_id and self._begins_within(other) and other._begins_within(self)

    def _begins_within(self, other: "Period") -> bool:
        """Return whether this one has begun before the other ends."""
        return self.from_at is None or other.until_at is None or self.from_at < other.until_at


def periods_on_github(github_team: GitHubTeam | None) -> list[Period]:
    """Return who was a member of the team on GitHub, from when until when; with the team, all memberships ended."""
    if github_team is None:
        return []
    events = GitHubTeamEvent.objects.filter(team_id=github_team.pk).values_list("contributor_id", "at", "is_member")
    ended_at = Stamp.moment_of(github_team.stamp) if github_team.is_deleted else None
    return list(periods(events, ended_at=ended_at))


def periods(events: Iterable[tuple[int, datetime, bool]], *, ended_at: datetime | None) -> Iterator[Period]:
    """Yield the memberships that the events of accounts come to, whatever their order and however often repeated.

    Joining again changes nothing, and nobody leaves what they were not known to have joined.
    """
    for contributor_id, of_account in groupby(sorted(events), key=lambda event: event[0]):
        begun_at: datetime | None = None
        for _, at, is_member in of_account:
            if is_member:
                begun_at = begun_at or at
            elif begun_at is not None:
                yield from _period(contributor_id, begun_at, at)
                begun_at = None
        if begun_at is not None:
            yield from _period(contributor_id, begun_at, ended_at)


def _period(contributor_id: int, begun_at: datetime, ended_at: datetime | None) -> Iterator[Period]:
    if ended_at is None or begun_at < ended_at:
        yield Period(contributor_id, begun_at, ended_at)
