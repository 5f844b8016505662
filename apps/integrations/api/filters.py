"""Filters of backfills, drift and runs of reconciliation."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from rest_framework.exceptions import NotFound, PermissionDenied

from apps.activity.models import Installation, Repository
from apps.common.api import AnyOfFilter
from apps.common.db import is_id
from apps.integrations.backfill.start import NothingToStartError, chosen
from apps.integrations.models import Backfill, Drift, RepositorySync, SyncLog
from apps.integrations.streams import STREAM_CHOICES
from apps.jobs.api import ONLY_ADMINS
from apps.teams.models import Team
from apps.teams.visibility import repositories_administered_by, repositories_of, repositories_visible_to
from apps.users.access import is_operator


class BackfillFilter(django_filters.FilterSet):
    """Filters of backfills: what is read, its state, and the installation that reads it."""

    repository = django_filters.CharFilter(method="in_repository", help_text="GitHub's id, or a name like acme/api.")
    stream = AnyOfFilter(choices=STREAM_CHOICES, help_text="Repeat it for several.")
    state = AnyOfFilter(choices=Backfill.State.choices, help_text="Repeat it for several.")
    installation = django_filters.NumberFilter(field_name="installation_id", help_text="GitHub's id.")

    class Meta:
        model = Backfill
        fields = ("repository", "stream", "state", "installation")

    def in_repository(self, rows: QuerySet[Backfill], name: str, value: str) -> QuerySet[Backfill]:
        if is_id(value):
            return rows.filter(repository=int(value))
        return rows.filter(repository__full_name__iexact=value)


class DriftFilter(django_filters.FilterSet):
    """Filters of drift: what was read, and of which team."""

    repository = django_filters.CharFilter(method="in_repository", help_text="GitHub's id, or a name like acme/api.")
    team = django_filters.CharFilter(method="of_team", help_text="Slug: only repositories that the team tracks.")
    stream = AnyOfFilter(choices=STREAM_CHOICES, help_text="Repeat it for several.")
    latest = django_filters.BooleanFilter(method="only_latest", help_text="Only the last of each stream.")

    class Meta:
        model = Drift
        fields = ("repository", "team", "stream", "latest")

    def in_repository(self, rows: QuerySet[Drift], name: str, value: str) -> QuerySet[Drift]:
        if is_id(value):
            return rows.filter(repository_sync__repository=int(value))
        return rows.filter(repository_sync__repository__full_name__iexact=value)

    def of_team(self, rows: QuerySet[Drift], name: str, slug: str) -> QuerySet[Drift]:
        """Return nothing for a team that the user cannot see, as for one that does not exist."""
        teams = Team.objects.visible_to(self.request.user).filter(slug=slug)
        tracked = repositories_of(Team.objects.filter(pk__in=teams.values("pk"))).order_by()
        return rows.filter(repository_sync__repository__in=tracked.values("pk"))

    def only_latest(self, rows: Any, name: str, is_wanted: bool) -> QuerySet[Drift]:
        found: QuerySet[Drift] = rows.newest() if is_wanted else rows
        return found


class SyncFilter(django_filters.FilterSet):
    """Filters of runs: their status, cause and teams."""

    status = AnyOfFilter(choices=SyncLog.Status.choices, help_text="Repeat it for several.")
    cause = AnyOfFilter(choices=SyncLog.Cause.choices, help_text="Repeat it for several.")
    team = django_filters.CharFilter(method="of_team", help_text="Slug: only those in which the team takes part.")

    class Meta:
        model = SyncLog
        fields = ("status", "cause", "team")

    def of_team(self, rows: QuerySet[SyncLog], name: str, slug: str) -> QuerySet[SyncLog]:
        """Return nothing for a team that the user cannot see, as for one that does not exist."""
        teams = Team.objects.visible_to(self.request.user).filter(slug=slug).order_by()
        return rows.filter(teams__team__in=teams.values("pk"))


class RepositorySyncFilter(django_filters.FilterSet):
    """Filter of the repositories of a run: their state."""

    state = AnyOfFilter(choices=RepositorySync.State.choices, help_text="Repeat it for several.")

    class Meta:
        model = RepositorySync
        fields = ("state",)


ONLY_ITS_ADMINS = "Only operators and admins of its team may have its history read."


def chosen_by(
    user: Any,
    *,
    repository: str = "",
    installation: int | None = None,
    team: str = "",
    everything: bool = False,
) -> QuerySet[Repository]:
    """Return the repositories that the one choice names.

    NotFound for what the person does not see, PermissionDenied for what they may only look at,
    NothingToStartError if there is nothing to read.
    """
    if repository:
        return _named(repository, user=user)
    if installation is not None:
        return _of_installation(installation, user=user)
    if team:
        return _of_team(team, user=user)
    if not everything or not is_operator(user):
        raise PermissionDenied("Only operators may have everything read.")
    return chosen(everything=True)


def _named(named: str, *, user: Any) -> QuerySet[Repository]:
    is_named = Q(pk=int(named)) if is_id(named) else Q(lower_name=named.strip().lower())

    def among(repositories: QuerySet[Repository]) -> QuerySet[Repository]:
        return repositories.alias(lower_name=Lower("full_name")).filter(is_named)

    if not among(repositories_visible_to(user)).exists():
        raise NotFound(
            f"There is no repository {named} that you may see. One becomes known when an installation of the App "
            "that reaches it is listed."
        )
    found = among(repositories_administered_by(user))
    if not found.exists():
        raise PermissionDenied(ONLY_ADMINS)
    if not found.filter(deleted_at__isnull=True).exists():
        raise NothingToStartError(f"{named} was deleted on GitHub: its history is gone.")
    return found


def _of_installation(installation_id: int, *, user: Any) -> QuerySet[Repository]:
    """Return the repositories of an installation; it belongs to the users of the teams that track its account."""
    found = Installation.objects.filter(pk=installation_id)
    if not is_operator(user):
        found = found.filter(account__in=_accounts_of(Team.objects.visible_to(user)))
    if not found.exists():
        raise NotFound(f"There is no installation {installation_id} that you may see.")
    if not is_operator(user):
        found = found.filter(account__in=_accounts_of(Team.objects.administered_by(user)))
    if not found.exists():
        raise PermissionDenied(ONLY_ITS_ADMINS)
    return chosen(installation_id=installation_id)


def _accounts_of(teams: QuerySet[Team]) -> QuerySet[Team, Any]:
    return teams.filter(account__isnull=False).order_by().values("account")


def _of_team(slug: str, *, user: Any) -> QuerySet[Repository]:
    if not Team.objects.visible_to(user).filter(slug=slug).exists():
        raise NotFound(f"There is no team {slug} that you may see.")
    team = Team.objects.administered_by(user).filter(slug=slug).first()
    if team is None:
        raise PermissionDenied(ONLY_ITS_ADMINS)
    return chosen(team=team)
