"""The page of the OpenAPI description, without scripts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post", "patch", "put", "delete")
MOST_DEEP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A property of a request or response body; `depth` is its nesting."""

    name: str
    kind: str
    description: str
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response: its status, meaning and properties."""

    status: str
    description: str
    properties: tuple[Property, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method of a path."""

    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Mapping[str, Any], ...]
    body: tuple[Property, ...]
    responses: tuple[Response, ...]

    @property
    def anchor(self) -> str:
        """Return the id of the operation on the page."""
        return slugify(f"{self.method} {self.path.replace('/', ' ')}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A group of operations."""

    name: str
    description: str
    operations: tuple[Operation, ...]


@require_safe
@login_required
def api_description(request: HttpRequest) -> HttpResponse:
    """Show every operation of the OpenAPI description, and those of the tag in the URL with all details."""
    (info, tags), chosen = _described_api(), request.GET.get("tag", "")
    if chosen and chosen not in {tag.name for tag in tags}:
        raise Http404(f"There is no part {chosen!r}.")
    context = {"info": info, "tags": tags, "chosen": chosen, "public_url": settings.PUBLIC_URL}
    return render(request, "dashboard/api.html", context)


@cache
def _described_api() -> tuple[Mapping[str, Any], Sequence[Tag]]:
    """Return the description, which is the same for everybody as long as the process runs."""
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return schema["info"], operations_by_tag(schema)


def operations_by_tag(schema: Mapping[str, Any]) -> list[Tag]:
    """Return the operations by their first tag, in the order of the tags."""
    found = list(operations(schema))
    return [
        Tag(
            name=tag["name"],
            description=tag["description"],
            operations=tuple(operation for name, operation in found if name == tag["name"]),
        )
        for tag in schema["tags"]
    ]


def operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, methods in schema["paths"].items():
        for method in METHODS:
            if method in methods:
                described = methods[method]
                yield described["tags"][0], operation_of(method, path=path, described=described, schema=schema)


def operation_of(method: str, *, path: str, described: Mapping[str, Any], schema: Mapping[str, Any]) -> Operation:
    return Operation(
        method=method.upper(),
        path=path,
        summary=described.get("summary", ""),
        description=described.get("description", ""),
        parameters=tuple(described.get("parameters", ())),
        body=tuple(properties_in(described.get("requestBody", {}), schema=schema)),
        responses=tuple(
            Response(
                status=status,
                description=response.get("description", ""),
                properties=tuple(properties_in(response, schema=schema)) if status.startswith("2") else (),
            )
            for status, response in described["responses"].items()
        ),
    )


def properties_in(content: Mapping[str, Any], *, schema: Mapping[str, Any]) -> Iterator[Property]:
    shape = content.get("content", {}).get("application/json", {}).get("schema", {})
    return properties_of(shape, schema=schema, depth=0)


def properties_of(shape: Mapping[str, Any], *, schema: Mapping[str, Any], depth: int) -> Iterator[Property]:
    """Yield the properties of a shape and, deeper, of the shapes inside."""
    if depth > MOST_DEEP:
        return
    resolved = resolve(shape, schema=schema)
    if "items" in resolved:
        resolved = resolve(resolved["items"], schema=schema)
    for name, inner in resolved.get("properties", {}).items():
        described = resolve(inner, schema=schema)
        yield Property(name=name, kind=kind_of(described), description=inner.get("description", ""), depth=depth)
        yield from properties_of(inner, schema=schema, depth=depth + 1)


def resolve(shape: Mapping[str, Any], *, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the referenced shape, with what is declared next to the reference."""
    inner = next((part for part in (*shape.get("allOf", ()), *shape.get("oneOf", ()), shape) if "$ref" in part), None)
    if inner is None:
        return shape
    name = inner["$ref"].rpartition("/")[2]
    return {**schema["components"]["schemas"][name], **{key: value for key, value in shape.items() if key != "$ref"}}


def kind_of(shape: Mapping[str, Any]) -> str:
    """Return the type in a word or two."""
    if "enum" in shape:
        return " | ".join(str(value) for value in shape["enum"] if value not in (None, ""))
    kind = shape.get("type", "object")
    names = [kind] if isinstance(kind, str) else list(kind)
    words = [shape.get("format") or name if name == "string" else name for name in names]
    return " or ".join(words)
