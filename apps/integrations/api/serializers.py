"""Backfills as the API shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.activity.api.serializers import RepositoryLabelSerializer
from apps.github.rate_limit import BudgetNow
from apps.integrations.backfill.status import Outlook, budgets_of, outlook_of
from apps.integrations.models import Backfill


class SkippedSerializer(serializers.Serializer[Any]):
    """Something that GitHub could not show; the walk went on without it."""

    what = serializers.CharField(help_text="Such as `pull request 17`.")
    why = serializers.CharField()


class BudgetSerializer(serializers.Serializer[BudgetNow]):
    """What is left of one of GitHub's hourly limits."""

    resource = serializers.CharField(help_text="`graphql` or `core`.")
    limit = serializers.IntegerField()
    remaining = serializers.IntegerField()
    resets_at = serializers.SerializerMethodField()

    def get_resets_at(self, budget: BudgetNow) -> datetime:
        """When it is whole again."""
        return datetime.fromtimestamp(budget.resets_at, UTC)


class BackfillSerializer(serializers.ModelSerializer[Backfill]):
    """The walk through one stream of a repository's history."""

    repository = RepositoryLabelSerializer()
    percent = serializers.SerializerMethodField()
    eta_s = serializers.SerializerMethodField()
    waits_until = serializers.SerializerMethodField()
    why = serializers.SerializerMethodField()
    advice = serializers.SerializerMethodField()
    skipped = SkippedSerializer(many=True, help_text="What GitHub could not show.")
    budget = serializers.SerializerMethodField()

    class Meta:
        model = Backfill
        fields = (
            "id",
            "repository",
            "stream",
            "installation_id",
            "since",
            "until",
            "state",
            "reason",
            "why",
            "advice",
            "error",
            "total",
            "items",
            "percent",
            "eta_s",
            "not_before",
            "waits_until",
            "skipped",
            "pages",
            "calls",
            "points",
            "budget",
            "page_size",
            "attempts",
            "created_at",
            "started_at",
            "advanced_at",
            "finished_at",
        )
        read_only_fields = fields

    def get_percent(self, backfill: Backfill) -> int | None:
        """How much was read; below 100 until it is done, null while GitHub has not said how much there is."""
        return self._outlook(backfill).percent

    def get_eta_s(self, backfill: Backfill) -> float | None:
        """Seconds until it is done, if it goes on as before; null where that cannot be told."""
        return self._outlook(backfill).eta_s

    def get_waits_until(self, backfill: Backfill) -> datetime | None:
        """Before when it does not go on; null where it does not wait."""
        return self._outlook(backfill).waits_until

    def get_why(self, backfill: Backfill) -> str:
        """The reason in words; empty where none is to be told."""
        return self._outlook(backfill).why

    def get_advice(self, backfill: Backfill) -> str:
        """What to do; empty where nothing has to be done."""
        return self._outlook(backfill).advice

    @extend_schema_field(BudgetSerializer(many=True))
    def get_budget(self, backfill: Backfill) -> Any:
        """What is left of its installation's hourly limits; empty where nothing is known of them."""
        known = self.context["budgets"].get(backfill.installation_id, ())
        return BudgetSerializer(known, many=True).data

    def _outlook(self, backfill: Backfill) -> Outlook:
        return outlook_of(backfill, now=self.context["now"])


def backfill_documents(rows: Sequence[Backfill]) -> Any:
    """The rows as the API shows them; what is left of the limits is read once per installation."""
    context = {"budgets": budgets_of(rows), "now": timezone.now()}
    return BackfillSerializer(rows, many=True, context=context).data
