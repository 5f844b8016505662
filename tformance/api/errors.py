"""Errors of the API: what is answered, and their part of the OpenAPI description."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from drf_spectacular.openapi import AutoSchema
from rest_framework import exceptions, serializers
from rest_framework.views import exception_handler


def answer_error(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Return `detail` for people, `code` for programs, and for a bad request `fields` with their errors.

    A browser that asks for a page is shown one if it asks too often: a list as CSV is a link on a page.
    """
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.Throttled) and "text/html" in context["request"].headers.get("Accept", ""):
        return too_many_requests(context["request"]._request, retry_after=response.headers.get("Retry-After", ""))
    if isinstance(error, exceptions.ValidationError):
        fields = response.data if isinstance(response.data, dict) else {"non_field_errors": response.data}
        response.data = {"detail": first_words(fields), "code": "invalid", "fields": fields}
    else:
        response.data = {"detail": detail_of(response.data), "code": code_of(error)}
    return response


def too_many_requests(request: Any, *, retry_after: str) -> HttpResponse:
    page = render(request, "429.html", {"wait_s": int(retry_after) if retry_after else None}, status=429)
    if retry_after:
        page["Retry-After"] = retry_after
    return page


def detail_of(data: Any) -> str:
    return str(data["detail"]) if isinstance(data, dict) and "detail" in data else str(data)


def code_of(error: Exception) -> str:
    if isinstance(error, Http404):
        return "not_found"
    codes = error.get_codes() if isinstance(error, exceptions.APIException) else "permission_denied"
    return codes if isinstance(codes, str) else "invalid"


def first_words(fields: Any) -> str:
    """Return the first of nested messages, with the name of its field."""
    if isinstance(fields, dict):
        name, inner = next(iter(fields.items()))
        words = first_words(inner)
        return words if name == "non_field_errors" else f"{name}: {words}"
    if isinstance(fields, list):
        return first_words(next((inner for inner in fields if inner), ""))
    return str(fields)


READING = {
    "401": "Not signed in, or the token is wrong.",
    "429": "Too many requests; retry after `Retry-After`.",
    "503": "The database is unavailable or the query too slow: `detail` says what to do, `Retry-After` when.",
}
NAMED = {"404": "Does not exist, or you have no access to it."}
PAGED = {"404": "The cursor is not valid for this list."}
PARAMETERS = {
    "slug": "The team's slug.",
    "id": "The id, as shown in lists.",
    "repository_id": "GitHub's id of the repository.",
    "github_id": "GitHub's id.",
    "number": "The pull request's number.",
    "limit": "Page size, at most 500.",
    "offset": "Number of rows to skip.",
    "cursor": "Position, from `next` or `previous`.",
}
CHANGING = {"400": "The request is invalid; `fields` says why.", "403": "You may read this, but not change it."}


class ErrorSerializer(serializers.Serializer[Any]):
    """The body of every error."""

    detail = serializers.CharField(help_text="What is wrong and what to do.")
    code = serializers.CharField(help_text="Stable, for programs: `not_found`, `invalid`, `not_authenticated`, …")
    fields = serializers.DictField(  # type: ignore[assignment]  # the name clashes with the serializer's own
        required=False, help_text="With `invalid`: messages by the name of the field or parameter."
    )


class DescribedSchema(AutoSchema):
    """Add the errors that operations share."""

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
