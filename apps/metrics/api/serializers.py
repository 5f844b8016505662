"""Serializers of figures and their entities."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.activity.api.serializers import (
    ProvenanceSerializer,
    PullRequestEventSerializer,
    PullRequestSerializer,
    ReviewSerializer,
)
from apps.activity.models import Provenance, PullRequest, PullRequestEvent, Review
from apps.metrics.api.completeness import SENTENCE, CompleteSerializer
from apps.metrics.figures import AI, Attribution, Entity, Hours
from apps.metrics.figures.entities import KINDS, github_url
from apps.metrics.figures.figure import Measure
from apps.metrics.models import DerivedAIEvidence, DerivedPullRequest

NULL_IS_NONE = "Null if there are no entities."


class WindowSerializer(serializers.Serializer[Any]):
    """A half-open period of whole days in the team's time zone."""

    start = serializers.DateField(help_text="The first day.")
    end = serializers.DateField(help_text="The day after the last one.")
    time_zone = serializers.CharField(help_text="IANA name.")
    days = serializers.IntegerField()


QUANTILES = serializers.DictField(
    child=serializers.FloatField(allow_null=True), allow_null=True, help_text="The requested quantiles (R-7)."
)


class ValueSerializer(serializers.Serializer[Any]):
    """The value of a figure in a window."""

    value = serializers.FloatField(allow_null=True, help_text=f"In `unit`. {NULL_IS_NONE}")
    n = serializers.IntegerField(allow_null=True, help_text="Number of entities; null where it is suppressed.")
    is_suppressed = serializers.BooleanField(
        help_text="It has too few entities of one person or kind of evidence, or leaves too few, to be shown."
    )


class ComparedSerializer(ValueSerializer):
    """The value of a figure in an earlier period, which lasted as long as the window has so far."""

    start_at = serializers.DateTimeField()
    end_at = serializers.DateTimeField(help_text="Exclusive. A day just begun is compared with as much of a day.")
    complete = serializers.BooleanField(
        allow_null=True, help_text="Everything of it is stored; if not, there is no value. Null if unverified."
    )


class PointSerializer(ValueSerializer):
    """A figure in one bucket of a series: local days from `start` up to, but without, `end`."""

    start = serializers.DateField()
    end = serializers.DateField()
    partial = serializers.BooleanField(  # type: ignore[assignment]  # a serializer has an argument of that name
        help_text="It is not a whole day, week or month, or has not ended. What has not begun has no value."
    )
    complete = serializers.BooleanField(allow_null=True, help_text="Everything of it is stored; null if unverified.")


class GroupSerializer(ValueSerializer):
    """A figure of a part of its entities."""

    key = serializers.CharField(help_text="GitHub's id or the name; empty for entities without any.")
    name = serializers.CharField()
    quantiles = QUANTILES


class BinSerializer(serializers.Serializer[Any]):
    """How many values are at least `start` and less than `end`."""

    start = serializers.FloatField()
    end = serializers.FloatField(allow_null=True, help_text="Null for the last one, which has no end.")
    n = serializers.IntegerField(allow_null=True)
    is_suppressed = serializers.BooleanField(help_text="It has too few to be shown.")


class ExclusionSerializer(serializers.Serializer[Any]):
    """Entities of the period that do not count for one reason."""

    reason = serializers.CharField()
    n = serializers.IntegerField(help_text="Number of entities. With `n` of the figure they are all there are.")
    url = serializers.CharField(help_text="URL of these entities.")


class FigureReadingSerializer(CompleteSerializer, ValueSerializer):
    """A figure in a window, with its definition and completeness."""

    figure = serializers.CharField(help_text="Its key.")
    title = serializers.CharField()
    version = serializers.IntegerField(help_text="Of the definition.")
    unit = serializers.CharField(help_text="seconds, lines, share (0 to 1), or what is counted.")
    measure = serializers.ChoiceField(
        choices=[str(each) for each in Measure],
        help_text="count; distribution: `value` is the median; days_per_week: the median of weeks; else: numerator by "
        "denominator.",
    )
    definition = serializers.CharField()
    rules = serializers.ListField(child=serializers.CharField(), help_text="Rules of edge cases.")
    streams = serializers.ListField(child=serializers.CharField(), help_text="The streams it is computed from.")
    dimensions = serializers.ListField(child=serializers.CharField(), help_text="What it can be grouped by.")
    variants = serializers.ListField(child=serializers.CharField(), help_text="Other definitions of it.")
    mean = serializers.FloatField(allow_null=True)
    median = serializers.FloatField(allow_null=True)
    p75 = serializers.FloatField(allow_null=True, help_text="75th percentile, interpolated (R-7).")
    p90 = serializers.FloatField(allow_null=True, help_text="90th percentile, interpolated (R-7).")
    numerator = serializers.IntegerField(allow_null=True)
    denominator = serializers.IntegerField(
        allow_null=True, help_text="Entities, accounts, weeks, or days that have begun."
    )
    remarks = serializers.DictField(child=serializers.IntegerField(), help_text="Additional counts.")
    reason = serializers.CharField(
        allow_blank=True, help_text="Why there is no value, such as `no_source` or `suppressed`; or empty."
    )
    quantiles = QUANTILES
    series = PointSerializer(many=True, allow_null=True, help_text="With `granularity`.")
    groups = GroupSerializer(many=True, allow_null=True, help_text="With `group_by`; the largest first.")
    histogram = BinSerializer(
        many=True, allow_null=True, help_text="Of a distribution, with `detail=true`; null where suppressed."
    )
    excluded = ExclusionSerializer(
        many=True, allow_null=True, help_text="With `detail=true`; null where one is suppressed."
    )
    previous = ComparedSerializer(allow_null=True, help_text="The other period; with `compare`.")
    entities_url = serializers.CharField(help_text="URL of the entities it counts.")


