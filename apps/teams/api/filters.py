"""What lists of a team can be narrowed by."""

import django_filters
from django.db.models import QuerySet

from apps.activity.models import Contributor, Repository
from apps.common.api import TruthFilter
from apps.teams.models import Team
from apps.teams.visibility import repositories_of


class ContributorFilter(django_filters.FilterSet):
    """Filters of contributors."""

    search = django_filters.CharFilter(field_name="login", lookup_expr="icontains", help_text="Part of the login.")
    kind = django_filters.ChoiceFilter(choices=Contributor.Kind.choices)

    class Meta:
        model = Contributor
        fields = ("search", "kind")


class TeamRepositoryFilter(django_filters.FilterSet):
    """Filters of repositories by name and state."""

    search = django_filters.CharFilter(field_name="full_name", lookup_expr="icontains", help_text="Part of the name.")
    is_archived = TruthFilter()

    class Meta:
        model = Repository
        fields = ("search", "is_archived")


class RepositoryFilter(TeamRepositoryFilter):
    """Filters of repositories, also by team."""

    team = django_filters.CharFilter(method="of_team", help_text="Slug: only those the team tracks.")

    class Meta(TeamRepositoryFilter.Meta):
        fields = ("search", "is_archived", "team")  # type: ignore[assignment]

    def of_team(self, rows: QuerySet[Repository], name: str, slug: str) -> QuerySet[Repository]:
        """Return the repositories of the team; none if the user may not see it or it does not exist."""
        teams = Team.objects.visible_to(self.request.user).filter(slug=slug)
        return rows.filter(pk__in=repositories_of(Team.objects.filter(pk__in=teams.values("pk"))))
