"""Fixture G: hard cases of deployments, each measured as wrong in a first build."""

import itertools
from collections.abc import Iterable
from datetime import date

import pytest

from apps.activity import facts
from apps.metrics.derivation.deployment_rules import is_named_production
from apps.metrics.derivation.shipments import reverted_number
from apps.metrics.figures import Asked, FigureQuery, FigureReading, Window, read_figure
from apps.metrics.models import DerivedDeployment, DerivedRemediation, DerivedShipment
from apps.metrics.recalculation import drain
from apps.teams.models import DeploymentSource, HotfixRule, ServiceRule, Team
from tests.activity.statements import filled
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.steps import (
    API,
    EPOCH,
    PullRequestSteps,
    Step,
    deployed,
    instant,
    pushed,
    record_facts,
    record_steps,
    repository,
    run_of,
    stamp,
)

pytestmark = pytest.mark.django_db
Teams = dict[str, Team]

FIRST_WEEK = Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone="UTC")
SECOND_WEEK = Window(start=date(2026, 3, 9), end=date(2026, 3, 16), time_zone="UTC")
PRODUCTION = ("Production", "production-api", "prod", "Production \N{EN DASH} web", "production/eu-west-1", "live")
NOT_PRODUCTION = ("preprod", "staging-production-copy")


def read(key: str, team: Team, *, window: Window = FIRST_WEEK, as_of: str | None = None) -> FigureReading:
    known = {} if as_of is None else {"as_of": instant(as_of)}
    return read_figure(key, FigureQuery(team=team, window=window, **known))


def count(key: str, team: Team, *, window: Window = FIRST_WEEK, as_of: str | None = None) -> float | None:
    return read(key, team, window=window, as_of=as_of).value


def first_case() -> list[Step]:
    return [
        *deployed(201, statuses={"success": "03-03 10:00"}, run_id=1),
        *deployed(202, statuses={"success": "03-10 10:00"}, run_id=1),
    ]


def second_case() -> list[Step]:
    return [
        *deployed(203, statuses={"success": "03-04 10:00"}, run_id=2),
        *deployed(204, statuses={"failure": "03-04 12:00"}, run_id=2),
    ]


def third_case() -> list[Step]:
    return [
        *first_case(),
        *second_case(),
        *deployed(205, statuses={"failure": "03-05 09:00"}, run_id=3),
        *deployed(206, statuses={"success": "03-05 10:00"}, run_id=3),
    ]


def deployed_by_job(github_id: int, job: str, *, attempt: int, **states: str) -> list[Step]:
    made = facts.DeploymentJob(github_id=github_id, repository_id=API, job_id=None, job_name=job, run_attempt=attempt)
    return [*deployed(github_id, statuses=states, run_id=4), (repository(), *run_of(github_id, 4), made)]


def fourth_case() -> list[Step]:
    return [
        *deployed_by_job(207, "api", attempt=1, success="03-03 10:00"),
        *deployed_by_job(208, "web", attempt=1, success="03-03 10:01"),
        *deployed_by_job(209, "api", attempt=2, success="03-04 10:00"),
        *deployed_by_job(210, "web", attempt=2, failure="03-04 10:01"),
    ]


def in_several_orders(steps: list[Step]) -> Iterable[list[Step]]:
    yield steps
    yield steps[::-1]
    yield [*steps[1::2], *steps[::2], *steps[:3]]


def test_g1_a_success_run_again_is_a_deployment_of_each_week(teams: Teams) -> None:
    record_steps(first_case())
    assert [count("deployments", teams["acme"], window=week) for week in (FIRST_WEEK, SECOND_WEEK)] == [1, 1]


def test_g2_a_failure_after_a_success_undoes_nothing(teams: Teams) -> None:
    record_steps(second_case())
    assert count("deployments", teams["acme"]) == 1
    assert count("failed_deployments", teams["acme"]) == 1
    assert count("deployments", teams["acme"], as_of="03-04 11:00") == 1
    assert count("failed_deployments", teams["acme"], as_of="03-04 11:00") == 0


def test_g3_what_comes_later_changes_no_earlier_answer(teams: Teams) -> None:
    record_steps(third_case())
    team = teams["acme"]
    assert count("deployments", team, as_of="03-04 11:00") == 2
    assert count("deployments", team, as_of="03-09 00:00") == 3
    failed = {at: count("failed_deployments", team, as_of=f"03-05 {at}") for at in ("08:59", "09:30", "10:30")}
    assert failed == {"08:59": 1, "09:30": 2, "10:30": 1}


def test_g4_two_jobs_of_a_run_are_two_services(teams: Teams) -> None:
    record_steps(fourth_case())
    team = teams["acme"]
    assert (count("deployments", team), count("failed_deployments", team)) == (3, 1)
    assert set(DerivedDeployment.objects.values_list("service", flat=True)) == {"api", "web"}


