"""Whatever arrives: the door never answers 5xx, and no row stays stuck."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.webhooks.models import Delivery
from apps.webhooks.origin import find_routing
from apps.webhooks.parsing import FORM, UnusablePayloadError, is_form, read_document
from apps.webhooks.request_body import LARGEST_BODY
from tests.webhooks.conftest import GitHub, drain

pytestmark = pytest.mark.django_db
PATIENT = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))
PAYLOAD = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["happened", "lacks_a_key", "is_unusable", "breaks"]) | VALUES,
        "installation": st.fixed_dictionaries({"id": VALUES}) | VALUES,
        "repository": st.fixed_dictionaries({"id": VALUES}) | VALUES,
        "pull_request": VALUES,
    },
)


@st.composite
def mutated_bodies(draw: st.DrawFn) -> bytes:
    """A payload as JSON, some of whose bytes are changed, dropped or repeated."""
    body = bytearray(json.dumps(draw(PAYLOAD)).encode())
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 3))] = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"\\u0000", b"\\ud800", b"{", b"[" * 70, b"\xff", b"1e999"])
        )
    return bytes(body)


BODIES = st.binary(max_size=300) | mutated_bodies()


@PATIENT
@given(
    body=BODIES,
    content_type=st.sampled_from(["application/json", FORM, "text/plain", "application/json; charset=utf-16"]),
    is_signed=st.booleans(),
)
def test_any_body_is_answered_and_finished(github: GitHub, body: bytes, content_type: str, is_signed: bool) -> None:
    headers = {} if is_signed else {"X-Hub-Signature-256": None}
    answer = github.post(body, content_type=content_type, headers=headers)
    assert answer.status_code in ((415,) if content_type == "text/plain" else (202,) if is_signed else (401,))
    drain()
    assert not Delivery.objects.exclude(state__in=["processed", "ignored", "quarantined", "failed"]).exists()


LATIN = st.characters(codec="latin-1")
HEADERS = st.fixed_dictionaries(
    {
        "X-GitHub-Event": st.text(LATIN, max_size=80),
        "X-GitHub-Delivery": st.text(LATIN, max_size=50) | st.uuids().map(str),
        "X-GitHub-Hook-ID": st.text(LATIN, max_size=25) | st.integers(0, 10**20).map(str),
    }
)
# The test client cannot announce more than it sends; the body has 21 bytes.
LENGTHS = st.none() | st.text("+-.eEx, ") | (st.integers(-10, 21) | st.integers(LARGEST_BODY + 1, 10**9)).map(str)


@PATIENT
@given(headers=HEADERS, content_type=st.text(LATIN, max_size=30) | st.just("application/json"), length=LENGTHS)
def test_any_headers_are_answered(
    github: GitHub, headers: dict[str, str | None], content_type: str, length: str | None
) -> None:
    environ = {} if length is None else {"CONTENT_LENGTH": length}
    answer = github.post(b'{"action":"happened"}', headers=headers, content_type=content_type, environ=environ)
    assert answer.status_code in (202, 400, 401, 411, 413, 415)


@pytest.mark.proof
@settings(deadline=None, max_examples=150)
@given(body=BODIES, content_type=st.sampled_from(["application/json", FORM]))
def test_parsing_ends_in_a_document_or_in_a_reason(body: bytes, content_type: str) -> None:
    find_routing(body, is_form=is_form(content_type))
    with suppress(UnusablePayloadError):
        document = read_document(body, content_type=content_type)
        json.dumps(dict(document.payload), ensure_ascii=False).encode("utf-8")


@pytest.mark.proof
@settings(deadline=None, max_examples=60)
@given(payload=st.dictionaries(st.text(max_size=8), VALUES))
def test_a_proper_payload_is_parsed_unchanged_or_only_sanitised(payload: dict[str, Any]) -> None:
    text = json.dumps(payload)
    with suppress(UnusablePayloadError):  # numbers may be out of range
        document = read_document(text.encode(), content_type="application/json")
        assert document.is_sanitised or document.payload == json.loads(text)
