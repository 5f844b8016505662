"""Completeness as the API shows it."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.activity.api.serializers import RepositoryLabelSerializer
from apps.metrics.completeness import Reason

NOT_PROVABLE = "Null: not provable; `completeness` says why."
SENTENCE = "`complete_until` in a sentence, and what can be done about it."


class GapSerializer(serializers.Serializer[Any]):
    """Time of which something may be missing: at each instant in it, of one of the streams and repositories."""

    from_at = serializers.DateTimeField()
    to_at = serializers.DateTimeField(help_text="It no longer belongs to the gap.")
    reason = serializers.ChoiceField(
        choices=[str(reason) for reason in Reason],
        help_text="history: earlier than anything that was read; unread: between what was; out_of_reach: the App lost "
        "the repository.",
    )
    explanation = serializers.CharField(help_text="The same in a sentence.")
    streams = serializers.ListField(child=serializers.CharField(), help_text="Named as backfills name them.")
    repository_count = serializers.IntegerField()
    repositories = RepositoryLabelSerializer(many=True, help_text="The first 20 of them.")


class CompleteSerializer(serializers.Serializer[Any]):
    """Up to when everything is here, and where before then something may be missing."""

    complete_until = serializers.DateTimeField(
        allow_null=True, help_text=f"Whatever GitHub had until then is here, but for `gaps`. {NOT_PROVABLE}"
    )
    gaps = GapSerializer(many=True, help_text="Later than `complete_until` nothing is one: it is not known yet.")


class CompleteFields(serializers.Serializer[Any]):
    """Fields for what is complete of a row; a subclass says what that is."""

    complete_until = serializers.SerializerMethodField()
    completeness = serializers.SerializerMethodField()
    gaps = serializers.SerializerMethodField()

    NAMES = ("complete_until", "completeness", "gaps")

    def complete(self, row: Any) -> Mapping[str, Any]:
        """The document about the row."""
        raise NotImplementedError

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_complete_until(self, row: Any) -> Any:
        """Whatever GitHub had until then is here, but for `gaps`. Null: not provable; `completeness` says why."""
        return self.complete(row)["complete_until"]

    def get_completeness(self, row: Any) -> str:
        """`complete_until` in a sentence, and what can be done about it."""
        return str(self.complete(row)["completeness"])

    @extend_schema_field(GapSerializer(many=True))
    def get_gaps(self, row: Any) -> Any:
        """Where something may be missing between what was read first and `complete_until`."""
        return self.complete(row)["gaps"]
