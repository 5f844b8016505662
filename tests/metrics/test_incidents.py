"""Incidents: which deployment caused them, what ended them, and what figures make of them."""

import random
from datetime import timedelta
from typing import Any

import pytest

from apps.activity import facts
from apps.github.objects.issues import causes_in
from apps.metrics.derivation.incidents import FAILURES
from apps.metrics.figures import FigureQuery, FigureReading, list_entities, read_figure
from apps.metrics.figures.entities import github_url
from apps.metrics.models import DerivedFailure, DerivedIncident, DerivedRemediation
from apps.metrics.recalculation import drain
from apps.teams.models import IncidentRule, Team
from tests.activity.statements import filled
from tests.metrics import fixture_a
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.fixture_a_expectations import HOUR, HUMANS, WEEK
from tests.metrics.steps import (
    API,
    Step,
    deployed,
    instant,
    record_facts,
    record_steps,
    repository,
    stamp,
)

pytestmark = pytest.mark.django_db
Teams = dict[str, Team]


def issue(
    number: int, opened: str, *, closed: str | None = None, labels: tuple[str, ...] = ("incident",), cause: str = ""
) -> Step:
    state = filled(
        facts.IssueState,
        stamp=stamp(instant(closed or opened)),
        repository_id=API,
        number=number,
        title=f"Outage {number}",
        labels=labels,
        causes=(cause,) if cause else (),
        created_at=instant(opened),
        updated_at=instant(closed or opened),
        closed_at=instant(closed) if closed else None,
    )
    return repository(), state


def report(name: str, opened: str, *, closed: str | None = None, **given: Any) -> Step:
    at = instant(closed or opened)
    known = {"opened_at": instant(opened), "closed_at": instant(closed) if closed else None, "updated_at": at}
    state = filled(facts.ReportedIncidentState, stamp=stamp(at), repository_id=API, external_id=name, **(known | given))
    return repository(), state


def read(key: str, team: Team, *, as_of: str | None = None) -> FigureReading:
    return read_figure(key, FigureQuery(team=team, window=WEEK, **({"as_of": instant(as_of)} if as_of else {})))


def failures() -> set[tuple[str, str, str]]:
    return set(DerivedFailure.objects.values_list("incident", "failing", "kind"))


OF_FIXTURE_A = (
    issue(901, "03-05 18:00", cause="#5"),
    issue(901, "03-05 18:00", closed="03-05 19:30", cause="#5"),
    report("I2", "03-05 18:10", pull_request=5),
    report("I2", "03-05 18:10", closed="03-05 19:30", pull_request=5),
    issue(903, "03-06 20:00", labels=("external", "incident")),
)


