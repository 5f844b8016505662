"""Serializers of deliveries; the body has its own."""

from typing import Any

from rest_framework import serializers

from apps.webhooks.models import Delivery


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """A delivery of GitHub and its state."""

    source = serializers.SerializerMethodField(help_text="How it arrived: webhook, api or replay.")  # type: ignore[assignment]
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
        """The source: webhook, api or replay."""
        return Delivery.Source(delivery.source).name.lower()

    def get_body_sha256(self, delivery: Delivery) -> str:
        """Hexadecimal."""
        return bytes(delivery.body_sha256).hex()


class BodySerializer(serializers.Serializer[Any]):
    """The bytes that GitHub signed, and the stored headers."""

    headers = serializers.DictField(child=serializers.CharField(), help_text="Only those on the allow-list.")
    encoding = serializers.ChoiceField(choices=["utf-8", "base64"], help_text="The encoding of `content`.")
    content = serializers.CharField()


class ReplaySerializer(serializers.Serializer[Any]):
    """The delivery that will be processed again."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=Delivery.State.choices)