class AskedSerializer(CompleteSerializer):
    """The query with its defaults, and the completeness of all its figures."""

    team = serializers.CharField(help_text="The team's slug.")
    window = WindowSerializer()
    bots = serializers.ChoiceField(choices=["exclude", "include", "only"])
    agents = serializers.ChoiceField(choices=["exclude", "include", "only"])
    repositories = serializers.ListField(
        child=serializers.IntegerField(), allow_null=True, help_text="GitHub's ids; null for all of the team's."
    )
    author = serializers.CharField(allow_null=True, help_text="Login of the account whose work counts; null for all.")
    labels = serializers.ListField(child=serializers.CharField(), help_text="Labels that pull requests must have.")
    ai = serializers.ChoiceField(
        choices=list(AI), allow_null=True, help_text="The evidence that pull requests must have; null for any or none."
    )
    variant = serializers.CharField(allow_null=True, help_text="The definition; null for the usual one.")
    services = serializers.ListField(child=serializers.CharField(), help_text="Services whose deployments count.")
    hours = serializers.ChoiceField(choices=list(Hours), help_text="The time that durations count.")
    attribution = serializers.ChoiceField(
        choices=list(Attribution), help_text="Whether those who were in the team at the time count, or who are now."
    )
    as_of = serializers.DateTimeField(help_text="The time as of which the figures are computed.")
    is_recalculating = serializers.BooleanField(help_text="Changes are waiting to be recalculated.")
    completeness = serializers.CharField(help_text=SENTENCE)


class FiguresSerializer(AskedSerializer):
    """Several figures of a team in one window."""

    figures = FigureReadingSerializer(many=True)


class FigureSerializer(AskedSerializer):
    """One figure of a team in one window."""

    figure = FigureReadingSerializer()


class EntitySerializer(serializers.Serializer[Entity]):
    """An entity that a figure counts."""

    kind = serializers.ChoiceField(choices=list(dict.fromkeys(KINDS.values())))
    repository = serializers.CharField(help_text="Its full name.")
    repository_id = serializers.IntegerField()
    number = serializers.IntegerField(allow_null=True, help_text="Of the pull request.")
    name = serializers.CharField(help_text="A number, GitHub's or the reporter's id, or a SHA, depending on the kind.")
    title = serializers.CharField(
        help_text="The title of a pull request or incident, or the environment of a deployment."
    )
    account = serializers.CharField(help_text="Login; empty if the account was deleted.")
    at = serializers.DateTimeField(help_text="The time by which it is in the window.")
    value = serializers.FloatField(allow_null=True, help_text="In the figure's unit; null if it is only counted.")
    flags = serializers.ListField(child=serializers.CharField())
    github_url = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()

    def get_github_url(self, entity: Entity) -> str:
        """Its URL on GitHub."""
        return github_url(entity)

    def get_url(self, entity: Entity) -> str | None:
        """The URL of its pull request in this API."""
        if entity.number is None:
            return None
        return reverse("pull-request-detail", args=[entity.repository_id, entity.number])


class AIEvidenceSerializer(serializers.ModelSerializer[DerivedAIEvidence]):
    """A piece of evidence that a tool wrote a pull request, took part in it, or reviewed it."""

    class Meta:
        model = DerivedAIEvidence
        fields = ("kind", "source", "value", "tool", "confidence", "sha", "detector_version")
        read_only_fields = fields


