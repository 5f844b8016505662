"""Our sample payloads have GitHub's shape, and every one of them becomes facts that the tables take."""

import pytest

from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import routes
from tests.github.fixture_a import fixture_a
from tests.github.fixture_e import fixture_e
from tests.github.payloads import names, read
from tests.integrations.published import EXAMPLES, examples, models_of
from tests.integrations.translating import ARRIVAL, translate

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
    for sent in fixture_a(has_late_deployment=True) + fixture_e():
        models_of(sent.event)[sent.payload.get("action")].validate_python(sent.payload)


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
    """Every sample, and the bodies that GitHub gives as examples of all its events."""
    yield from map(read, SAMPLES)
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