@pytest.mark.parametrize("case", [first_case, second_case, third_case, fourth_case])
def test_any_order_comes_to_the_same_rows(case: object) -> None:
    found = []
    for steps in in_several_orders(case()):  # type: ignore[operator]
        for step in steps:
            record_facts(*step)
            drain(seconds=60)
        rows = DerivedDeployment.objects.order_by("name").values_list("name", "succeeded_at", "failed_at", "service")
        found.append(list(rows))
        assert_equals_rebuild()
    assert found[1:] == found[:-1]


def test_a_job_that_deployed_alone_before_belongs_to_its_service() -> None:
    alone = facts.DeploymentJob(github_id=301, repository_id=API, job_id=None, job_name="api", run_attempt=1)
    record_steps([*deployed(301, statuses={"success": "03-02 10:00"}, run_id=77), (repository(), alone)])
    assert DerivedDeployment.objects.get().service == ""
    record_steps(fourth_case())
    assert set(DerivedDeployment.objects.values_list("service", flat=True)) == {"api", "web"}
    assert_equals_rebuild()


def test_g5_production_has_many_names(teams: Teams) -> None:
    for number, environment in enumerate((*PRODUCTION, *NOT_PRODUCTION), start=401):
        record_steps(deployed(number, statuses={"success": "03-03 10:00"}, environment=environment))
    assert count("deployments", teams["acme"]) == 6


@pytest.mark.parametrize(
    ("environment", "is_production"),
    [
        *((name, True) for name in (*PRODUCTION, "eu/production", "web-prod", "LIVE 2", "api \N{EM DASH} live")),
        *((name, False) for name in (*NOT_PRODUCTION, "pre-prod", "non-production", "products", "delivery", "", "qa")),
    ],
)
def test_the_name_says_production_at_its_start_or_after_its_last_dash(environment: str, is_production: bool) -> None:
    assert is_named_production(environment) is is_production


def test_githubs_flag_makes_an_environment_production(teams: Teams) -> None:
    flags = facts.DeploymentFlags(
        stamp=stamp(instant("03-03 10:00"), rank=1),
        github_id=501,
        repository_id=API,
        is_production=True,
        is_transient=False,
    )
    record_steps([*deployed(501, statuses={"success": "03-03 10:00"}, environment="blue"), (repository(), flags)])
    assert count("deployments", teams["acme"]) == 1


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [(["LIVE"], 1), (["prod*"], 3), (["*production*"], 4), (["p_od", "live"], 1), (["p_od"], None), (["100%"], None)],
)
def test_a_teams_patterns_say_what_is_production(teams: Teams, patterns: list[str], expected: int | None) -> None:
    names = ("live", "production", "prod", "production-api", "blue/Production 1", "my-production")
    for number, environment in enumerate(names, start=601):
        record_steps(deployed(number, statuses={"success": "03-03 10:00"}, environment=environment))
    teams["acme"].production_environments = patterns
    teams["acme"].save()
    reading = read("deployments", teams["acme"])
    assert (reading.value, reading.reason) == (expected, "" if expected else "no_production")


def workflow_run(run_id: int, name: str, *, concluded: str, conclusion: str = "success", attempt: int = 1) -> Step:
    run = filled(
        facts.WorkflowRunState,
        stamp=stamp(instant(concluded), rank=2),
        run_id=run_id,
        attempt=attempt,
        repository_id=API,
        name=name,
        status="completed",
        conclusion=conclusion,
        head_sha="sha",
        created_at=instant(concluded),
        started_at=instant(concluded),
        concluded_at=instant(concluded),
    )
    return repository(), run


def test_g13_without_a_source_there_is_no_value(teams: Teams) -> None:
    team = teams["acme"]
    record_steps(
        [
            workflow_run(1, "deploy", concluded="03-03 10:00"),
            workflow_run(2, "deploy", concluded="03-04 09:00", conclusion="failure"),
            workflow_run(2, "deploy", concluded="03-04 10:00", attempt=2),
            workflow_run(3, "deploy", concluded="03-05 10:00", conclusion="failure"),
            workflow_run(4, "tests", concluded="03-05 10:00"),
        ]
    )
    reading = read("deployments", team)
    assert (reading.value, reading.n, reading.reason) == (None, 0, "no_source")
    rule = DeploymentSource.objects.create(kind=DeploymentSource.Kind.WORKFLOW_RUNS, pattern="^deploy$")
    assert drain(seconds=60)
    reading = read("deployments", team)
    assert (reading.value, reading.n, reading.reason) == (2, 2, "")
    assert count("failed_deployments", team) == 1
    assert_equals_rebuild()
    rule.delete()
    assert drain(seconds=60)
    assert read("deployments", team).reason == "no_source"
    assert_equals_rebuild()


