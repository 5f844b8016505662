"""Backfills as the API shows them."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.activity.api.serializers import RepositoryLabelSerializer
from apps.github.rate_limit import BudgetNow
from apps.integrations.backfill.status import budgets_of
from apps.integrations.models import Backfill, Drift, RepositorySync, SyncLog, TeamSync
from apps.integrations.streams import STREAM_CHOICES
from apps.jobs.api import StatusSerializer
from apps.teams.models import Team
from apps.teams.visibility import repositories_visible_to


class BudgetSerializer(serializers.Serializer[BudgetNow]):
    """What is left of one of GitHub's hourly limits."""

    resource = serializers.CharField(help_text="`graphql` or `core`.")
    limit = serializers.IntegerField()
    remaining = serializers.IntegerField()
    resets_at = serializers.SerializerMethodField()

    def get_resets_at(self, budget: BudgetNow) -> datetime:
        """When it is whole again."""
        return datetime.fromtimestamp(budget.resets_at, UTC)


class BackfillSerializer(StatusSerializer):
    """The read of one stream of a repository's history."""

    stream = serializers.ChoiceField(choices=STREAM_CHOICES)

    repository = RepositoryLabelSerializer()
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

    @extend_schema_field(BudgetSerializer(many=True))
    def get_budget(self, backfill: Backfill) -> Any:
        """What is left of its installation's hourly limits; empty where nothing is known of them."""
        known = self.context["budgets"].get(backfill.installation_id, ())
        return BudgetSerializer(known, many=True).data


def backfill_documents(rows: Sequence[Backfill]) -> Any:
    """The rows as the API shows them; what is left of the limits is read once per installation."""
    return BackfillSerializer(rows, many=True, context={"budgets": budgets_of(rows)}).data


class CountsSerializer(serializers.Serializer[Any]):
    """How many of the repositories that you may see are at what."""

    waiting = serializers.IntegerField()
    running = serializers.IntegerField()
    paused = serializers.IntegerField()
    done = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    failed = serializers.IntegerField()


class TeamPartSerializer(serializers.ModelSerializer[TeamSync]):
    """How a team fared in a run."""

    team = serializers.SlugRelatedField[Team](slug_field="slug", read_only=True)
    status = serializers.ChoiceField(choices=TeamSync.Status.choices)

    class Meta:
        model = TeamSync
        fields = ("team", "status", "error", "finished_at")
        read_only_fields = fields


class SyncSerializer(serializers.ModelSerializer[SyncLog]):
    """A run of reconciliation: the repositories of many teams at night, or what somebody wished for."""

    teams = serializers.SerializerMethodField()
    repositories = serializers.SerializerMethodField()

    class Meta:
        model = SyncLog
        fields = (
            "id",
            "sync_id",
            "cause",
            "status",
            "teams",
            "repositories",
            "created_at",
            "started_at",
            "finished_at",
        )
        read_only_fields = fields

    @extend_schema_field(TeamPartSerializer(many=True))
    def get_teams(self, sync: SyncLog) -> Any:
        """How those of your teams fared that take part."""
        return TeamPartSerializer(self.context["parts"][sync.pk], many=True).data

    @extend_schema_field(CountsSerializer)
    def get_repositories(self, sync: SyncLog) -> Any:
        """How many of the repositories that you may see are at what."""
        return {state: self.context["counts"][sync.pk, state] for state in RepositorySync.State.values}


class StreamDriftSerializer(serializers.ModelSerializer[Drift]):
    """How far a stream was off when a run read it, counted in entities: a pull request, a review, a commit, …"""

    checked = serializers.IntegerField(help_text="Entities that GitHub showed.")
    missing = serializers.IntegerField(help_text="Those of them that were not here.")
    stale = serializers.IntegerField(help_text="Those that were here otherwise.")
    repaired = serializers.IntegerField(help_text="Missing or stale ones that are right now.")
    deleted = serializers.IntegerField(help_text="Those that were here and that GitHub has no more.")
    recovery_sources = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="How many of the missing ones came from each source: `reconciliation`, `delivery_log`, `redelivery`.",
    )

    class Meta:
        model = Drift
        fields = ("stream", *Drift.COUNTS, "recovery_sources")
        read_only_fields = fields


class RepositorySyncSerializer(serializers.ModelSerializer[RepositorySync]):
    """One repository in a run."""

    repository = RepositoryLabelSerializer()
    differs = serializers.ListField(
        child=serializers.CharField(), help_text="The streams that were read, as they might differ."
    )
    drift = StreamDriftSerializer(source="drifts", many=True, help_text="What was off, by stream.")

    class Meta:
        model = RepositorySync
        fields = (
            "id",
            "repository",
            "state",
            "reason",
            "error",
            "differs",
            "drift",
            "probed_at",
            "created_at",
            "finished_at",
        )
        read_only_fields = fields


def sync_documents(rows: Sequence[SyncLog], *, user: Any) -> Any:
    """The runs as this person may see them; nothing in them tells of anybody else's teams or repositories."""
    teams = Team.objects.visible_to(user).order_by().values("pk")
    parts: dict[int, list[TeamSync]] = defaultdict(list)
    for part in TeamSync.objects.filter(sync__in=rows, team__in=teams).select_related("team").order_by("team__slug"):
        parts[part.sync_id].append(part)
    theirs = repositories_visible_to(user).order_by().values("pk")
    counted = RepositorySync.objects.filter(sync__in=rows, repository__in=theirs).order_by()
    counts = Counter(
        {
            (sync_id, state): count
            for sync_id, state, count in counted.values_list("sync", "state").annotate(count=Count("pk"))
        }
    )
    return SyncSerializer(rows, many=True, context={"parts": parts, "counts": counts}).data
