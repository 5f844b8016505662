"""The sample deliveries: the same every time, of GitHub's shape, and never mixed with real data."""

from collections import Counter
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.activity.models import Installation
from apps.demo.deliveries import Sender
from apps.demo.management.commands.demo import sample_start
from apps.demo.sample_data import COMPANIES, SPAN, sample_deliveries
from apps.webhooks.models import Delivery
from tests.github.published import models_of
from tests.github.translation import Door, at, payload_of, translate

pytestmark = pytest.mark.proof

START = at("03-02", "09:00")
NOBODY = "http://127.0.0.1:9"


def test_the_sample_is_the_same_every_time_and_its_deliveries_have_different_guids():
    deliveries = sample_deliveries(start=START)
    assert deliveries == sample_deliveries(start=START)
    assert len({sent.guid for sent in deliveries}) == len(deliveries)
    assert 1500 <= len(deliveries) <= 2500


def test_a_later_sample_has_the_same_deliveries_at_later_times():
    later = {sent.guid for sent in sample_deliveries(start=START + timedelta(weeks=1))}
    assert {sent.guid for sent in sample_deliveries(start=START)} == later


def test_the_sample_lasts_eight_weeks_and_has_every_common_event():
    deliveries = sample_deliveries(start=START)
    assert all(START <= sent.at <= START + SPAN for sent in deliveries)
    seen = Counter((sent.event, sent.payload.get("action")) for sent in deliveries)
    assert {
        ("pull_request", "ready_for_review"),
        ("pull_request", "synchronize"),
        ("pull_request", "review_requested"),
        ("pull_request_review", "dismissed"),
        ("deployment_status", "created"),
        ("workflow_run", "completed"),
        ("issues", "closed"),
    } <= set(seen)
    assert any(sent.payload.get("forced") for sent in deliveries)
    assert any(sent.payload.get("pull_request", {}).get("title", "").startswith("Revert") for sent in deliveries)


def test_every_sample_delivery_fits_github_s_published_models_and_becomes_facts():
    # Every sixth of them: the models are slow, and the same methods make the others.
    for sent in sample_deliveries(start=START)[::6]:
        models_of(sent.event)[sent.payload.get("action")].validate_python(sent.payload)
        assert translate(sent.event, sent.payload, received_at=sent.at)


@pytest.mark.django_db
def test_a_sample_that_was_posted_keeps_its_start():
    Installation.objects.create(github_id=COMPANIES[0].installation_id, created_at=START)
    assert sample_start() == START


@pytest.mark.django_db
def test_the_demo_refuses_to_mix_with_deliveries_of_a_real_app():
    answer = Door(hook_id=77).post("ping", payload_of("ping", None))
    assert answer.status_code == 202
    with pytest.raises(CommandError, match="real GitHub App"):
        call_command("demo", url=NOBODY)


@pytest.mark.django_db
def test_the_demo_reports_that_nothing_answers():
    with pytest.raises(CommandError, match="make run"):
        call_command("demo", url=NOBODY, stdout=StringIO())


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8000", "http://"])
def test_an_address_is_http(url):
    with pytest.raises(ValueError, match="is not an http"):
        Sender(url, secret="x")


@pytest.mark.django_db(transaction=True)
def test_deliveries_posted_twice_are_kept_once(live_server, settings):
    deliveries = sample_deliveries(start=START)[:20]
    seen: list[int] = []
    with Sender(live_server.url, secret=settings.GITHUB_WEBHOOK_SECRETS[0]) as sender:
        for _ in range(2):
            assert sender.send_all(deliveries, progress=seen.append) == {202: 20}
    assert Delivery.objects.count() == 20
    assert seen == [*range(1, 21), *range(1, 21)]
