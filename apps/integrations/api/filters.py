"""What backfills can be narrowed by."""

import django_filters
from django.db.models import QuerySet

from apps.activity.identity import is_id
from apps.integrations.models import Backfill


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
