"""Errors of the API."""

from typing import Any

from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return `detail` for people, `code` for programs, and for a bad request `fields` with their errors."""
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        fields = response.data if isinstance(response.data, dict) else {"non_field_errors": response.data}
        response.data = {"detail": first_words(fields), "code": "invalid", "fields": fields}
    else:
        response.data = {"detail": detail_of(response.data), "code": code_of(error)}
    return response


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
