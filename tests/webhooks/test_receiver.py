"""POST /webhooks/github: what is taken in, what is refused, and what any bytes come to."""

import hashlib
import json
import uuid
from contextlib import suppress
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.webhooks.models import Delivery, DeliveryBody, Refusal
from apps.webhooks.parsing import FORM, UnusablePayloadError, find_routing, is_form, read_document
from apps.webhooks.request_body import LARGEST_BODY
from apps.webhooks.signature import fingerprint_of
from tests.webhooks.conftest import HOOK_ID, RECEIVER, GitHub, drain, only, sign

pytestmark = pytest.mark.django_db


def test_a_signed_delivery_is_kept_as_it_came(github: GitHub) -> None:
    body = b'{"action":"happened","repository":{"id":7,"name":"x"},"installation":{"id":11}}'
    guid = "72D3162E-cc78-11e3-81ab-4c9367dc0958"
    answer = github.post(body, guid=guid)
    assert (answer.status_code, answer.json()["delivery"]) == (202, f"{HOOK_ID}:{guid.lower()}")
    kept = only()
    assert (kept.state, kept.event, kept.action) == ("received", "made_up", "happened")
    assert (kept.installation_id, kept.repository_id, kept.size) == (11, 7, len(body))
    assert bytes(kept.body_sha256) == hashlib.sha256(body).digest()
    assert kept.signed_by == fingerprint_of(github.secret).name
    assert bytes(DeliveryBody.objects.get().content) == body


def test_only_headers_on_the_allow_list_are_kept(github: GitHub) -> None:
    github.deliver(headers={"X-GitHub-Encoded-Secret": "c2VjcmV0", "Authorization": "Bearer x", "Cookie": "a=b"})
    assert set(DeliveryBody.objects.get().headers) == {
        "content-type",
        "user-agent",
        "x-github-event",
        "x-github-delivery",
        "x-github-hook-id",
        "sender-address",
    }


def test_a_form_body_is_kept_raw(github: GitHub) -> None:
    answer = github.deliver_form({"action": "happened", "installation": {"id": 5}, "repository": {"id": 6}})
    assert answer.status_code == 202
    assert (only().action, only().installation_id, only().repository_id) == ("happened", 5, 6)
    assert bytes(DeliveryBody.objects.get().content).startswith(b"payload=%7B")


FORGED = {
    "none": None,
    "sha1 only": "sha1=" + "0" * 40,
    "md5": "md5=" + "0" * 32,
    "upper case": "SHA256=" + "0" * 64,
    "upper case digits": "sha256=" + "A" * 64,
    "no prefix": "0" * 64,
    "not ascii": "sha256=" + "é" * 64,
    "too short": "sha256=" + "0" * 63,
    "trailing newline": "sha256=" + "0" * 64 + "\n",
    "of nothing": "sha256=" + hashlib.sha256(b"").hexdigest(),
}


@pytest.mark.parametrize("signature", FORGED.values(), ids=FORGED)
def test_a_bad_signature_is_401_and_leaves_no_row(github: GitHub, signature: str | None) -> None:
    answer = github.deliver(headers={"X-Hub-Signature-256": signature, "X-Hub-Signature": "sha1=" + "0" * 40})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "X-Hub-Signature-256"
    assert not Delivery.objects.exists()


def test_two_signatures_are_401(github: GitHub) -> None:
    good = sign(b"{}")
    assert github.post(b"{}", headers={"X-Hub-Signature-256": f"{good},{good}"}).status_code == 401


@pytest.mark.parametrize("change", [b'{"a":1 }', b'{"a":1}\n', b'{"a": 1}', b'{"b":1}'])
def test_a_body_changed_after_signing_is_401(github: GitHub, change: bytes) -> None:
    assert github.post(change, headers={"X-Hub-Signature-256": sign(b'{"a":1}')}).status_code == 401


def test_an_underscored_signature_header_is_no_signature(github: GitHub) -> None:
    headers = {"X-Hub-Signature-256": None}
    assert github.post(b"{}", headers=headers, environ={"X_HUB_SIGNATURE_256": sign(b"{}")}).status_code == 401


MALFORMED = {
    "X-GitHub-Delivery": [None, "", "1", "x" * 36, "A" * 10_000, "1'; DROP TABLE x;--", str(uuid.UUID(int=1)) + "\n"],
    "X-GitHub-Event": [None, "", "Push", "push\nforged log line", "e" * 5000, "é", "_x", "a b", "2fa"],
    "X-GitHub-Hook-ID": [None, "", "-1", "1e3", "9" * 19, "٣", "1\x00"],
}


@pytest.mark.parametrize(("header", "value"), [(name, value) for name, bad in MALFORMED.items() for value in bad])
def test_a_signed_delivery_with_a_malformed_header_is_400(github: GitHub, header: str, value: str | None) -> None:
    assert github.deliver(headers={header: value}).status_code == 400
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("event", ["projects_v2_item", "a", "x" * 64])
def test_every_event_name_that_github_could_think_of_is_kept(github: GitHub, event: str) -> None:
    assert github.deliver(event=event).status_code == 202


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "TRACE", "DELETE", "PATCH"])
def test_other_methods_are_405(method: str) -> None:
    answer = Client().generic(method, RECEIVER)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.proof
@pytest.mark.parametrize("size", [3_000_000, 25 * 1024 * 1024])
def test_a_large_body_is_kept(github: GitHub, size: int) -> None:
    body = b'{"a":"' + b"x" * (size - 8) + b'"}'
    assert github.post(body).status_code == 202
    assert only().size == size


