"""Deliveries as the API shows them; the body never travels with them."""

from typing import Any

from rest_framework import serializers

from apps.webhooks.models import Delivery


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One POST of GitHub's and what became of it."""

    source = serializers.SerializerMethodField(help_text="How it came.")  # type: ignore[assignment]
    body_sha256 = serializers.SerializerMethodField()
    size = serializers.IntegerField(help_text="Bytes of the body.")

    class Meta:
        model = Delivery
        fields = (
            "id",
            "key",
            "guid",
            "hook_id",
            "event",
            "action",
            "installation_id",
            "repository_id",
            "state",
            "reason",
            "error",
            "source",
            "attempts",
            "crashes",
            "duplicates",
            "is_conflict",
            "is_replayed_body",
            "is_sanitised",
            "size",
            "body_sha256",
            "received_at",
            "claimed_at",
            "not_before",
            "finished_at",
        )
        read_only_fields = fields

    def get_source(self, delivery: Delivery) -> str:
        """One of webhook, api and replay."""
        return Delivery.Source(delivery.source).name.lower()

    def get_body_sha256(self, delivery: Delivery) -> str:
        """Hexadecimal."""
        return bytes(delivery.body_sha256).hex()


class BodySerializer(serializers.Serializer[Any]):
    """The bytes GitHub signed, and the headers that were kept."""

    headers = serializers.DictField(child=serializers.CharField(), help_text="Those on the allow-list, never all.")
    encoding = serializers.ChoiceField(choices=["utf-8", "base64"], help_text="How `content` stands for the bytes.")
    content = serializers.CharField()


class ReplaySerializer(serializers.Serializer[Any]):
    """What a replay has set in motion."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=Delivery.State.choices)
