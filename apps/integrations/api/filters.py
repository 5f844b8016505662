"""What backfills, drift and runs of reconciliation can be narrowed by."""

from typing import Any

import django_filters
from django.db.models import QuerySet

from apps.common.db import is_id
from apps.integrations.models import Backfill, Drift, RepositorySync, SyncLog
from apps.teams.models import Team
from apps.teams.visibility import repositories_of


class BackfillFilter(django_filters.FilterSet):
    """Backfills by what they read, how they stand, and who reads them."""

    repository = django_filters.CharFilter(method="in_repository", help_text="GitHub's id, or a name like acme/api.")
    stream = django_filters.MultipleChoiceFilter(choices=Backfill.Stream.choices, help_text="Repeat it for several.")
    state = django_filters.MultipleChoiceFilter(choices=Backfill.State.choices, help_text="Repeat it for several.")
    installation = django_filters.NumberFilter(field_name="installation_id", help_text="GitHub's id.")

    class Meta:
        model = Backfill
        fields = ("repository", "stream", "state", "installation")

    def in_repository(self, rows: QuerySet[Backfill], name: str, value: str) -> QuerySet[Backfill]:
        if is_id(value):
            return rows.filter(repository=int(value))
        return rows.filter(repository__full_name__iexact=value)


class DriftFilter(django_filters.FilterSet):
    """Drift by what was read, and of whom."""

    repository = django_filters.CharFilter(method="in_repository", help_text="GitHub's id, or a name like acme/api.")
    team = django_filters.CharFilter(method="of_team", help_text="Slug: only repositories that the team tracks.")
    stream = django_filters.MultipleChoiceFilter(choices=Backfill.Stream.choices, help_text="Repeat it for several.")
    latest = django_filters.BooleanFilter(method="only_latest", help_text="Only the last of each stream.")

    class Meta:
        model = Drift
        fields = ("repository", "team", "stream", "latest")

    def in_repository(self, rows: QuerySet[Drift], name: str, value: str) -> QuerySet[Drift]:
        if is_id(value):
            return rows.filter(repository_sync__repository=int(value))
        return rows.filter(repository_sync__repository__full_name__iexact=value)

    def of_team(self, rows: QuerySet[Drift], name: str, slug: str) -> QuerySet[Drift]:
        """Of a team that the user cannot see there is nothing, as of one that does not exist."""
        teams = Team.objects.visible_to(self.request.user).filter(slug=slug)
        tracked = repositories_of(Team.objects.filter(pk__in=teams.values("pk"))).order_by()
        return rows.filter(repository_sync__repository__in=tracked.values("pk"))

    def only_latest(self, rows: Any, name: str, is_wanted: bool) -> QuerySet[Drift]:
        found: QuerySet[Drift] = rows.newest() if is_wanted else rows
        return found


class SyncFilter(django_filters.FilterSet):
    """Runs by how they stand, why they are, and who takes part."""

    status = django_filters.MultipleChoiceFilter(choices=SyncLog.Status.choices, help_text="Repeat it for several.")
    cause = django_filters.MultipleChoiceFilter(choices=SyncLog.Cause.choices, help_text="Repeat it for several.")
    team = django_filters.CharFilter(method="of_team", help_text="Slug: only those in which the team takes part.")

    class Meta:
        model = SyncLog
        fields = ("status", "cause", "team")

    def of_team(self, rows: QuerySet[SyncLog], name: str, slug: str) -> QuerySet[SyncLog]:
        """Of a team that the user cannot see there is nothing, as of one that does not exist."""
        teams = Team.objects.visible_to(self.request.user).filter(slug=slug).order_by()
        return rows.filter(teams__team__in=teams.values("pk"))


class RepositorySyncFilter(django_filters.FilterSet):
    """Repositories of a run by how they stand."""

    state = django_filters.MultipleChoiceFilter(
        choices=RepositorySync.State.choices, help_text="Repeat it for several."
    )

    class Meta:
        model = RepositorySync
        fields = ("state",)
