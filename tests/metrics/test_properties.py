"""Whatever happened to a pull request, in whatever order it is told: recalculating is rebuilding, and no clock lies."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.metrics.models import DerivedClosing, DerivedPullRequest, DerivedShipment
from apps.metrics.recalculation import drain
from apps.teams.models import IncidentRule
from tests.metrics.comparing import assert_equals_rebuild, derived_tables
from tests.metrics.steps import NOWHERE, PullRequestSteps, Step, deployed, instant, pushed, record_facts
from tests.metrics.test_incidents import issue
from tests.metrics.test_incidents import report as reported

START = instant("03-02 10:00")
VERBS = (
    *("ready", "drafted", "closed", "reopened", "moved", "merged"),
    *("reviewed", "bot_reviewed", "requested", "withdrawn", "commented"),
    *("enqueued", "dequeued"),
)
REVIEWS = {"reviewed": ("ben", "commented"), "bot_reviewed": ("coderabbitai[bot]",)}


def minute(number: int, seconds: int = 0) -> str:
    return f"{START + timedelta(minutes=number, seconds=seconds):%m-%d %H:%M:%S}"


@st.composite
def lives(draw: st.DrawFn) -> list[Step]:
    """One or two pull requests of a branch, each with a random life and the pushes that its heads call for."""
    steps: list[Step] = []
    before, clock = NOWHERE, 0
    for number in range(1, draw(st.integers(1, 2)) + 1):
        tale = PullRequestSteps(number, "ana", branch="topic")
        clock += 1
        head = f"head-{number}-0"
        steps.append(pushed(minute(clock), branch="topic", before=before, after=head, commits={head: minute(clock)}))
        before = head
        clock += 1
        tale.opened(minute(clock), draft=draw(st.booleans()), head=head)
        for verb in draw(st.lists(st.sampled_from(VERBS), max_size=7)):
            clock += 1
            if verb == "moved":
                head = f"head-{number}-{clock}"
                commits = {head: minute(clock)}
                steps.append(pushed(minute(clock), branch="topic", before=before, after=head, commits=commits))
                before = head
            happen(tale, verb, at=minute(clock, seconds=30), head=head)
            if verb == "merged":
                break
        steps.extend(tale.steps)
    return steps


def happen(tale: PullRequestSteps, verb: str, *, at: str, head: str) -> None:
    is_closed = tale.state["state"] == "closed"
    match verb:
        case "ready" if tale.state["is_draft"]:
            tale.ready(at)
        case "drafted" if not tale.state["is_draft"]:
            tale.drafted(at)
        case "closed" if not is_closed:
            tale.closed(at)
        case "reopened" if is_closed:
            tale.reopened(at)
        case "merged" if not is_closed:
            tale.merged(at)
        case "moved":
            tale.moved(at, head)
        case "reviewed" | "bot_reviewed":
            tale.reviewed(at, *REVIEWS[verb])
        case "requested" | "withdrawn" | "commented":
            getattr(tale, verb)(at, "ben")
        case "enqueued" | "dequeued":
            tale.queued(at, verb)


@st.composite
def told_in_any_order(draw: st.DrawFn) -> tuple[list[Step], list[Step]]:
    """A story, and the same with repeats in another order."""
    steps = draw(lives())
    repeated = [*steps, *draw(st.lists(st.sampled_from(steps), max_size=4))]
    return steps, draw(st.permutations(repeated))


@pytest.mark.proof
class AnyOrder(TestCase):
    @given(told=told_in_any_order(), pauses=st.randoms(use_true_random=False))
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_the_order_of_telling_does_not_matter(self, told: tuple[list[Step], list[Step]], pauses: Any) -> None:
        _, shuffled = told
        for step in shuffled:
            record_facts(*step)
            if pauses.random() < 0.4:
                drain(seconds=60)
        assert drain(seconds=60)
        self.assert_clocks_are_sound()
        assert_equals_rebuild()

    def assert_clocks_are_sound(self) -> None:
        for row in DerivedPullRequest.objects.all():
            assert row.ready_at is None or row.ready_at >= row.opened_at
            assert row.first_commit_at is not None
            assert row.first_commit_at <= (row.ready_at or row.opened_at)
            waits = row.first_response_seconds, row.first_review_seconds
            assert waits[1] is None or (waits[0] is not None and waits[0] <= waits[1])
            assert row.queue_seconds is None or row.merged_at is not None
            assert (row.cycle_seconds is None) == (row.merged_at is None or row.ready_at is None)
            assert len(row.draft_starts) == len(row.draft_ends)
            assert None not in row.draft_ends[:-1]
            assert row.is_opened_as_draft == (row.opened_at in row.draft_starts)
        held = DerivedClosing.objects.filter(reopened_at__isnull=True)
        closed = DerivedPullRequest.objects.filter(closed_at__isnull=False, merged_at__isnull=True)
        assert set(held.values_list("number", flat=True)) == set(closed.values_list("number", flat=True))


SHAS = ("c0", "c1", "c2", "c3", "elsewhere")
PLACES = ("production", "staging")


@st.composite
def deliveries_of_a_branch(draw: st.DrawFn) -> list[Step]:
    """Commits that land, some as merges, one of them of a stack, and deployments of any of them in any order."""
    steps = [
        pushed(
            minute(10 * number),
            branch="main",
            before=f"c{number - 1}",
            after=f"c{number}",
            commits={f"c{number}": minute(1)},
        )
        for number in range(1, 4)
    ]
    for number in draw(st.sets(st.integers(1, 3))):
        body = draw(st.sampled_from(["", *(f"Reverts #{other}" for other in range(1, number))]))
        branch = draw(st.sampled_from([f"branch-{number}", f"hotfix/{number}"]))
        life = PullRequestSteps(number, "ana", branch=branch).opened(minute(1), head=f"h{number}", body=body)
        life.merged(minute(10 * number), sha=f"c{number}")
        steps.extend(life.steps)
        if draw(st.booleans()):
            below = PullRequestSteps(10 + number, "ben", base=branch).opened(minute(2), head=f"h1{number}")
            steps.extend(below.merged(minute(10 * number - 1)).steps)
    for github_id in range(1, draw(st.integers(1, 6)) + 1):
        state, at = draw(st.sampled_from(["success", "success", "failure"])), draw(st.integers(1, 60))
        sha, environment = draw(st.sampled_from(SHAS)), draw(st.sampled_from(PLACES))
        run_id = draw(st.sampled_from([None, None, 1]))
        steps.extend(deployed(github_id, statuses={state: minute(at)}, sha=sha, environment=environment, run_id=run_id))
    return [*steps, *draw(incidents())]


@st.composite
def incidents(draw: st.DrawFn) -> list[Step]:
    """Incidents that name a deployment, a pull request or nothing, each reported several times, and issues."""
    steps: list[Step] = []
    for name in "ab"[: draw(st.integers(0, 2))]:
        opened = draw(st.integers(1, 60))
        cause = draw(st.sampled_from([{}, {"deployment": "1"}, {"deployment": "2"}, {"pull_request": 1}]))
        steps.append(reported(name, minute(opened), **cause))
        if draw(st.booleans()):
            steps.append(reported(name, minute(opened), closed=minute(opened + draw(st.integers(0, 30))), **cause))
    if draw(st.booleans()):
        steps.append(issue(90, minute(20), closed=minute(55), cause=draw(st.sampled_from(["#1", "#2", "3", ""]))))
    return steps


@pytest.mark.proof
class DeploymentsInAnyOrder(TestCase):
    @given(data=st.data(), pauses=st.randoms(use_true_random=False))
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_what_was_derived_step_by_step_is_what_a_rebuild_makes(self, data: Any, pauses: Any) -> None:
        if most_hours := data.draw(st.sampled_from([None, 1])):
            IncidentRule.objects.create(field="report", most_hours=most_hours)
            IncidentRule.objects.create(field="label", pattern="incident", most_hours=most_hours)
        steps = data.draw(deliveries_of_a_branch())
        for step in data.draw(st.permutations([*steps, *steps[:3]])):
            record_facts(*step)
            if pauses.random() < 0.5:
                drain(seconds=60)
        assert drain(seconds=60)
        for row in DerivedShipment.objects.all():
            assert row.merged_at <= row.deployed_at
            assert row.landed_at <= row.deployed_at
            assert (row.lead_seconds is None) == row.is_order_unknown
        assert_equals_rebuild()


@pytest.mark.django_db
def test_derived_tables_are_empty_without_facts() -> None:
    assert not any(derived_tables().values())