def test_a_body_over_the_limit_is_413_and_is_not_read(github: GitHub) -> None:
    assert github.post(b"{}", environ={"CONTENT_LENGTH": str(LARGEST_BODY + 1)}).status_code == 413
    assert github.post(b"{}", environ={"CONTENT_LENGTH": "30000000"}).status_code == 413


def test_a_body_without_a_length_is_411(github: GitHub) -> None:
    chunked = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    assert github.post(b"{}", environ=chunked).status_code == 411


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "2, 2", "0x2", " 2"])
def test_a_malformed_length_is_400(github: GitHub, length: str) -> None:
    assert github.post(b"{}", environ={"CONTENT_LENGTH": length}).status_code == 400


def test_a_length_together_with_chunks_is_400(github: GitHub) -> None:
    assert github.post(b"{}", environ={"HTTP_TRANSFER_ENCODING": "chunked"}).status_code == 400


def test_a_length_short_of_the_body_is_401(github: GitHub) -> None:
    assert github.post(b'{"a":1}', environ={"CONTENT_LENGTH": "3"}).status_code == 401


def test_a_compressed_body_is_415(github: GitHub) -> None:
    assert github.post(b"{}", headers={"Content-Encoding": "gzip"}).status_code == 415


@pytest.mark.parametrize("content_type", ["text/plain", "", "multipart/form-data; boundary=x", "application/xml"])
def test_neither_json_nor_form_is_415(github: GitHub, content_type: str) -> None:
    assert github.post(b"{}", content_type=content_type).status_code == 415


@pytest.mark.parametrize("charset", ["utf-16", "zip", "no-such"])
def test_a_charset_is_ignored(github: GitHub, charset: str) -> None:
    assert github.post(b"{}", content_type=f"application/json; charset={charset}").status_code == 202


def test_an_empty_body_is_401_unsigned_and_kept_when_signed(github: GitHub) -> None:
    assert github.post(b"", headers={"X-Hub-Signature-256": None}).status_code == 401
    assert github.post(b"").status_code == 202


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"\xff\xfe", b"null", b'{"a":1e400}', b'{"installation":{"id":' + b"9" * 30]
)
def test_the_receiver_does_not_parse(github: GitHub, body: bytes) -> None:
    assert github.post(body, headers={"X-Hub-Signature-256": None}).status_code == 401
    assert github.post(body).status_code == 202
    assert only().installation_id is None


HOSTS = {
    "https://api.github.com": {},
    "https://ghe.example.com/api/v3": {"X-GitHub-Enterprise-Host": "ghe.example.com"},
    "https://api.octo.ghe.com": {"X-GitHub-Tenant": "octo", "X-GitHub-Tenant-Id": "17"},
}
STRANGERS = (
    {"X-GitHub-Enterprise-Host": "ghe.example.com.evil.example"},
    {"X-GitHub-Enterprise-Host": "octo.ghe.com"},
    {"X-GitHub-Tenant": "octo-2"},
    {"X-GitHub-Tenant": "octo", "X-GitHub-Enterprise-Host": "ghe.example.com"},
)


@pytest.mark.parametrize("api_url", HOSTS)
def test_only_deliveries_of_the_configured_github_host_are_taken(
    github: GitHub, settings: object, api_url: str
) -> None:
    settings.GITHUB_API_URL = api_url
    for sent in (*HOSTS.values(), *STRANGERS):
        expected = 202 if sent == HOSTS[api_url] else 400
        assert github.deliver(headers=sent).status_code == expected, sent
    assert {refusal.reason for refusal in Refusal.objects.all()} == {"other_host"}
    kept = DeliveryBody.objects.get().headers
    assert {name: value for name, value in kept.items() if name.startswith(("x-github-tenant", "x-github-ent"))} == {
        name.lower(): value for name, value in HOSTS[api_url].items()
    }


def test_a_refusal_is_noted_without_its_body(github: GitHub) -> None:
    github.post(b'{"a":1}', headers={"X-Hub-Signature-256": sign(b"other"), "Authorization": "Bearer x"})
    noted = Refusal.objects.get()
    assert (noted.status, noted.reason, noted.count, noted.size) == (401, "bad_signature", 1, 7)
    assert bytes(noted.body_sha256 or b"") == hashlib.sha256(b'{"a":1}').digest()
    assert "authorization" not in noted.headers


def test_a_flood_of_refusals_becomes_few_rows(github: GitHub) -> None:
    for _ in range(50):
        github.deliver(headers={"X-Hub-Signature-256": None})
    assert Refusal.objects.count() < 10


def test_a_foreign_host_name_is_400(github: GitHub) -> None:
    assert github.deliver(environ={"HTTP_HOST": "evil.example"}).status_code == 400


def test_the_receiver_touches_no_session(github: GitHub) -> None:
    github.client.cookies["sessionid"] = "whatever"
    answer = github.deliver()
    assert answer.status_code == 202
    assert not answer.cookies
    assert int(answer["Content-Length"]) == len(answer.content)
    assert "Cookie" not in answer.get("Vary", "")


def test_posts_to_other_addresses_keep_the_small_limit(settings: object) -> None:
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE <= 2_621_440


def test_the_address_without_its_slash_works_too(github):
    """GitHub follows no redirect: a slash left off in the App's settings would lose every delivery."""
    answer = github.post(b'{"zen": "Keep it logically awesome."}', path="/webhooks/github")
    assert answer.status_code == 202


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
