"""Backfills as the API shows them."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.activity.api.serializers import RepositoryLabelSerializer
from apps.activity.models import Repository
from apps.github.rate_limit import BudgetNow
from apps.integrations.backfill.status import budgets_of
from apps.integrations.models import Backfill, Drift, DriftedEntity, RepositorySync, SyncLog, TeamSync
from apps.integrations.streams import STREAM_CHOICES
from apps.jobs.api import StatusSerializer
from apps.metrics.api.repositories import CompleteRepositoryDetailSerializer
from apps.teams.models import Team
from apps.teams.visibility import repositories_visible_to


class BudgetSerializer(serializers.Serializer[BudgetNow]):
    """What is left of one of GitHub's hourly limits."""

    resource = serializers.CharField(help_text="`graphql` or `core`.")
    limit = serializers.IntegerField()
    remaining = serializers.IntegerField()
    resets_at = serializers.SerializerMethodField()

    def get_resets_at(self, budget: BudgetNow) -> datetime:
        """Return when the whole limit is available again."""
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
        """Return what is left of its installation's hourly limits; empty where nothing is known of them."""
        known = self.context["budgets"].get(backfill.installation_id, ())
        return BudgetSerializer(known, many=True).data


def backfill_documents(rows: Sequence[Backfill]) -> Any:
    """Return the rows as the API shows them; what is left of the limits is read once per installation."""
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
    """A run of reconciliation: the repositories of many teams at night, or those that were asked for."""

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
        """Return the status of those of your teams that take part."""
        return TeamPartSerializer(self.context["parts"][sync.pk], many=True).data

    @extend_schema_field(CountsSerializer)
    def get_repositories(self, sync: SyncLog) -> Any:
        """Return how many of the repositories that you may see are in each state."""
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
    """Return the runs as this user may see them, without other users' teams and repositories."""
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


MOST_SHOWN = 500


class DriftOfStreamSerializer(StreamDriftSerializer):
    """The same, with the run that found it."""

    run = serializers.CharField(source="repository_sync.sync.sync_id", help_text="Such as `nightly:2026-03-02`.")
    begun_at = serializers.DateTimeField(source="repository_sync.created_at")

    class Meta(StreamDriftSerializer.Meta):
        fields = ("id", "run", "begun_at", *StreamDriftSerializer.Meta.fields)  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class DriftSerializer(DriftOfStreamSerializer):
    """The same, with its repository."""

    repository = RepositoryLabelSerializer(source="repository_sync.repository")

    class Meta(DriftOfStreamSerializer.Meta):
        fields = ("id", "repository", *DriftOfStreamSerializer.Meta.fields[1:])  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class DriftedEntitySerializer(serializers.ModelSerializer[DriftedEntity]):
    """One that was off."""

    class Meta:
        model = DriftedEntity
        fields = ("entity", "key", "finding")
        read_only_fields = fields


class DriftDetailSerializer(DriftSerializer):
    """The same, and what was off."""

    entities = serializers.SerializerMethodField()

    class Meta(DriftSerializer.Meta):
        fields = (*DriftSerializer.Meta.fields, "entities")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(DriftedEntitySerializer(many=True))
    def get_entities(self, drift: Drift) -> Any:
        """Return what was off, by the keys of its provenance; the first 500."""
        rows = DriftedEntity.objects.filter(repository_sync=drift.repository_sync_id, stream=drift.stream)
        return DriftedEntitySerializer(rows.order_by("entity", "key")[:MOST_SHOWN], many=True).data


class RepositoryWithDriftSerializer(CompleteRepositoryDetailSerializer):
    """A repository, what is complete of it, and how far it was off."""

    drift = serializers.SerializerMethodField()

    class Meta(CompleteRepositoryDetailSerializer.Meta):
        fields = (*CompleteRepositoryDetailSerializer.Meta.fields, "drift")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(DriftOfStreamSerializer(many=True))
    def get_drift(self, repository: Repository) -> Any:
        """Return what the last run that read each stream found; empty until one did."""
        rows = Drift.objects.filter(repository_sync__repository=repository).select_related("repository_sync__sync")
        return DriftOfStreamSerializer(rows.newest().order_by("stream"), many=True).data