def test_a_chosen_source_without_deployments_is_zero(teams: Teams) -> None:
    DeploymentSource.objects.create(kind=DeploymentSource.Kind.RELEASES)
    assert (read("deployments", teams["acme"]).value, read("deployments", teams["acme"]).reason) == (0, "")


def test_releases_may_be_the_deployments(teams: Teams) -> None:
    for number, (is_draft, is_prerelease) in enumerate(itertools.product((False, True), repeat=2), start=1):
        release = filled(
            facts.ReleaseState,
            stamp=stamp(instant("03-03 10:00")),
            github_id=number,
            repository_id=API,
            tag_name=f"v{number}",
            is_draft=is_draft,
            is_prerelease=is_prerelease,
            published_at=None if is_draft else instant("03-03 10:00"),
        )
        record_steps([(repository(), release)])
    DeploymentSource.objects.create(kind=DeploymentSource.Kind.RELEASES, repository_id=API)
    assert drain(seconds=60)
    assert count("deployments", teams["acme"]) == 1
    record_steps([(repository(), facts.ReleaseDeleted(github_id=1, repository_id=API, deleted_at=EPOCH))])
    assert count("deployments", teams["acme"]) == 0
    assert_equals_rebuild()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"field": "environment", "pattern": "production-(.*)", "service": r"the \1"}, {"the api", ""}),
        ({"field": "environment", "pattern": "^other", "service": "other"}, {""}),
        ({"field": "task", "pattern": "^deploy$", "service": "all"}, {"all"}),
        ({"field": "workflow", "pattern": "release", "service": "released"}, {"released", ""}),
    ],
)
def test_a_rule_names_the_service(rule: dict[str, str], expected: set[str]) -> None:
    made = ServiceRule.objects.create(**rule)
    record_steps(deployed(701, statuses={"success": "03-03 10:00"}, environment="production-api"))
    record_steps(deployed(702, statuses={"success": "03-03 10:00"}, environment="production", run_id=9))
    record_steps([workflow_run(9, "Release it", concluded="03-03 10:00")])
    assert set(DerivedDeployment.objects.values_list("service", flat=True)) == expected
    assert_equals_rebuild()
    made.delete()
    assert drain(seconds=60)
    assert set(DerivedDeployment.objects.values_list("service", flat=True)) == {""}
    assert_equals_rebuild()


def landed(number: int, at: str) -> Step:
    return pushed(at, branch="main", before=f"c{number - 1}", after=f"c{number}", commits={f"c{number}": at})


def test_g11_an_earlier_commit_deployed_again_is_a_rollback(teams: Teams) -> None:
    steps = [landed(number, f"03-03 0{number}:00") for number in (1, 2, 3)]
    for number, (sha, at) in enumerate((("c1", "10:00"), ("c2", "11:00"), ("c3", "12:00"), ("c2", "12:30")), start=801):
        steps += deployed(number, statuses={"success": f"03-03 {at}"}, sha=sha)
    for told in in_several_orders(steps):
        for step in told:
            record_facts(*step)
            drain(seconds=60)
        team = teams["acme"]
        assert count("deployments", team) == 4
        assert (count("change_failure_rate", team), count("deployment_rework_rate", team)) == (0.25, 0.25)
        assert count("failed_deployment_recovery_time", team) == 1800
        assert DerivedRemediation.objects.get().kind == "rollback"
        assert_equals_rebuild()


def test_g12_what_is_merged_into_another_head_ships_with_that_one(teams: Teams) -> None:
    first = PullRequestSteps(1, "ana", branch="one").opened("03-02 10:00", head="h1")
    second = PullRequestSteps(2, "ben", branch="two", base="one").opened("03-02 11:00", head="h2")
    steps = [
        *deployed(901, statuses={"success": "03-01 10:00"}, sha="c0"),
        pushed("03-02 09:50", branch="one", after="h1", commits={"h1": "03-02 09:00"}),
        pushed("03-02 10:50", branch="two", after="h2", commits={"h2": "03-02 10:30"}, login="ben"),
        *second.merged("03-02 12:00").steps,
        *first.merged("03-02 13:00").steps,
        pushed("03-02 13:00", branch="main", before="c0", after="merge-1", commits={"merge-1": "03-02 13:00"}),
        *deployed(902, statuses={"success": "03-02 14:00"}, sha="merge-1"),
    ]
    for told in in_several_orders(steps):
        for step in told:
            record_facts(*step)
            drain(seconds=60)
        lead = dict(DerivedShipment.objects.values_list("number", "lead_seconds"))
        assert lead == {1: 5 * 3600, 2: 3.5 * 3600}
        assert_equals_rebuild()


