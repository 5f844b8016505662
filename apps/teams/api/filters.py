"""What lists of a team can be narrowed by."""

import django_filters

from apps.activity.models import Contributor, Repository


class ContributorFilter(django_filters.FilterSet):
    """Contributors by login and kind."""

    search = django_filters.CharFilter(field_name="login", lookup_expr="icontains", help_text="Part of the login.")
    kind = django_filters.ChoiceFilter(choices=Contributor.Kind.choices)

    class Meta:
        model = Contributor
        fields = ("search", "kind")


class TeamRepositoryFilter(django_filters.FilterSet):
    """Repositories by name and state."""

    search = django_filters.CharFilter(field_name="full_name", lookup_expr="icontains", help_text="Part of the name.")
    is_archived = django_filters.BooleanFilter()

    class Meta:
        model = Repository
        fields = ("search", "is_archived")
