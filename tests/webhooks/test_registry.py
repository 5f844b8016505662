"""Which translator an event has."""

import pytest

from apps.webhooks import registry
from apps.webhooks.registry import Unrouted, route
from tests.webhooks.conftest import MadeUpEvent


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
