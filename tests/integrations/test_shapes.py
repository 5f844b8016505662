"""Our sample payloads have GitHub's shape, and every one of them becomes facts that the tables take."""

import pytest

from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import routes
from tests.github.every_route import payload_of
from tests.github.fixture_a import fixture_a
from tests.github.fixture_e import fixture_e
from tests.integrations.published import EXAMPLES, examples, models_of
from tests.integrations.translating import ARRIVAL, translate

ROUTES = sorted(routes(), key=str)
needs_examples = pytest.mark.skipif(not EXAMPLES.exists(), reason="the reference folder is not beside the repository")


@pytest.mark.parametrize(("event", "action"), ROUTES)
def test_a_sample_payload_of_every_route_fits_github_s_published_model(event, action):
    models_of(event)[action].validate_python(payload_of(event, action))


def test_every_delivery_of_the_fixtures_fits_github_s_published_models():
    for sent in fixture_a(has_late_deployment=True) + fixture_e():
        models_of(sent.event)[sent.payload.get("action")].validate_python(sent.payload)


@pytest.mark.django_db
def test_the_tables_take_the_facts_of_every_route():
    for event, action in ROUTES:
        facts = translate(event, payload_of(event, action))
        assert facts
        record([evidence(Source(kind="delivery", key=f"{event} {action}"), facts)])


@needs_examples
@pytest.mark.django_db
def test_every_example_payload_of_github_becomes_facts_that_the_tables_take():
    known = {event for event, _ in routes()}
    pieces = [
        evidence(Source(kind="delivery", key=example.file), translate(example.event, example.payload))
        for example in examples()
        if example.event in known
    ]
    assert len(pieces) > 150
    assert all(piece.facts for piece in pieces)
    record(pieces)


def bodies():
    """A body of every route, and those that GitHub gives as examples of all its events."""
    yield from ((event, payload_of(event, action)) for event, action in ROUTES)
    yield from ((example.event, example.payload) for example in examples())


def test_no_body_is_taken_for_another_event_than_its_own():
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
