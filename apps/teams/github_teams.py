"""Teams made of those that an account has on GitHub, as they were listed and as webhooks report, and kept in step."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.activity.facts import Stamp
from apps.activity.models import Contributor, GitHubTeam, GitHubTeamEvent
from apps.teams.account_teams import free_slug
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


@dataclass(frozen=True, slots=True)
class GitHubMember:
    """A member of a team on GitHub; `since` is None for one of the first listing, which cannot say since when."""

    contributor: Contributor
    since: datetime | None

    def __str__(self) -> str:
        return str(self.contributor)


def members_of(github_teams: Collection[GitHubTeam]) -> dict[int, list[GitHubMember]]:
    """Return who is a member of these teams of GitHub now, by login, by the team's id."""
    present = {
        team_id: [one for one in found if one.until_at is None]
        for team_id, found in periods_on_github(github_teams).items()
    }
    people = Contributor.objects.in_bulk({one.contributor_id for found in present.values() for one in found})
    members = {
        team_id: [GitHubMember(people[one.contributor_id], one.from_at) for one in found]
        for team_id, found in present.items()
    }
    return {
        team_id: sorted(found, key=lambda one: (one.contributor.login, one.contributor.pk))
        for team_id, found in members.items()
    }


def create_team(github_team: GitHubTeam, *, is_kept_in_step: bool = False, by: Any = None) -> Team:
    """Create a team of the members, with the repositories and settings of the account's team; `by` becomes its admin.

    Each membership begins, and ends, when GitHub reported it, or a listing first showed it; those of the first listing
    have no beginning. ProposalRefusedError without members, because a team
    without any includes everyone, or if it was made before.
    """
    with transaction.atomic():
        of_account = Team.objects.select_for_update().get(account=github_team.organization)
        if Team.objects.filter(github_team=github_team).exists():
            raise ProposalRefusedError("A team already exists for it.")
        if not members_of([github_team])[github_team.pk]:
            raise ProposalRefusedError(
                "None of its members is known: it has none, or the App may not read them (Members: read)."
            )
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
    of_team = [] if team.github_team is None else periods_on_github([team.github_team])[team.github_team.pk]
    wanted = {
        (one.contributor_id, one.from_at): one for one in of_team if not any(one.overlaps(other) for other in by_hand)
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


def periods_on_github(github_teams: Collection[GitHubTeam]) -> dict[int, list[Period]]:
    """Return who was a member of these teams on GitHub, from when until when, by the team's id.

    With a team, all its memberships ended.
    """
    events: dict[int, list[tuple[int, datetime, bool]]] = {one.pk: [] for one in github_teams}
    happened = GitHubTeamEvent.objects.filter(team_id__in=events)
    for team_id, contributor_id, at, is_member in happened.values_list("team_id", "contributor_id", "at", "is_member"):
        events[team_id].append((contributor_id, at, is_member))
    return {
        one.pk: list(
            periods(
                events[one.pk],
                first_read_at=one.first_read_at,
                ended_at=Stamp.moment_of(one.stamp) if one.is_deleted else None,
            )
        )
        for one in github_teams
    }


def periods(
    events: Iterable[tuple[int, datetime, bool]], *, first_read_at: datetime | None, ended_at: datetime | None
) -> Iterator[Period]:
    """Yield the memberships that the events of accounts come to, whatever their order and however often repeated.

    Joining again changes nothing, and nobody leaves what they were not known to have joined. An account of which
    nothing is known before the first read of the team's members has been one for an unlimited time.
    """
    for contributor_id, of_account in groupby(sorted(events), key=lambda event: event[0]):
        begun: Period | None = None
        for place, (_, at, is_member) in enumerate(of_account):
            if is_member:
                is_unlimited = place == 0 and at == first_read_at
                begun = begun or Period(contributor_id, None if is_unlimited else at, None)
            elif begun is not None:
                yield from _ended(begun, at)
                begun = None
        if begun is not None:
            yield from _ended(begun, ended_at)


def _ended(begun: Period, ended_at: datetime | None) -> Iterator[Period]:
    if ended_at is None or begun.from_at is None or begun.from_at < ended_at:
        yield replace(begun, until_at=ended_at)
