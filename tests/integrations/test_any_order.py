"""Deliveries in any order, any number of times, in any batches, end in the same tables."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.activity.facts import Source, evidence
from apps.activity.models import Provenance
from apps.activity.record import record
from apps.demo.issue_life import IssueLife
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario
from apps.webhooks.registry import routes
from tests.activity.tables import clear, contents
from tests.github.fixture_a import ACME, ACTIONS, ANA, BEN, CODERABBIT, CY
from tests.github.translation import ARRIVAL, at, evidence_of, payload_of, translate


def eventful_week():
    """Partial payloads, equal times, a dismissal, deletions and revivals."""
    scenario = Scenario("eventful", owner=ACME)
    api = RepositoryLife(scenario, identity=7_300, name="api", created_at=at("03-01", "09:00"))
    api.create(at("03-01", "09:00"), by=ANA)
    scenario.install(at("03-01", "09:30"), api.now)
    work = PullRequestLife(api, number=1, author=ANA, title="Sort", branch="sort")
    work.push(at("03-02", "09:00"))
    work.open(at("03-02", "10:00"), is_draft=True)
    work.request_review(at("03-02", "10:00"), of=BEN)
    work.request_review(at("03-02", "10:00"), of=CY)
    work.label(at("03-02", "10:01"), "bug")
    work.label(at("03-02", "10:01"), "urgent")
    work.unlabel(at("03-02", "10:01"), "bug")
    work.ready(at("03-02", "10:05"))
    work.remark(at("03-02", "10:06"), by=CODERABBIT)
    work.review(at("03-02", "11:00"), by=BEN, state="approved")
    work.comment(at("03-02", "11:00"), by=CY)
    work.force_push(at("03-02", "11:30"))
    work.dismiss_review(at("03-02", "12:00"), of=BEN, by=ANA)
    work.close(at("03-02", "12:00"))
    work.reopen(at("03-02", "12:00"))
    work.retitle(at("03-02", "12:00"), "Sort by name")
    work.merge(at("03-02", "13:00"), by=BEN)
    api.rename(at("03-02", "14:00"), to="door", by=ANA)
    api.run(at("03-02", "13:00"), run_id=41, by=ANA, finished_at=at("03-02", "13:05"), conclusion="failure")
    api.run(at("03-02", "13:10"), run_id=41, by=ANA, finished_at=at("03-02", "13:15"), attempt=2)
    api.deploy(at("03-02", "13:20"), to="production", by=ACTIONS, finished_at=at("03-02", "13:25"), run_id=42)
    incident = IssueLife(api, number=2, author=CY, title="Down", body="Caused by #1")
    incident.open(at("03-02", "14:00"), "incident")
    incident.close(at("03-02", "15:00"))
    incident.reopen(at("03-02", "15:00"))
    incident.delete(at("03-02", "16:00"), by=ANA)
    return scenario.deliveries()


def everything():
    """The week, and one delivery of every route that has a translator, each with its own arrival."""
    pieces = evidence_of(eventful_week())
    for number, (event, action) in enumerate(sorted(routes(), key=str)):
        facts = translate(event, payload_of(event, action), received_at=ARRIVAL + timedelta(seconds=number))
        pieces.append(evidence(Source(kind="delivery", key=f"{event} {action}"), facts))
    return pieces


def record_in_batches(pieces, *, chance):
    remaining = list(pieces)
    while remaining:
        size = chance.choice((1, 5, 20, 50))
        record(remaining[:size])
        del remaining[:size]


def tables():
    provenance = Provenance.objects.values_list("entity", "key", "source", "source_key")
    return {**contents(), "Provenance": sorted(provenance)}


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_any_order_any_repetition_and_any_batches_end_in_the_same_tables():
    pieces = everything()
    record(pieces)
    expected = tables()

    @settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(chance=st.randoms(use_true_random=True))
    def shuffled_repeated_and_split(chance):
        repeated = [piece for piece in pieces for _ in range(chance.choice((1, 1, 2)))]
        chance.shuffle(repeated)
        clear()
        record_in_batches(repeated, chance=chance)
        assert tables() == expected

    shuffled_repeated_and_split()


@pytest.mark.django_db
def test_the_week_ends_as_its_story_says():
    record(evidence_of(eventful_week()))
    found = contents()
    (work,) = [row for row in found["PullRequest"] if row[0] == 7_300]
    assert {"Sort by name", "closed"} <= set(work[:10])
    assert len([row for row in found["PullRequestEvent"] if row[2] == "review_requested"]) == 2
    assert (7_300, "acme/door") in {row[:2] for row in found["Repository"]}
