"""Figures of workflow runs: the last attempt decides, and what came before it says whether it was flaky."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from apps.activity import facts
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.accounts import Account, person
from apps.metrics.figures import Asked, Bots, FigureQuery, FigureReading, Window, list_entities, read_figure
from apps.metrics.figures.entities import Listing, github_url
from apps.metrics.models import DerivedWorkflowRun
from apps.metrics.recalculation import drain
from apps.teams.models import AccountRule, Team
from apps.webhooks.worker import drain as process
from tests.activity.statements import filled
from tests.github.translation import Door, at
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.steps import API, Step, instant, profile, record_facts, record_steps, repository, stamp
from tests.metrics.steps import person as number_of

pytestmark = pytest.mark.django_db

WEEK = Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone="UTC")
FIGURES = ("ci_success_rate", "ci_duration", "ci_queue_time", "ci_attempts", "ci_flaky_share")
ANA, ACME = person(501, "ana"), Account(500, "acme", "Organization")


def read(key: str, team: Team, *, as_of: str | None = None, bots: Bots = Bots.EXCLUDE, **asked: Any) -> FigureReading:
    known = {} if as_of is None else {"as_of": instant(as_of)}
    return read_figure(key, FigureQuery(team=team, window=WEEK, bots=bots, **known), asked=Asked(**asked))


def ran(
    run_id: int,
    concluded: str,
    conclusion: str = "success",
    *,
    attempt: int = 1,
    seconds: int = 600,
    queued: int | None = 30,
    workflow: str = "Tests",
    actor: str = "ana",
) -> Step:
    """An attempt that ended then; its webhooks told when it began to run, unless `queued` is None."""
    started_at = instant(concluded) - timedelta(seconds=seconds)
    attempt_of = {"run_id": run_id, "attempt": attempt, "repository_id": API}
    run = filled(
        facts.WorkflowRunState,
        stamp=stamp(instant(concluded), rank=2),
        **attempt_of,
        workflow_id=9,
        name=workflow,
        status="completed",
        conclusion=conclusion,
        head_sha=f"sha-{run_id}",
        actor_id=number_of(actor),
        started_at=started_at,
        concluded_at=instant(concluded),
    )
    told = () if queued is None else (began(attempt_of, started_at + timedelta(seconds=queued)),)
    return repository(), profile(actor), run, *told


def began(attempt_of: Mapping[str, int], moment: Any) -> facts.WorkflowRunInProgress:
    return facts.WorkflowRunInProgress(**attempt_of, in_progress_at=moment)


def deliveries_of_g15() -> list[Sent]:
    scenario = Scenario("fixture-g15", owner=ACME)
    life = RepositoryLife(scenario, identity=7_001, name="api", created_at=at("01-05", "09:00"))
    life.create(at("01-05", "09:00"), by=ANA)
    scenario.install(at("02-20", "09:00"), life.now)
    life.run(at("03-03", "09:00"), run_id=9_001, by=ANA, finished_at=at("03-03", "09:20"), conclusion="failure")
    life.run(at("03-03", "10:00"), run_id=9_001, by=ANA, finished_at=at("03-03", "10:10"), attempt=2)
    return scenario.deliveries()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.django_db(transaction=True)
def test_g15_a_failure_that_succeeds_when_run_again_is_one_success_and_flaky(seed: int) -> None:
    sent = deliveries_of_g15()
    chance = random.Random(seed)  # noqa: S311  a repeatable shuffle
    told = [*sent, *chance.sample(sent, k=len(sent) // 2)]
    chance.shuffle(told)
    door = Door()
    for start in range(0, len(told), 3):
        door.deliver(told[start : start + 3])
        process([], task_id=str(uuid4()), is_redelivered=False)
        assert drain(seconds=60)
    team = Team.objects.get(account_id=ACME.id)
    shares = [read(key, team) for key in ("ci_success_rate", "ci_flaky_share")]
    assert {(each.numerator, each.denominator, each.value) for each in shares} == {(1, 1, 1.0)}
    assert read("ci_duration", team).median == 600, "of the last attempt, not since the first"
    assert read("ci_attempts", team).median == 2
    assert read("ci_success_rate", team, has_exclusions=True).excluded == {"run_again": 1}
    before = read("ci_success_rate", team, as_of="03-03 09:30")
    assert (before.numerator, before.denominator) == (0, 1), "what came later changes no earlier answer"
    assert read("ci_flaky_share", team, as_of="03-03 09:30").value == 0
    assert_equals_rebuild()


def test_what_did_not_succeed_or_fail_is_left_out_with_its_reason(teams: dict[str, Team]) -> None:
    conclusions = ("success", "failure", "timed_out", "startup_failure", "cancelled", "skipped", "neutral", "stale")
    steps = [ran(number, "03-03 10:00", conclusion) for number, conclusion in enumerate(conclusions, start=1)]
    record_steps([*steps, ran(20, "03-03 10:00", actor="dependabot[bot]"), ran(21, "03-10 10:00")])
    reading = read("ci_success_rate", teams["acme"], has_exclusions=True)
    assert (reading.numerator, reading.denominator) == (1, 4)
    assert reading.excluded == {"cancelled": 1, "skipped": 1, "inconclusive": 2, "bot": 1}
    query = FigureQuery(team=teams["acme"], window=WEEK)
    for reason, count in reading.excluded.items():
        assert len(list_entities("ci_success_rate", query, listing=Listing(excluded=reason))) == count
    assert read("ci_success_rate", teams["acme"], bots=Bots.ONLY).denominator == 1


def test_an_attempt_that_was_cancelled_takes_its_run_out(teams: dict[str, Team]) -> None:
    record_steps([ran(1, "03-03 10:00", "failure"), ran(1, "03-03 11:00", "cancelled", attempt=2)])
    reading = read("ci_success_rate", teams["acme"], has_exclusions=True)
    assert (reading.value, reading.excluded) == (None, {"run_again": 1, "cancelled": 1})


@pytest.mark.parametrize(
    ("attempts", "is_flaky"),
    [
        ({1: "success"}, False),
        ({1: "failure"}, False),
        ({1: "failure", 2: "success"}, True),
        ({1: "failure", 2: "failure"}, False),
        ({1: "success", 2: "success"}, False),
        ({1: "cancelled", 2: "success"}, False),
        ({1: "failure", 2: "cancelled", 3: "success"}, True),
        ({2: "timed_out", 3: "success"}, True),
        ({2: "success"}, None),
        ({2: "cancelled", 3: "success"}, None),
    ],
)
def test_a_success_is_flaky_after_a_known_failure(
    teams: dict[str, Team], attempts: Mapping[int, str], is_flaky: bool | None
) -> None:
    told = [ran(1, f"03-03 1{number}:00", conclusion, attempt=number) for number, conclusion in attempts.items()]
    for steps in (told, told[::-1]):
        for step in steps:
            record_facts(*step)
            drain(seconds=60)
        assert DerivedWorkflowRun.objects.order_by("-attempt").first().is_flaky is is_flaky  # type: ignore[union-attr]
        assert_equals_rebuild()
    reading = read("ci_flaky_share", teams["acme"], has_exclusions=True)
    assert reading.value == (None if is_flaky is None else float(is_flaky))
    assert reading.excluded is not None
    assert reading.excluded.get("attempts_unknown") == (1 if is_flaky is None else None)


def test_durations_begin_with_the_attempt_and_null_is_not_zero(teams: dict[str, Team]) -> None:
    record_steps(
        [
            ran(1, "03-03 10:00", seconds=600, queued=20),
            ran(2, "03-03 11:00", seconds=1200, queued=0),
            ran(3, "03-03 12:00", seconds=60, queued=None),
            ran(4, "03-03 13:00", seconds=-60, queued=None),
        ]
    )
    duration, queue = (read(key, teams["acme"], has_exclusions=True) for key in ("ci_duration", "ci_queue_time"))
    assert (duration.n, duration.median, duration.excluded) == (3, 600, {"duration_time_unknown": 1})
    assert (queue.n, queue.median, queue.excluded) == (2, 10, {"queued_time_unknown": 2})


def test_a_later_change_of_a_run_moves_neither_its_end_nor_its_actor(teams: dict[str, Team]) -> None:
    record_steps([ran(1, "03-03 10:00")])
    _, _, run, *_ = ran(1, "03-09 10:00", seconds=6 * 86_400 + 600)
    assert isinstance(run, facts.WorkflowRunState)
    record_steps([(repository(), replace(run, actor_id=None))])
    row = DerivedWorkflowRun.objects.get()
    assert (row.concluded_at, row.duration_seconds, row.actor_id) == (instant("03-03 10:00"), 600, number_of("ana"))
    assert_equals_rebuild()


def test_an_account_that_turns_out_to_be_a_bot_takes_its_runs_along(teams: dict[str, Team]) -> None:
    record_steps([ran(1, "03-03 10:00")])
    assert read("ci_success_rate", teams["acme"]).denominator == 1
    AccountRule.objects.create(contributor_id=number_of("ana"), account_class="bot")
    assert drain(seconds=60)
    assert read("ci_success_rate", teams["acme"]).denominator == 0
    assert_equals_rebuild()


def test_runs_are_grouped_by_workflow_and_listed_with_their_page(teams: dict[str, Team]) -> None:
    record_steps([ran(1, "03-03 10:00"), ran(2, "03-03 11:00", "failure"), ran(3, "03-03 12:00", workflow="Lint")])
    reading = read("ci_success_rate", teams["acme"], group_by="workflow")
    assert reading.groups is not None
    assert [(one.name, one.n, one.value) for one in reading.groups] == [
        ("acme/api: Tests", 2, 0.5),
        ("acme/api: Lint", 1, 1.0),
    ]
    for key in FIGURES:
        listed = list_entities(key, FigureQuery(team=teams["acme"], window=WEEK))
        assert len(listed) == read(key, teams["acme"]).n
    assert (listed[0].kind, listed[0].title, listed[0].account) == ("workflow_run", "Lint", "ana")
    assert github_url(listed[0]) == "https://github.com/acme/api/actions/runs/3/attempts/1"
