"""What is stuck now: who waits for whom, since when, and what is none of it."""

from datetime import timedelta

import pytest

from apps.activity.models import WorkflowRun
from apps.metrics.figures import Bots
from apps.metrics.stuck import Filters, Reason, Section, StuckPullRequest, read_stuck
from apps.teams.models import Team
from tests.metrics.steps import API, PullRequestSteps, Step, deployed, instant, pushed, record_steps

pytestmark = pytest.mark.django_db
NOW = instant("03-12 12:00")  # a Thursday
LONG_AGO, A_MOMENT_AGO = "03-02", "03-12 11:"
EVERYTHING = Filters(is_everything=True)


def waits(number: int, day: str = LONG_AGO, author: str = "ana") -> PullRequestSteps:
    return PullRequestSteps(number, author).opened(f"{day} 10:00", head=f"head-{number}")


def stuck(team: Team, *others: Team, filters: Filters = EVERYTHING) -> dict[Reason, dict[int, StuckPullRequest]]:
    sections = read_stuck([team, *others], filters=filters, now=NOW)
    return {each.reason: {row.number: row for row in each.rows} for each in sections}


def section(team: Team, reason: Reason, *, filters: Filters = EVERYTHING) -> Section:
    [found] = read_stuck([team], filters=filters, reasons=[reason], now=NOW)
    return found


def test_a_review_is_waited_for_until_somebody_answers(teams: dict[str, Team]) -> None:
    record_steps(
        [
            *waits(1).steps,
            *waits(2).requested("03-03 10:00", "ben").requested("03-04 10:00", "cy").steps,
            *waits(3).requested("03-03 10:00", "ben").reviewed("03-03 11:00", "ben", "commented").steps,
            *waits(4).requested("03-03 10:00", "ben").withdrawn("03-03 11:00", "ben").steps,
            *PullRequestSteps(5, "ana").opened("03-02 10:00", draft=True).steps,
            *waits(6).reviewed("03-02 11:00", "coderabbitai[bot]", "commented").steps,
            *waits(7).closed("03-02 11:00").steps,
        ]
    )
    found = stuck(teams["acme"])[Reason.REVIEW]
    assert found.keys() == {1, 2, 4, 6}
    assert (found[1].waits_for, found[1].since) == ((), instant("03-02 10:00"))
    assert (found[2].waits_for, found[2].since) == (("ben", "cy"), instant("03-03 10:00"))
    only = section(teams["acme"], Reason.REVIEW, filters=Filters(is_everything=True, reviewer="CY"))
    assert [(row.number, row.waits_for, row.since) for row in only.rows] == [(2, ("cy",), instant("03-04 10:00"))]


def test_what_is_approved_waits_for_its_merge_unless_somebody_objects(teams: dict[str, Team]) -> None:
    record_steps(
        [
            *waits(1).reviewed("03-03 10:00", "ben").reviewed("03-04 10:00", "cy").steps,
            *waits(2).reviewed("03-03 10:00", "ben").reviewed("03-03 12:00", "cy", "changes_requested").steps,
            *waits(3).reviewed("03-03 10:00", "cy", "changes_requested").reviewed("03-03 12:00", "cy").steps,
            *waits(4).reviewed("03-03 10:00", "ben").merged("03-03 11:00").steps,
            *waits(5).reviewed("03-03 10:00", "ben").requested("03-03 11:00", "cy").steps,
        ]
    )
    found = stuck(teams["acme"])
    assert {number: row.since for number, row in found[Reason.MERGE].items()} == {
        1: instant("03-04 10:00"),
        3: instant("03-03 12:00"),
        5: instant("03-03 10:00"),
    }
    assert found[Reason.REVIEW] == {}


def on_main(number: int, at: str) -> Step:
    return pushed(
        at, branch="main", before=f"before {number}", after=f"merge-{number}", commits={f"merge-{number}": at}
    )


