"""What a body may say: a field that nobody knows is an error, as a misspelt one must not quietly change nothing."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class OnlyKnownFields(serializers.BaseSerializer[Any]):
    """A serializer that refuses fields that it does not have."""

    fields: Any

    def to_internal_value(self, data: Any) -> Any:
        """What the body says; 400 names the fields that there are."""
        unknown = sorted(map(str, set(data) - set(self.fields))) if isinstance(data, Mapping) else ()
        if unknown:
            words = f"There is no such field here; there are {', '.join(self.fields)}."
            raise serializers.ValidationError({name: [words] for name in unknown})
        return super().to_internal_value(data)
