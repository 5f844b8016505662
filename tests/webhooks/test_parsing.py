"""Strict reading of signed bodies, where they end, and which translator an event has."""

import json
import tracemalloc
from urllib.parse import quote_plus

import pytest

from apps.webhooks import registry
from apps.webhooks.parsing import FORM, MAX_DEPTH, UnusablePayloadError, find_routing, is_form, read_document
from apps.webhooks.registry import Unrouted, route
from tests.webhooks.conftest import GitHub, MadeUpEvent, drain, only

JSON = "application/json"
UNUSABLE = {
    "empty": (b"", "not_json"),
    "null": (b"null", "not_object"),
    "text": (b'"x"', "not_object"),
    "number": (b"1", "not_object"),
    "array": (b"[]", "not_object"),
    "truncated": (b'{"a":', "not_json"),
    "trailing data": (b"{}{}", "not_json"),
    "raw control character": (b'{"a":"\x01"}', "not_json"),
    "raw NUL": (b'{"a":"\x00"}', "not_json"),
    "100,000 arrays": (b"[" * 100_000, "too_deep"),
    "10,000 closed levels": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_deep"),
    "one level too many": (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "too_deep"),
    "one level too many of both kinds": (b'{"a":[' * 32 + b'{"a":1}' + b"]}" * 32, "too_deep"),
    "5,000 digits": (b'{"a":' + b"9" * 5000 + b"}", "number_out_of_range"),
    "2**63": (b'{"a":9223372036854775808}', "number_out_of_range"),
    "-2**64": (b'{"a":-18446744073709551616}', "number_out_of_range"),
    "1e400": (b'{"a":1e400}', "number_out_of_range"),
    "-1e4301": (b'{"a":-1e4301}', "number_out_of_range"),
    "200 times 1e131000": (b'{"a":[' + b",".join([b"1e131000"] * 200) + b"]}", "number_out_of_range"),
    "NaN": (b'{"a":NaN}', "not_json"),
    "Infinity": (b'{"a":[-Infinity]}', "not_json"),
    "duplicate keys": (b'{"action":"opened","action":"closed"}', "duplicate_key"),
    "duplicate keys, escaped": (b'{"a":{"b":1,"\\u0062":2}}', "duplicate_key"),
    "CESU-8": (b'{"a":"\xed\xa0\xbd\xed\xb8\x80"}', "not_utf8"),
    "invalid UTF-8": (b'{"a":"\xff"}', "not_utf8"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "not_utf8"),
    "UTF-32 without mark": ('{"a":1}'.encode("utf-32-le"), "not_json"),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbf{}", "not_json"),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("content", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_signed_but_unusable_delivery_is_kept_and_quarantined(github: GitHub, content: bytes, reason: str) -> None:
    assert github.post(content).status_code == 202
    drain()
    assert (only().state, only().reason) == ("quarantined", reason)
    assert bytes(only().body.content) == content


USABLE = {
    "byte order mark": (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
    "minus zero": (b'{"a":-0}', {"a": 0}),
    "the greatest id": (b'{"a":9223372036854775807}', {"a": 2**63 - 1}),
    "as deep as allowed": (b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, None),
    "as deep as allowed, of both kinds": (b'{"a":[' * 32 + b"1" + b"]}" * 32, None),
    "brackets in a text": (
        json.dumps({"a": "[{" * 500, "b": '\\"[' * 200}).encode(),
        {"a": "[{" * 500, "b": '\\"[' * 200},
    ),
    "an emoji as a pair": (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    "an escaped backslash before u": (b'{"a":"\\\\u0000"}', {"a": "\\u0000"}),
}


@pytest.mark.parametrize(("content", "payload"), USABLE.values(), ids=USABLE)
def test_a_usable_body_is_parsed_unchanged(content: bytes, payload: object) -> None:
    document = read_document(content, content_type=JSON)
    assert not document.is_sanitised
    assert payload is None or document.payload == payload


UNSTORABLE = {
    "NUL": (b'{"a":"x\\u0000y"}', {"a": "x\ufffdy"}),
    "NUL in a key": (b'{"x\\u0000":1}', {"x\ufffd": 1}),
    "lone surrogate": (b'{"a":["\\ud83d"]}', {"a": ["\ufffd"]}),
    "reversed pair": (b'{"a":"\\ude00\\ud83d"}', {"a": "\ufffd\ufffd"}),
    "upper case": (b'{"a":"\\uD83D"}', {"a": "\ufffd"}),
}


@pytest.mark.parametrize(("content", "payload"), UNSTORABLE.values(), ids=UNSTORABLE)
def test_characters_that_no_database_stores_are_replaced(content: bytes, payload: object) -> None:
    document = read_document(content, content_type=JSON)
    assert (document.payload, document.is_sanitised) == (payload, True)


@pytest.mark.django_db
def test_a_sanitised_delivery_is_processed_and_flagged(github: GitHub) -> None:
    github.post(b'{"action":"happened","text":"\\u0000"}')
    drain()
    assert (only().state, only().is_sanitised) == ("processed", True)


def test_eight_million_nodes_are_refused_before_parsing() -> None:
    with pytest.raises(UnusablePayloadError, match="too_many_nodes"):
        read_document(b'{"a":[' + b"{}," * 8_000_000 + b"{}]}", content_type=JSON)


def test_commas_in_a_text_are_no_nodes() -> None:
    text = "," * 3_000_000
    assert read_document(json.dumps({"a": text}).encode(), content_type=JSON).payload == {"a": text}


@pytest.mark.parametrize("content", [b'"' * 2_000_001, b'{"a":"' + b'\\"[' * 1_000_000, b'{"' + b"\\" * 3_000_001])
def test_no_body_makes_the_scan_slow(content: bytes) -> None:
    with pytest.raises(UnusablePayloadError):  # within the test's time limit; a quadratic scan takes hours
        read_document(content, content_type=JSON)


@pytest.mark.django_db
def test_a_form_is_recognised_however_its_type_is_written(github: GitHub) -> None:
    content_type = "Application/X-WWW-Form-Urlencoded; charset=utf-8"
    assert is_form(content_type)
    body = b"payload=" + quote_plus('{"action":"happened","installation":{"id":5},"repository":{"id":6}}').encode()
    assert github.post(body, content_type=content_type).status_code == 202
    kept = only()
    assert (kept.action, kept.installation_id, kept.repository_id) == ("happened", 5, 6)
    drain()
    assert only().reason != "not_json"


def test_a_form_body_is_decoded() -> None:
    payload = {"a": "ü & = + % \U0001f600"}
    content = b"payload=" + quote_plus(json.dumps(payload, ensure_ascii=False)).encode()
    assert read_document(content, content_type=f"{FORM}; charset=utf-8").payload == payload


@pytest.mark.parametrize("content", [b"", b"other=1", b"payload=%7B%7D&payload=%7B%7D", b"{}"])
def test_a_form_without_exactly_one_payload_is_unusable(content: bytes) -> None:
    with pytest.raises(UnusablePayloadError, match="no_payload_field"):
        read_document(content, content_type=FORM)


def test_routing_ignores_text_that_people_write() -> None:
    text = '"installation":{"id":666} "repository":{"id":666}'
    content = json.dumps({"action": "opened", "issue": {"body": text}, "repository": {"id": 3}}).encode()
    routing = find_routing(content, is_form=False)
    assert (routing.action, routing.installation_id, routing.repository_id) == ("opened", None, 3)


@pytest.mark.django_db
def test_processing_corrects_the_routing_that_the_receiver_guessed(github: GitHub) -> None:
    nested = {"repository": {"id": 666}, "installation": {"id": 666}}
    github.deliver({"nested": nested, "action": "happened", "repository": {"id": 3}, "installation": {"id": 4}})
    assert (only().action, only().installation_id, only().repository_id) == ("", 666, 666)
    drain()
    assert (only().action, only().installation_id, only().repository_id) == ("happened", 4, 3)


@pytest.mark.django_db
@pytest.mark.parametrize("identity", [2**63, -1, 1.0, "1", True, None, [], {}])
def test_a_malformed_id_is_no_routing_column(github: GitHub, identity: object) -> None:
    assert github.deliver({"action": "happened", "installation": {"id": identity}}).status_code == 202
    drain()
    assert only().state in ("processed", "quarantined")
    assert only().installation_id is None


@pytest.mark.parametrize("piece", [b"%7b", b"%22%2c", b"&", b"a&", b"&payload=", b"%"])
def test_a_form_is_decoded_in_memory_of_its_own_size(piece: bytes) -> None:
    content = b"payload=" + piece * (3 * 2**18 // len(piece))
    tracemalloc.start()
    try:
        with pytest.raises(UnusablePayloadError):
            read_document(content, content_type=FORM)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(content)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shift", range(6))
def test_a_long_form_is_decoded_to_the_same_payload_wherever_its_parts_are_cut(shift: int) -> None:
    said = {"a": "x" * shift + "\u00e9 +%" * 40_000}
    form = b"other=1&payload=" + quote_plus(json.dumps(said, ensure_ascii=False)).encode() + b"&more=2"
    assert read_document(form, content_type=FORM).payload == said


def nothing(event: registry.Event) -> tuple[()]:
    return ()


def test_an_event_is_found_by_name_and_action(made_up_event: MadeUpEvent) -> None:
    assert route("made_up", "happened") == made_up_event.translate
    assert route("made_up_without_action", None) == made_up_event.translate
    assert route("made_up", "happens") is Unrouted.UNKNOWN_ACTION
    assert route("made_up", None) is Unrouted.UNKNOWN_ACTION
    assert route("made_up_and_ignored", "whatever") is Unrouted.LISTED
    assert route("unheard_of", "created") is Unrouted.UNKNOWN_EVENT


def test_two_translators_for_one_route_are_an_error(made_up_event: MadeUpEvent) -> None:
    with pytest.raises(ValueError, match=r"made_up\.happened"):
        registry.translates("made_up", "happened")(nothing)


def test_a_published_event_is_ignored_until_it_has_a_translator(made_up_event: MadeUpEvent) -> None:
    registry.translates("made_up_and_ignored", "created")(nothing)
    assert route("made_up_and_ignored", "created") is nothing
    assert route("made_up_and_ignored", "deleted") is Unrouted.UNKNOWN_ACTION


def test_a_scoped_registration_leaves_no_trace() -> None:
    before = registry.routes(), registry.published_events()
    with registry.scoped_registration():
        registry.translates("scoped", "created")(nothing)
        registry.publishes("scoped_and_ignored")
        assert ("scoped", "created") in registry.routes()
    assert (registry.routes(), registry.published_events()) == before
