"""What is translated and what is not, held against the events that GitHub publishes."""

from pathlib import Path

import pytest

from apps.webhooks.registry import Unrouted, ignored_actions, ignored_events, route, routes
from tests.integrations.published import ENTERPRISE_ACTIONS, ENTERPRISE_EVENTS, EVENTS, examples, models_of

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "events.md"
EVENTS_OF_FIGURES = {event for event, _ in routes()}


def test_every_event_of_github_is_either_translated_or_on_the_ignored_list():
    assert EVENTS_OF_FIGURES | ignored_events() == EVENTS | ENTERPRISE_EVENTS
    assert not EVENTS_OF_FIGURES & ignored_events()


@pytest.mark.parametrize(
    ("event", "action"), [*((event, None) for event in sorted(ENTERPRISE_EVENTS)), *sorted(ENTERPRISE_ACTIONS)]
)
def test_what_only_an_enterprise_sends_is_known_and_ignored(event: str, action: str | None) -> None:
    assert route(event, action or "created") is Unrouted.LISTED


@pytest.mark.parametrize("event", sorted(EVENTS_OF_FIGURES))
def test_every_published_action_is_translated_and_none_is_invented(event):
    assert {action for name, action in routes() if name == event} == set(models_of(event))


def test_every_example_payload_of_github_finds_its_translator_or_the_ignored_list():
    unrouted = [route(example.event, example.action) for example in examples()]
    assert not {Unrouted.UNKNOWN_EVENT, Unrouted.UNKNOWN_ACTION} & set(unrouted)


def test_the_documentation_names_every_event_and_action():
    lines = DOCUMENTATION.read_text(encoding="utf-8").splitlines()
    tables = {line.split("`")[1]: line.split("|")[2] for line in lines if line.startswith("| `")}
    assert set(tables) == EVENTS_OF_FIGURES
    for event, action in routes():
        assert (action or "(none)") in tables[event].replace(",", " ").split(), (event, action)
    listed = "\n".join(lines).partition("## Kept and ignored")[2]
    events, _, actions = listed.partition("these actions:")
    assert set(events.split("`")[1::2]) == ignored_events()
    for event, action in ignored_actions():
        assert any(f"`{event}`" in line and action in line for line in actions.splitlines())