class DerivedPullRequestSerializer(serializers.ModelSerializer[DerivedPullRequest]):
    """The derived values of a pull request; durations in seconds, null if unknown."""

    class Meta:
        model = DerivedPullRequest
        fields = (
            "author_class",
            "is_bot_author",
            "attributed_to",
            "is_ai_assisted",
            "is_ai_reviewed",
            "opened_at",
            "is_opened_as_draft",
            "ready_at",
            "first_commit_at",
            "is_first_commit_adjusted",
            "first_review_at",
            "first_approval_at",
            "first_response_at",
            "merged_at",
            "closed_at",
            "draft_starts",
            "draft_ends",
            "is_draft",
            "cycle_seconds",
            "first_review_seconds",
            "first_response_seconds",
            "size",
            "review_rounds",
            "is_reviewed_in_draft",
            "is_reopened",
            "is_force_pushed",
            "is_cherry_picked",
            "queue_seconds",
            "is_auto_merged",
            "rules_version",
        )
        read_only_fields = fields


class PullRequestDetailSerializer(PullRequestSerializer):
    """A pull request, with its history, reviews, derived values and sources."""

    history = serializers.SerializerMethodField()
    reviews = serializers.SerializerMethodField()
    derived = serializers.SerializerMethodField()
    ai_evidence = serializers.SerializerMethodField()
    provenance = serializers.SerializerMethodField()

    class Meta(PullRequestSerializer.Meta):
        fields = (  # type: ignore[assignment]
            *PullRequestSerializer.Meta.fields,
            "history",
            "reviews",
            "derived",
            "ai_evidence",
            "provenance",
        )
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(PullRequestEventSerializer(many=True))
    def get_history(self, pull_request: PullRequest) -> Any:
        """Its events in order."""
        return PullRequestEventSerializer(history_of(pull_request), many=True).data

    @extend_schema_field(ReviewSerializer(many=True))
    def get_reviews(self, pull_request: PullRequest) -> Any:
        """Its reviews in order."""
        return ReviewSerializer(self._reviews(pull_request), many=True).data

    @extend_schema_field(DerivedPullRequestSerializer(allow_null=True))
    def get_derived(self, pull_request: PullRequest) -> Any:
        """The derived values; null before the first recalculation."""
        derived = derived_of(pull_request)
        return None if derived is None else DerivedPullRequestSerializer(derived).data

    @extend_schema_field(AIEvidenceSerializer(many=True))
    def get_ai_evidence(self, pull_request: PullRequest) -> Any:
        """The evidence of AI tools; empty if none was found."""
        return AIEvidenceSerializer(evidence_about(pull_request), many=True).data

    @extend_schema_field(ProvenanceSerializer(many=True))
    def get_provenance(self, pull_request: PullRequest) -> Any:
        """The sources of it and of its reviews, the latest first."""
        sources = sources_of(pull_request, reviews=self._reviews(pull_request))
        return ProvenanceSerializer(sources, many=True).data  # type: ignore[arg-type]  # its stubs forget many

    def _reviews(self, pull_request: PullRequest) -> list[Review]:
        if not hasattr(self, "_read_reviews"):
            self._read_reviews = reviews_of(pull_request)
        return self._read_reviews


MOST_SOURCES = 500


def history_of(pull_request: PullRequest) -> list[PullRequestEvent]:
    """Its events, in their order."""
    return list(
        PullRequestEvent.objects.filter(repository=pull_request.repository_id, number=pull_request.number)
        .select_related("actor")
        .order_by("at", "pk")
    )


def reviews_of(pull_request: PullRequest) -> list[Review]:
    """Its reviews, in their order; deleted ones say so."""
    return list(
        Review.objects.filter(repository=pull_request.repository_id, number=pull_request.number)
        .select_related("author")
        .order_by("submitted_at", "pk")
    )


def derived_of(pull_request: PullRequest) -> DerivedPullRequest | None:
    """Return what the recalculation made of it; None before the first."""
    return DerivedPullRequest.objects.filter(
        repository_id=pull_request.repository_id, number=pull_request.number
    ).first()


def evidence_about(pull_request: PullRequest) -> list[DerivedAIEvidence]:
    """Return the evidence that tools wrote it, took part in it, or reviewed it."""
    rows = DerivedAIEvidence.objects.filter(repository=pull_request.repository_id, number=pull_request.number)
    return list(rows.order_by("kind", "source", "value"))


def sources_of(pull_request: PullRequest, *, reviews: Sequence[Review]) -> list[Provenance]:
    """Return the sources of it and of its reviews, the latest first, up to 500."""
    spoken_of = Q(entity="pull_request", key=f"{pull_request.repository_id}:{pull_request.number}")
    spoken_of |= Q(entity="review", key__in=[str(review.github_id) for review in reviews])
    return list(Provenance.objects.filter(spoken_of).order_by("-pk")[:MOST_SOURCES])
