"""What a body may say: a field that is unknown or only read is an error, as it must not quietly change nothing."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class OnlyKnownFields(serializers.BaseSerializer[Any]):
    """A serializer that refuses fields that it does not have, and those that can only be read."""

    fields: Any

    def to_internal_value(self, data: Any) -> Any:
        """What the body says; 400 names the fields that are wrong, and those that there are."""
        unknown = sorted(map(str, set(data) - set(self.fields))) if isinstance(data, Mapping) else ()
        words = f"There is no such field here; there are {', '.join(self.fields)}."
        wrong = {name: [words] for name in unknown}
        for name, field in self.fields.items():
            if isinstance(data, Mapping) and name in data and field.read_only:
                wrong[name] = ["This field can only be read."]
        if wrong:
            raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)
