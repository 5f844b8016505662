"""Serializers of facts."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.activity.models import Contributor, Coverage, Provenance, PullRequest, PullRequestEvent, Repository, Review


class ContributorSerializer(serializers.ModelSerializer[Contributor]):
    """A GitHub account."""

    kind = serializers.ChoiceField(
        choices=Contributor.Kind.choices,
        read_only=True,
        allow_blank=True,
        help_text="Empty while unknown.",
    )

    class Meta:
        model = Contributor
        fields = ("github_id", "login", "kind")
        read_only_fields = fields


class RepositorySerializer(serializers.ModelSerializer[Repository]):
    """A repository; `github_id` is its identity, `full_name` a label that may change."""

    class Meta:
        model = Repository
        fields = (
            "github_id",
            "full_name",
            "default_branch",
            "is_private",
            "is_archived",
            "is_fork",
            "created_at",
            "pushed_at",
            "deleted_at",
        )
        read_only_fields = fields


class RepositoryLabelSerializer(serializers.ModelSerializer[Repository]):
    """A repository's identity and label."""

    class Meta:
        model = Repository
        fields = ("github_id", "full_name")
        read_only_fields = fields


class CoverageSerializer(serializers.ModelSerializer[Coverage]):
    """A period in which a stream is stored completely."""

    class Meta:
        model = Coverage
        fields = ("stream", "from_at", "to_at")
        read_only_fields = fields


class RepositoryDetailSerializer(RepositorySerializer):
    """A repository, with the periods that are complete."""

    coverage = serializers.SerializerMethodField()

    class Meta(RepositorySerializer.Meta):
        fields = (*RepositorySerializer.Meta.fields, "coverage")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(CoverageSerializer(many=True))
    def get_coverage(self, repository: Repository) -> Any:
        """The periods in which each stream is complete; empty if unverified."""
        rows = Coverage.objects.filter(repository=repository).order_by("stream", "from_at")
        return CoverageSerializer(rows, many=True).data


class PullRequestSerializer(serializers.ModelSerializer[PullRequest]):
    """The current state of a pull request."""

    repository = RepositoryLabelSerializer()
    state = serializers.ChoiceField(
        choices=PullRequest.State.choices,
        read_only=True,
        allow_blank=True,
        help_text="Empty while only parts of it are known, such as a review.",
    )
    author = ContributorSerializer(allow_null=True, help_text="Null if the account was deleted.")
    is_merged = serializers.SerializerMethodField()
    additions = serializers.IntegerField(allow_null=True, help_text="Lines; null while unknown.")
    deletions = serializers.IntegerField(allow_null=True, help_text="Lines; null while unknown.")

    class Meta:
        model = PullRequest
        fields = (
            "repository",
            "number",
            "github_id",
            "title",
            "state",
            "is_merged",
            "is_draft",
            "author",
            "created_at",
            "updated_at",
            "closed_at",
            "merged_at",
            "base_ref",
            "head_ref",
            "head_sha",
            "merge_sha",
            "additions",
            "deletions",
            "changed_files",
            "commit_count",
            "labels",
        )
        read_only_fields = fields

    def get_is_merged(self, pull_request: PullRequest) -> bool:
        return pull_request.merged_at is not None


class PullRequestEventSerializer(serializers.ModelSerializer[PullRequestEvent]):
    """A member of a pull request's history; `source` says whether its time is GitHub's own of the event (api)."""

    actor = ContributorSerializer(allow_null=True)

    class Meta:
        model = PullRequestEvent
        fields = ("kind", "subject", "at", "actor", "source", "reason")
        read_only_fields = fields


class ReviewSerializer(serializers.ModelSerializer[Review]):
    """A submitted review; `verdict` stays what it was when `dismissed_at` is set."""

    author = ContributorSerializer(allow_null=True)

    class Meta:
        model = Review
        fields = ("github_id", "author", "verdict", "submitted_at", "dismissed_at", "deleted_at", "commit_sha")
        read_only_fields = fields


class ProvenanceSerializer(serializers.Serializer[Provenance]):
    """A source of the entity: a delivery by its URL, or a read of GitHub's API by its name."""

    entity = serializers.CharField(help_text="What it is a source of: the pull request, one of its reviews, …")
    source = serializers.ChoiceField(  # type: ignore[assignment]  # the name clashes with the field's own
        choices=["delivery", "api"]
    )
    source_key = serializers.CharField()
    url = serializers.SerializerMethodField()

    def get_url(self, provenance: Provenance) -> str | None:
        """The delivery in this API; null for a read of GitHub's API."""
        if provenance.source != "delivery":
            return None
        return reverse("delivery-detail", args=[provenance.source_key])
