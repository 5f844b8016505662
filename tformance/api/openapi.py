"""The OpenAPI description: what every operation can answer besides success."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

READING = {
    "401": "Not signed in, or the token is wrong.",
    "429": "Asked too often; `Retry-After` says when to come back.",
    "503": "The database is away, or this took it too long: `detail` says what to do, `Retry-After` when.",
}
NAMED = {"404": "Not there, or not yours to see."}
PAGED = {"404": "The cursor is none of this list."}
PARAMETERS = {
    "slug": "The team's slug.",
    "id": "The row's id, as lists show it.",
    "repository_id": "GitHub's id of the repository.",
    "github_id": "GitHub's id.",
    "number": "The pull request's number.",
    "limit": "How many at once, up to 500.",
    "offset": "How many to leave out first.",
    "cursor": "Where to go on: `next` and `previous` carry it.",
}
CHANGING = {"400": "What was sent cannot be used; `fields` says why.", "403": "You may look, but not do this."}


class ErrorSerializer(serializers.Serializer[Any]):
    """The shape of every error."""

    detail = serializers.CharField(help_text="What is wrong and what to do, in words.")
    code = serializers.CharField(help_text="Stable, for programs: `not_found`, `invalid`, `not_authenticated`, …")
    fields = serializers.DictField(  # type: ignore[assignment]  # the name clashes with the serializer's own
        required=False, help_text="With `invalid`: messages by the name of the field or parameter."
    )


class DescribedSchema(AutoSchema):
    """Adds the errors that every operation of its kind shares."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        shapes: dict[str, Any] = {
            "application/json": {"schema": {"$ref": f"#/components/schemas/{self._error_component()}"}}
        }
        if "text/csv" in operation["responses"].get("200", {}).get("content", {}):
            shapes["text/csv"] = {"schema": {"type": "string"}}
        for status, words in self._errors(operation).items():
            answer = {"description": words, "content": shapes}
            operation["responses"].setdefault(status, answer)
        operation["responses"] = dict(sorted(operation["responses"].items()))
        for parameter in operation.get("parameters", ()):
            if not parameter.get("description") or parameter["name"] in ("limit", "offset", "cursor"):
                parameter["description"] = PARAMETERS.get(parameter["name"], parameter["name"].replace("_", " "))
        return operation

    def _errors(self, operation: dict[str, Any]) -> dict[str, str]:
        errors = dict(READING)
        if "{" in self.path:
            errors |= NAMED
        if any(parameter["name"] == "cursor" for parameter in operation.get("parameters", ())):
            errors |= PAGED
        errors |= {"400": CHANGING["400"]} if self.method == "GET" else CHANGING
        return errors

    def _error_component(self) -> str:
        return str(self.resolve_serializer(ErrorSerializer, "response").name)
