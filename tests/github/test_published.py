"""Events, actions and payloads, held against what GitHub publishes."""

from pathlib import Path

import pytest

from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.github import events
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import Unrouted, published_events, route, routes
from tests.github.fixture_a import fixture_a
from tests.github.fixture_e import fixture_e
from tests.github.fixture_g8 import fixture_g8
from tests.github.published import ENTERPRISE_ACTIONS, ENTERPRISE_EVENTS, EVENTS, EXAMPLES, examples, models_of
from tests.github.translation import ARRIVAL, names, read, translate

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "events.md"
FILES = Path(events.__file__).parent.glob("*.py")
WITHOUT_EVENTS = {"envelope.py", "all_event_names.py"}
TRANSLATED = {event for event, _ in routes()}
ROUTES = sorted(routes(), key=str)
SAMPLES = names()
UNPUBLISHED = {
    "pull_request.edited.ghost_and_deleted_fork",
    "pull_request.praised",
    "release.edited.without_updated_at",
    "release.published.without_updated_at",
    "release.unpublished.without_updated_at",
    "repository.anonymous_access_enabled",
}
"""What GitHub's models do not describe: deleted accounts, an older server, Enterprise, and an action of tomorrow."""
needs_examples = pytest.mark.skipif(not EXAMPLES.exists(), reason="the reference folder is not beside the repository")


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in UNPUBLISHED])
def test_a_sample_payload_fits_github_s_published_model(name):
    event, payload = read(name)
    models_of(event)[payload.get("action")].validate_python(payload)


def test_every_delivery_of_the_fixtures_fits_github_s_published_models():
    for sent in fixture_a(has_late_deployment=True) + fixture_e() + fixture_g8():
        models_of(sent.event)[sent.payload.get("action")].validate_python(sent.payload)


@needs_examples
@pytest.mark.django_db
def test_every_example_payload_of_github_becomes_facts_that_the_tables_take():
    pieces = [
        evidence(Source(kind="delivery", key=example.file), translate(example.event, example.payload))
        for example in examples()
        if example.event in TRANSLATED
    ]
    assert len(pieces) > 150
    assert all(piece.facts for piece in pieces)
    record(pieces)


def bodies():
    """Every sample, and the bodies that GitHub gives as examples of all its events."""
    yield from map(read, SAMPLES)
    yield from ((example.event, example.payload) for example in examples())


def test_no_body_is_read_as_another_event_than_its_own():
    """The event's name is a header, and no signature covers it."""
    mistaken = [
        (event, body.get("action"), name)
        for event, body in bodies()
        for name, action in ROUTES
        if name != event and action == body.get("action") and is_usable(name, body)
    ]
    assert not mistaken


def is_usable(name, body):
    try:
        return bool(translate(name, body, received_at=ARRIVAL.replace(year=2027)))
    except UnusablePayloadError:
        return False


def test_every_event_that_github_publishes_is_known():
    assert published_events() == EVENTS | ENTERPRISE_EVENTS
    assert published_events() >= TRANSLATED


@pytest.mark.parametrize(
    ("event", "action"), [*((event, None) for event in sorted(ENTERPRISE_EVENTS)), *sorted(ENTERPRISE_ACTIONS)]
)
def test_events_of_enterprise_servers_are_known_and_ignored(event: str, action: str | None) -> None:
    assert route(event, action or "created") is Unrouted.LISTED


@pytest.mark.parametrize("event", sorted(TRANSLATED))
def test_every_published_action_is_translated_and_none_is_invented(event):
    assert {action for name, action in routes() if name == event} == set(models_of(event))


def test_every_example_payload_of_github_is_translated_or_ignored():
    unrouted = [route(example.event, example.action) for example in examples()]
    assert not {Unrouted.UNKNOWN_EVENT, Unrouted.UNKNOWN_ACTION} & set(unrouted)


def test_the_documentation_names_every_file_of_events_and_no_event_without_translator():
    rows = [line.split("|")[1:3] for line in DOCUMENTATION.read_text().splitlines() if line.startswith("| `")]
    assert {file.strip(" `") for file, _ in rows} == {path.name for path in FILES} - {"__init__.py"} - WITHOUT_EVENTS
    assert {event for _, events in rows for event in events.split("`")[1::2]} <= TRANSLATED
