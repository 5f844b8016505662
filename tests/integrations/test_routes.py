"""What is translated and what is not, held against the events that GitHub publishes."""

from pathlib import Path

import pytest

from apps.github import events
from apps.webhooks.registry import Unrouted, published_events, route, routes
from tests.integrations.published import ENTERPRISE_ACTIONS, ENTERPRISE_EVENTS, EVENTS, examples, models_of

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "events.md"
FILES = Path(events.__file__).parent.glob("*.py")
WITHOUT_EVENTS = {"envelope.py", "published.py"}
EVENTS_OF_FIGURES = {event for event, _ in routes()}


def test_every_event_that_github_publishes_is_known():
    assert published_events() == EVENTS | ENTERPRISE_EVENTS
    assert published_events() >= EVENTS_OF_FIGURES


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


def test_the_documentation_names_every_file_of_events_and_no_event_without_translator():
    rows = [line.split("|")[1:3] for line in DOCUMENTATION.read_text().splitlines() if line.startswith("| `")]
    assert {file.strip(" `") for file, _ in rows} == {path.name for path in FILES} - {"__init__.py"} - WITHOUT_EVENTS
    assert {event for _, events in rows for event in events.split("`")[1::2]} <= EVENTS_OF_FIGURES