@pytest.mark.parametrize("seed", range(3))
def test_incidents_of_the_worked_example_fail_one_deployment_in_any_order(teams: Teams, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    steps = [*fixture_a.steps(), *OF_FIXTURE_A]
    steps += chance.sample(steps, 10)
    chance.shuffle(steps)
    for number, step in enumerate(steps):
        if number == 20:
            IncidentRule.objects.create(pattern="^incident$")
        record_facts(*step)
        if number % 9 == seed:
            assert drain(seconds=60)
    assert drain(seconds=60)
    team = teams["acme"]
    for key in ("change_failure_rate", "failed_deployment_recovery_time", "deployment_rework_rate"):
        found = read(key, team).as_dict()
        assert {name: found[name] for name in HUMANS[key]} == HUMANS[key], key
    assert failures() == {(name, "run 9001 production#1", "pull_request") for name in ("issue 901", "report I2")}
    assert read("incidents", team).value == 3
    recovery = read("incident_recovery_time", team)
    assert (recovery.n, recovery.mean) == (2, pytest.approx((1.5 + 4 / 3) / 2 * HOUR))
    assert_equals_rebuild()


def in_a_row(*at: str) -> list[Step]:
    """Deployments 1, 2, … to production of a commit that is always the same."""
    return [step for number, each in enumerate(at, 1) for step in deployed(number, statuses={"success": each})]


def test_an_incident_that_names_a_deployment_fails_it_and_its_end_shows_what_remedied_it(teams: Teams) -> None:
    steps = in_a_row("03-03 10:00", "03-03 12:00", "03-03 13:00", "03-03 15:00")
    record_steps([*steps, report("X", "03-03 12:30", deployment="2")])
    team = teams["acme"]
    assert (read("change_failure_rate", team).value, read("deployment_rework_rate", team).value) == (0.25, 0)
    record_steps([report("X", "03-03 12:30", closed="03-03 14:00", deployment="2")])
    assert read("failed_deployment_recovery_time", team).value == HOUR
    assert read("deployment_rework_rate", team).value == 0.25
    record_steps(deployed(5, statuses={"success": "03-03 13:30"}))
    assert DerivedRemediation.objects.get().remediation == "deployment 5#1"
    assert read("failed_deployment_recovery_time", team).value == 1.5 * HOUR
    assert_equals_rebuild()


def test_nothing_is_seen_before_it_was_known(teams: Teams) -> None:
    steps = in_a_row("03-03 10:00", "03-03 12:00", "03-03 13:00")
    record_steps([*steps, report("X", "03-03 12:30", closed="03-03 14:00", deployment="2")])
    seen = {
        at: tuple(
            read(key, teams["acme"], as_of=f"03-03 {at}").value
            for key in ("change_failure_rate", "deployment_rework_rate", "failed_deployment_recovery_time")
        )
        for at in ("12:15", "12:45", "13:30", "14:30")
    }
    third = pytest.approx(1 / 3)
    assert seen == {
        "12:15": (0, 0, None),
        "12:45": (0.5, 0, None),
        "13:30": (third, 0, None),
        "14:30": (third, third, HOUR),
    }


def test_better_evidence_of_a_remedy_counts_instead_of_the_end_of_an_incident(teams: Teams) -> None:
    record_steps([*fixture_a.steps(), report("late", "03-05 18:00", closed="03-06 11:00", pull_request=5)])
    assert set(DerivedRemediation.objects.values_list("remediation", "kind")) == {
        ("deployment 105#1", "revert"),
        ("deployment 106#1", "incident"),
    }
    assert read("deployment_rework_rate", teams["acme"]).value == 0.25
    assert read("failed_deployment_recovery_time", teams["acme"]).value == 2 * HOUR
    assert_equals_rebuild()


@pytest.mark.parametrize(
    ("most_hours", "expected"), [(None, set()), (1, set()), (6, {("report X", "deployment 2#1", "proximity")})]
)
def test_only_a_rule_attributes_what_names_no_cause(
    teams: Teams, most_hours: int | None, expected: set[tuple[str, str, str]]
) -> None:
    rule = IncidentRule.objects.create(field="report", most_hours=most_hours)
    record_steps([report("X", "03-03 14:00"), *in_a_row("03-03 10:00", "03-03 12:00", "03-03 15:00")])
    assert failures() == expected
    assert_equals_rebuild()
    record_steps([report("X", "03-03 14:00", updated_at=instant("03-03 16:00"), service="other")])
    rule.delete()
    assert drain(seconds=60)
    assert failures() == set()
    assert_equals_rebuild()


def test_a_cause_that_is_named_counts_and_nothing_near(teams: Teams) -> None:
    IncidentRule.objects.create(field="report", most_hours=24)
    steps = in_a_row("03-03 10:00", "03-03 12:00")
    record_steps([*steps, report("X", "03-03 14:00", deployment="1"), report("Y", "03-03 14:00", pull_request=5)])
    assert failures() == {("report X", "deployment 1#1", "deployment")}


@pytest.mark.parametrize(
    ("rule", "is_incident"),
    [
        ({"pattern": "^incident$"}, True),
        ({"pattern": "^outage$"}, False),
        ({"field": "title", "pattern": "outage"}, True),
        ({"field": "report", "pattern": ""}, False),
        ({"repository_id": API}, True),
        ({"account_id": 9}, True),
        ({"account_id": 1}, False),
    ],
)
def test_a_rule_says_which_issues_are_incidents(teams: Teams, rule: dict[str, Any], is_incident: bool) -> None:
    record_steps([fixture_a.people(), issue(7, "03-03 10:00")])
    assert read("incidents", teams["acme"]).reason == "no_source"
    made = IncidentRule.objects.create(**rule)
    assert drain(seconds=60)
    assert DerivedIncident.objects.exists() is is_incident
    assert_equals_rebuild()
    entities = list_entities("incidents", FigureQuery(team=teams["acme"], window=WEEK))
    shown = [(each.kind, each.name, each.title, github_url(each).rpartition("/")[2]) for each in entities]
    assert shown == ([("incident", "7", "Outage 7", "7")] if is_incident else [])
    made.delete()
    assert drain(seconds=60)
    assert not DerivedIncident.objects.exists()


def test_an_issue_that_is_deleted_or_reopened_or_loses_its_label_is_followed(teams: Teams) -> None:
    IncidentRule.objects.create(pattern="^incident$")
    record_steps([*in_a_row("03-03 10:00", "03-03 12:00"), issue(7, "03-03 11:00", closed="03-03 13:00", cause="1")])
    assert read("change_failure_rate", teams["acme"]).value == 0.5
    assert DerivedRemediation.objects.count() == 1
    again = filled(
        facts.IssueState,
        stamp=stamp(instant("03-03 14:00")),
        repository_id=API,
        number=7,
        labels=("incident",),
        causes=("1",),
        created_at=instant("03-03 11:00"),
        closed_at=None,
    )
    record_steps([(repository(), again)])
    assert not DerivedRemediation.objects.exists()
    assert_equals_rebuild()
    gone = facts.IssueDeleted(repository_id=API, number=7, deleted_at=instant("03-03 15:00") + timedelta())
    record_steps([(repository(), gone)])
    assert FAILURES.model._default_manager.count() == 0
    assert read("change_failure_rate", teams["acme"]).value == 0
    assert_equals_rebuild()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Caused by #5.", ("#5",)),
        ("It was introduced in #5 and broken by deployment `104`", ("#5", "104")),
        ("caused by the deployment 2026-03-03:1.", ("2026-03-03:1",)),
        ("caused by acme/web#5", ()),
        ("Fixed by #6, see #5", ()),
        ("caused by #5, caused by #5", ("#5",)),
    ],
)
def test_an_issue_names_its_cause(text: str, expected: tuple[str, ...]) -> None:
    assert causes_in("", text) == expected
