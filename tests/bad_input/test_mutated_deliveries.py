"""Real payloads, broken in every way there is: the door never answers 5xx, and every row comes to its end."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.activity.models import Change
from apps.metrics import recalculation
from apps.webhooks.models import Delivery
from tests.github.published import examples
from tests.github.test_event_rules import VALUES, places, replaced
from tests.github.translation import names, read
from tests.webhooks.conftest import GitHub, drain, make_due

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(400)]
SAMPLES: list[tuple[str, Any]] = [(sample.event, sample.payload) for sample in map(read, names())]
SAMPLES += [(example.event, example.payload) for example in examples()]
EVENTS = sorted({event for event, _ in SAMPLES})
PATIENT = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
HUGE = "9" * 400
NESTED = "[" * 70 + "]" * 70
RAW = (
    "1e400",
    "-1e4301",
    HUGE,
    f"-{HUGE}",
    NESTED,
    '{"a":' * 70 + "1" + "}" * 70,
    "NaN",
    "Infinity",
    "-0",
    "1E+2",
    "nul",
)
STRINGS = st.sampled_from(
    [
        *(
            "",
            " ",
            "\x00",
            "\ud83d",
            "\udc00\ud800",
            "\u202e",
            "\ufeff",
            "\uffff",
            "\U0010ffff",
            "a\u0301",
            "null",
            "true",
        ),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "1970-01-01T00:00:00+23:59"),
        *(
            "../../etc/passwd",
            "'; DROP TABLE x;--",
            "%s%n",
            "=cmd()",
            "x" * 5_000,
            "0" * 40,
            "[bot]",
            "a/b/c",
            "é" * 300,
        ),
    ]
)
NUMBERS = st.sampled_from([-1, 0, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, 5e-324])
OTHER_TYPE = st.sampled_from([None, True, False, [], {}, [[]], [None], {"id": None}, {"": {}}])
NEW_VALUES = st.just(...) | STRINGS | NUMBERS | OTHER_TYPE | VALUES


@st.composite
def payloads(draw: st.DrawFn) -> tuple[str, bytes]:
    """An event and the body of a payload, some of whose members are changed, moved, dropped or repeated."""
    event, payload = draw(st.sampled_from(SAMPLES))
    for _ in range(draw(st.integers(0, 4))):
        if not (paths := places(payload)):
            break
        path = draw(st.sampled_from(paths))
        payload = replaced(payload, path, draw(NEW_VALUES | st.sampled_from(paths).map(found(payload))))
    text = json.dumps(payload)
    if draw(st.integers(0, 3)) == 0:
        text = text.replace(
            f": {draw(st.sampled_from(['1', 'true', 'null', '12']))}", f": {draw(st.sampled_from(RAW))}", 1
        )
    if draw(st.integers(0, 5)) == 0:
        event = draw(st.sampled_from(EVENTS))
    return event, text.encode()


def found(payload: Any) -> Callable[[tuple[Any, ...]], Any]:
    """What stands at a path of the payload."""

    def find(path: tuple[Any, ...]) -> Any:
        value = payload
        for part in path:
            value = value[part]
        return value

    return find


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "X-GitHub-Delivery": st.sampled_from(
            ["", "x", str(uuid.UUID(int=7)), str(uuid.UUID(int=7)).upper(), "0" * 300]
        ),
        "X-GitHub-Hook-ID": st.sampled_from(["0", "-1", "9" * 18, "9" * 19, "1e3", ""]),
        "X-GitHub-Event": st.sampled_from(["ping", "made_up_by_github", "x" * 64, "x" * 65, "Push", "", "é"]),
        "X-Hub-Signature-256": st.sampled_from([None, "", "sha256=" + "0" * 64, "sha1=0"]),
        "Content-Encoding": st.sampled_from(["identity", "gzip", ""]),
        "User-Agent": st.sampled_from(["", "\x80" * 300, "GitHub-Hookshot/1"]),
        "X-GitHub-Enterprise-Host": st.sampled_from(["", "ghe.example.com", "\x00"]),
    },
)


def settle() -> None:
    """Let workers do all there is to do, however often it takes; then what follows from it is figured out."""
    for _ in range(10):
        make_due()
        if not drain():
            break
    recalculation.drain(seconds=60)


def assert_settled() -> None:
    """Nothing is stuck, nothing is dead, nothing is left to figure out, and the database is well."""
    states = dict(Delivery.objects.values_list("state", "error"))
    assert set(states) <= {"processed", "ignored", "quarantined"}, states
    assert not Change.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.proof
@PATIENT
@given(posts=st.lists(payloads(), min_size=1, max_size=8))
def test_a_payload_changed_in_any_way_is_kept_and_comes_to_its_end(posts: list[tuple[str, bytes]]) -> None:
    github = GitHub()
    for event, body in posts:
        assert github.post(body, event=event).status_code == 202
    settle()
    assert_settled()


@pytest.mark.proof
@PATIENT
@given(post=payloads(), headers=HEADERS, is_form=st.booleans())
def test_with_any_headers_besides_the_door_has_an_answer(
    post: tuple[str, bytes], headers: dict[str, str | None], is_form: bool
) -> None:
    event, body = post
    content_type = "application/x-www-form-urlencoded" if is_form else "application/json"
    answer = GitHub().post(body, event=event, headers=headers, content_type=content_type)
    assert answer.status_code in (202, 400, 401, 415)
    settle()
    assert_settled()


@pytest.mark.proof
@PATIENT
@given(event=st.sampled_from(EVENTS), body=st.binary(max_size=600).filter(lambda body: b"{" not in body))
def test_random_bytes_are_quarantined(event: str, body: bytes) -> None:
    assert GitHub().post(body, event=event).status_code == 202
    settle()
    assert_settled()
    assert Delivery.objects.latest("id").state == "quarantined"