@pytest.mark.parametrize("first", [those for n in (1, 2) for those in itertools.combinations(range(3), n)])
def test_deployments_of_one_batch_re_date_what_later_ones_shipped(first: tuple[int, ...]) -> None:
    deployments = [
        deployed(950 + number, statuses={"success": f"03-0{number + 2} 12:00"}, sha=f"c{number + 1}")
        for number in range(3)
    ]
    record_steps(
        [
            pushed(f"03-0{day} 11:00", branch="main", after=f"c{day - 1}", commits={f"c{day - 1}": f"03-0{day} 11:00"})
            for day in (2, 3, 4)
        ]
    )
    for number in (2, 3):
        made = PullRequestSteps(number, "ana").opened(f"03-0{number + 1} 09:00", head=f"h{number}")
        record_steps(made.merged(f"03-0{number + 1} 11:00", sha=f"c{number}").steps)
    record_steps(step for number in first for step in deployments[number])
    record_steps(step for number in {*range(3)}.difference(first) for step in deployments[number])
    shipped = dict(DerivedShipment.objects.values_list("number", "deployed_at"))
    assert shipped == {2: instant("03-03 12:00"), 3: instant("03-04 12:00")}
    assert_equals_rebuild()


def test_a_deployment_of_an_unknown_commit_leaves_in_doubt_what_it_shipped(teams: Teams) -> None:
    tale = PullRequestSteps(1, "ana").opened("03-02 10:00", head="h1").merged("03-02 12:00")
    record_steps(
        [
            *deployed(901, statuses={"success": "03-01 10:00"}, sha="c0"),
            *tale.steps,
            pushed("03-02 12:00", branch="main", before="c0", after="merge-1", commits={"merge-1": "03-02 12:00"}),
            *deployed(903, statuses={"success": "03-02 15:00"}, sha="merge-1"),
        ]
    )
    assert not DerivedShipment.objects.get().is_order_unknown
    record_steps(deployed(902, statuses={"success": "03-02 14:00"}, sha="elsewhere"))
    assert DerivedShipment.objects.get().is_order_unknown
    query = FigureQuery(team=teams["acme"], window=FIRST_WEEK)
    reading = read_figure("lead_time", query, asked=Asked(has_exclusions=True))
    assert (reading.value, reading.n, reading.excluded) == (None, 0, {"order_unknown": 1})
    assert_equals_rebuild()
    record_steps([pushed("03-02 11:00", branch="main", after="elsewhere", commits={"elsewhere": "03-02 11:00"})])
    assert not DerivedShipment.objects.get().is_order_unknown
    assert_equals_rebuild()


@pytest.mark.parametrize(
    ("branch", "rule", "is_hotfix"),
    [
        ("hotfix/now", None, True),
        ("topic", None, False),
        ("urgent-1", "^urgent", True),
        ("hotfix/now", "^urgent", False),
    ],
)
def test_a_hotfix_remedies_the_deployment_before_it(
    teams: Teams, branch: str, rule: str | None, is_hotfix: bool
) -> None:
    tale = PullRequestSteps(1, "ana", branch=branch).opened("03-02 10:00", head="h1").merged("03-02 12:00")
    record_steps(
        [
            *deployed(901, statuses={"success": "03-02 09:00"}, sha="c0"),
            *tale.steps,
            pushed("03-02 12:00", branch="main", before="c0", after="merge-1", commits={"merge-1": "03-02 12:00"}),
            *deployed(902, statuses={"success": "03-02 15:00"}, sha="merge-1"),
        ]
    )
    if rule:
        HotfixRule.objects.create(pattern=rule)
        assert drain(seconds=60)
    assert count("change_failure_rate", teams["acme"]) == (0.5 if is_hotfix else 0)
    assert_equals_rebuild()


@pytest.mark.parametrize(
    ("body", "title", "head_ref", "expected"),
    [
        ("Reverts #5", "", "", 5),
        ("Reverts acme/api#12 because of the outage", "", "", 12),
        ("", 'Revert "Sort by name (#7)"', "", 7),
        ("", 'Revert "Sort by name"', "revert-8-ana/sort", 8),
        ("Reverts #5", 'Reapply "Sort by name"', "", None),
        ("Reverts #6", 'Revert "Revert "Sort by name""', "", None),
        ("This reverts nothing", "Sort by name", "ana/revert-8", None),
        ("Reverts #99999999999", "", "", None),
    ],
)
def test_a_revert_names_what_it_reverts(body: str, title: str, head_ref: str, expected: int | None) -> None:
    assert reverted_number(body=body, title=title, head_ref=head_ref) == expected
