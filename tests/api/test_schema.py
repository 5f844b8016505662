"""The API describes itself, wholly and without a warning."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from tests.api.conftest import Cast


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    described: dict[str, Any] = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return described


def operations(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


@pytest.mark.proof
def test_the_description_is_valid_openapi_3_1_without_a_warning() -> None:
    out = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    assert "openapi: 3.1" in out.getvalue()


def test_every_operation_and_parameter_is_described(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema).items():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"][0] in {tag["name"] for tag in schema["tags"]}, name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], f"{name} {parameter['name']}"


def test_every_operation_describes_its_errors(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema).items():
        assert {"401", "429"} <= set(operation["responses"]), name
        assert ("404" in operation["responses"]) or "{" not in name, name


@pytest.mark.django_db
def test_the_description_is_for_those_who_sign_in(cast: Cast) -> None:
    assert APIClient().get("/api/v1/schema/").status_code == 401
    assert cast.client(cast.viewer).get("/api/v1/schema/?format=json").json()["info"]["title"] == "tformance"