def test_a_merge_waits_for_production_where_there_is_any(teams: dict[str, Team]) -> None:
    steps = [
        *waits(1).merged("03-02 11:00").steps,
        on_main(1, "03-02 11:00"),
        *waits(2).merged("03-03 11:00").steps,
        on_main(2, "03-03 11:00"),
        *waits(3).merged("03-04 11:00").steps,
        on_main(3, "03-04 11:00"),
    ]
    record_steps(steps)
    assert stuck(teams["acme"])[Reason.DEPLOYMENT] == {}, "nothing is deployed from there"
    deployments = (
        deployed(1, statuses={"success": "03-02 12:00"}, sha="merge-1"),
        deployed(2, statuses={"success": "03-03 12:00"}, sha="merge-2"),
        deployed(3, statuses={"success": "03-04 12:00"}, sha="merge-3", environment="staging"),
    )
    record_steps([step for each in deployments for step in each])
    found = stuck(teams["acme"])[Reason.DEPLOYMENT]
    assert {number: row.since for number, row in found.items()} == {3: instant("03-04 11:00")}
    Team.objects.filter(pk=teams["acme"].pk).update(production_environments=["staging"])
    assert stuck(Team.objects.get(pk=teams["acme"].pk))[Reason.DEPLOYMENT] == {}


def ran(run_id: int, number: int, conclusion: str, *, attempt: int = 1, workflow: int = 1, head: str = "") -> None:
    WorkflowRun.objects.create(
        run_id=run_id,
        attempt=attempt,
        repository_id=API,
        workflow_id=workflow,
        name=f"Workflow {workflow}",
        conclusion=conclusion,
        head_sha=head or f"head-{number}",
        concluded_at=instant("03-03 10:00") + timedelta(minutes=run_id),
    )


def test_checks_fail_where_the_last_run_of_a_workflow_on_the_last_commit_did(teams: dict[str, Team]) -> None:
    record_steps([step for number in range(1, 6) for step in waits(number).steps])
    ran(1, 1, "failure")
    ran(2, 1, "timed_out", workflow=2)
    ran(3, 2, "failure")
    ran(3, 2, "success", attempt=2)
    ran(4, 3, "failure")
    ran(5, 3, "success")
    ran(6, 4, "failure", head="an earlier head")
    found = stuck(teams["acme"])[Reason.CHECKS]
    assert {number: row.waits_for for number, row in found.items()} == {1: ("Workflow 1", "Workflow 2")}
    assert found[1].since == instant("03-03 10:01")


def test_a_wait_counts_the_working_time_of_the_team(teams: dict[str, Team]) -> None:
    record_steps(
        [*waits(1, "03-11").steps, *PullRequestSteps(2, "ana").opened("03-12 11:00").steps, *waits(3, "03-06").steps]
    )
    found = section(teams["acme"], Reason.REVIEW)
    assert [row.number for row in found.rows] == [2, 1, 3], "the latest first"
    assert {row.number: row.working_seconds / 3600 for row in found.rows} == {2: 1, 1: 7 + 3, 3: 7 + 3 * 8 + 3}
    assert {row.number for row in found.rows if row.is_stuck} == {1, 3}
    assert [row.number for row in section(teams["acme"], Reason.REVIEW, filters=Filters()).rows] == [1, 3]


def test_of_several_teams_a_wait_counts_by_the_calendar(teams: dict[str, Team]) -> None:
    record_steps([*waits(1, "03-11").steps, *waits(2, "03-12").steps])
    [found] = read_stuck([teams["acme"], teams["beta"]], filters=EVERYTHING, reasons=[Reason.REVIEW], now=NOW)
    assert {row.number: row.working_seconds / 3600 for row in found.rows} == {1: 26, 2: 2}
    assert found.stuck_after_hours == 24
    assert [row.number for row in found.rows if row.is_stuck] == [1]


def test_a_team_sees_what_its_members_opened_and_several_see_everything(teams: dict[str, Team]) -> None:
    record_steps(
        [*waits(1, author="ben").steps, *waits(2, author="cy").steps, *waits(3, author="dependabot[bot]").steps]
    )
    alpha, beta = teams["alpha"], teams["beta"]
    assert stuck(alpha)[Reason.REVIEW].keys() == {1}
    assert stuck(beta)[Reason.REVIEW].keys() == {2}
    assert stuck(alpha, beta)[Reason.REVIEW].keys() == {1, 2}
    with_bots = Filters(is_everything=True, bots=Bots.INCLUDE)
    assert stuck(alpha, beta, filters=with_bots)[Reason.REVIEW].keys() == {1, 2, 3}
    assert stuck(alpha, beta, filters=Filters(is_everything=True, repository_ids=[]))[Reason.REVIEW] == {}
    assert read_stuck([]) == []


def test_a_section_says_how_many_there_are_in_all(teams: dict[str, Team]) -> None:
    record_steps([step for number in range(1, 6) for step in waits(number).steps])
    found = section(teams["acme"], Reason.REVIEW, filters=Filters(most=2))
    assert (len(found.rows), found.total, found.left) == (2, 5, 3)
