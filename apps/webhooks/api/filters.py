"""What the letterbox can be narrowed by."""

import django_filters

from apps.common.api import InstantFilter
from apps.webhooks.models import Delivery


class DeliveryFilter(django_filters.FilterSet):
    """Deliveries by where they came from, what became of them, and when."""

    state = django_filters.MultipleChoiceFilter(choices=Delivery.State.choices, help_text="Repeat it for several.")
    event = django_filters.CharFilter(help_text="GitHub's name: `pull_request`.")
    action = django_filters.CharFilter(help_text="The payload's action: `opened`.")
    reason = django_filters.CharFilter(help_text="Why it is in its state: `shape_mismatch`.")
    repository = django_filters.NumberFilter(field_name="repository_id", help_text="GitHub's id of the repository.")
    installation = django_filters.NumberFilter(field_name="installation_id", help_text="GitHub's id.")
    guid = django_filters.UUIDFilter(help_text="`X-GitHub-Delivery`, as GitHub shows it.")
    received_after = InstantFilter(field_name="received_at", lookup_expr="gte", help_text="An instant, inclusive.")
    received_before = InstantFilter(field_name="received_at", lookup_expr="lt", help_text="An instant, exclusive.")

    class Meta:
        model = Delivery
        fields = ("state", "event", "action", "reason", "repository", "installation", "guid")
