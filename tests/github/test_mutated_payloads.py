"""Whatever a signed body holds, a translator answers with facts or says that it cannot."""

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import routes
from tests.github.payloads import payload_of
from tests.github.translation import translate

ROUTES = sorted(routes(), key=str)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40),
    st.sampled_from(["2026-03-02T09:00:00Z", "99999-01-01T00:00:00Z", "x" * 70_000, 2**31, 2**63 - 1]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every member, links left out."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for name, member in members:
        if not str(name).endswith("url") and name != "_links":
            found += places(member, (*path, name))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with one member replaced, or left out where `new` is Ellipsis."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if new is ... and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_payload_with_any_member_changed_is_recorded_or_refused(data):
    event, action = data.draw(st.sampled_from(ROUTES))
    payload = payload_of(event, action)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([path for path in places(payload) if path != ("action",)]))
        payload = replaced(payload, path, data.draw(st.just(...) | VALUES))
    try:
        facts = translate(event, payload)
    except (UnusablePayloadError, KeyError, TypeError, ValueError, AttributeError):
        return
    with transaction.atomic():
        record([evidence(Source(kind="delivery", key="mutated"), facts)])
