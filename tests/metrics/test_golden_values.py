"""Golden values: statistics by hand, and every figure of fixture A."""

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from apps.activity import facts
from apps.metrics.figures import (
    Asked,
    Attribution,
    Bots,
    FigureQuery,
    FigureReading,
    Window,
    list_entities,
    read_figure,
)
from apps.metrics.figures.entities import Listing, count_entities
from apps.metrics.models import DerivedPullRequest, DerivedShipment
from apps.metrics.recalculation import drain
from apps.teams.models import Team
from tests.metrics import fixture_a
from tests.metrics.comparing import assert_equals_rebuild, derived_tables
from tests.metrics.fixture_a_expectations import (
    BOTS_ONLY,
    FIRST_COMMITS,
    FLAGS,
    HOUR,
    HUMANS,
    MERGED_BY_TEAM,
    ROUNDS,
    WEEK,
    WHILE_THREE_WAS_CLOSED,
    WITH_BOTS,
    WRONG_VALUES,
)
from tests.metrics.steps import PullRequestSteps, deployed, instant, record_facts, record_steps, stamp

pytestmark = pytest.mark.django_db
Teams = dict[str, Team]

NEW_YORK = "America/New_York"
DAY = Window(start=date(2026, 3, 2), end=date(2026, 3, 3), time_zone="UTC")


def cycle_times(team: Team, *seconds: int) -> FigureReading:
    """The figure of pull requests that took so long."""
    opened = instant("03-02 10:00")
    for number, each in enumerate(seconds, start=1):
        merged = opened + timedelta(seconds=each)
        record_steps(PullRequestSteps(number, "ben").opened("03-02 10:00").merged(f"{merged:%m-%d %H:%M:%S}").steps)
    return read_figure("cycle_time", FigureQuery(team=team, window=DAY))


def test_nothing_is_no_value_and_never_zero(teams: Teams) -> None:
    reading = cycle_times(teams["acme"])
    assert (reading.n, reading.value, reading.mean, reading.p75, reading.p90) == (0, None, None, None, None)


def test_one_value_is_every_quantile(teams: Teams) -> None:
    reading = cycle_times(teams["acme"], 5)
    assert (reading.value, reading.mean, reading.p75, reading.p90) == (5, 5, 5, 5)


def test_the_median_of_two_lies_between_them(teams: Teams) -> None:
    reading = cycle_times(teams["acme"], 670, 315)
    assert (reading.median, reading.p90) == (492.5, pytest.approx(634.5))


def test_quantiles_are_interpolated(teams: Teams) -> None:
    reading = cycle_times(teams["acme"], *range(10, 0, -1))
    assert (reading.median, reading.p90) == (5.5, pytest.approx(9.1))


def test_a_median_of_a_month_is_not_the_mean_of_its_weeks(teams: Teams) -> None:
    merged = {1: "03-02 10:00:01", 2: "03-03 10:00:01", 3: "03-04 10:00:01", 4: "03-09 10:00:10"}
    for number, at in merged.items():
        record_steps(PullRequestSteps(number, "ben").opened(f"{at[:-2]}00").merged(at).steps)
    month = Window(start=date(2026, 3, 1), end=date(2026, 4, 1), time_zone="UTC")
    by_week = [read_figure("cycle_time", FigureQuery(team=teams["acme"], window=week)).n for week in month.weeks()]
    assert by_week == [0, 3, 1, 0, 0, 0]
    assert read_figure("cycle_time", FigureQuery(team=teams["acme"], window=month)).median == 1


def test_a_merge_late_on_sunday_belongs_to_the_local_week(teams: Teams) -> None:
    record_steps(PullRequestSteps(1, "ben").opened("03-08 10:00").merged("03-09 03:30").steps)
    for zone, monday in ((NEW_YORK, date(2026, 3, 2)), ("UTC", date(2026, 3, 9))):
        week = Window(start=monday, end=monday + timedelta(days=7), time_zone=zone)
        assert read_figure("prs_merged", FigureQuery(team=teams["acme"], window=week)).value == 1
        assert read_figure("prs_merged", FigureQuery(team=teams["acme"], window=week.previous())).value == 0


def test_a_week_in_which_the_clocks_go_forward_has_seven_days() -> None:
    week = Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone=NEW_YORK)
    assert (week.start_at, week.end_at) == (instant("03-02 05:00"), instant("03-09 04:00"))
    assert week.end_at - week.start_at == timedelta(hours=167)
    assert week.days == 7 == len(list(week.each_day()))
    assert week.days_begun(instant("03-09 03:59:59")) == 7
    assert week.days_begun(instant("03-02 05:00")) == 1
    assert week.days_begun(instant("03-02 04:59:59")) == 0


def test_the_last_instant_belongs_to_the_next_window_only(teams: Teams) -> None:
    record_steps(PullRequestSteps(1, "ben").opened("03-08 10:00").merged("03-09 04:00").steps)
    week = Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone=NEW_YORK)
    following = Window(start=date(2026, 3, 9), end=date(2026, 3, 16), time_zone=NEW_YORK)
    assert read_figure("prs_merged", FigureQuery(team=teams["acme"], window=week)).value == 0
    assert read_figure("prs_merged", FigureQuery(team=teams["acme"], window=following)).value == 1


def test_the_last_days_are_those_of_the_zone() -> None:
    now = datetime(2026, 3, 9, 3, 30, tzinfo=UTC)
    window = Window.named("7d", time_zone=NEW_YORK, now=now)
    assert (window.start, window.end) == (date(2026, 3, 2), date(2026, 3, 9))


@pytest.mark.parametrize("name", ["", "d", "0d", "-7d", "7", "7w", "99999d", "²d"])
def test_an_invalid_window_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="7d or 90d"):
        Window.named(name, time_zone="UTC")


def churning() -> PullRequestSteps:
    return (
        PullRequestSteps(1, "ana")
        .opened("03-02 10:00", draft=True)
        .ready("03-02 12:00")
        .drafted("03-02 13:00")
        .ready("03-02 15:00")
        .reviewed("03-02 16:00", "ben")
        .merged("03-02 18:00")
    )


def test_draft_churn(teams: Teams) -> None:
    record_steps(churning().steps)
    query = FigureQuery(team=teams["acme"], window=DAY)
    found = {key: read_figure(key, query).value for key in ("time_in_draft", "time_to_first_review", "cycle_time")}
    assert found == {"time_in_draft": 4 * 3600, "time_to_first_review": 4 * 3600, "cycle_time": 6 * 3600}


def test_draft_churn_seen_while_it_lasts(teams: Teams) -> None:
    """Asked at 14:00 it has been a draft for three hours, whether the rest is known by then or not."""
    known_by_then, rest = churning().steps[:3], churning().steps[3:]
    query = FigureQuery(team=teams["acme"], window=DAY, as_of=instant("03-02 14:00"))
    record_steps(known_by_then)
    assert read_figure("time_in_draft", query).value == 3 * 3600
    assert read_figure("wip", query).value == 0
    record_steps(rest)
    assert read_figure("time_in_draft", query).value == 3 * 3600
    assert read_figure("wip", query).value == 0


def test_a_review_while_it_still_is_a_draft_takes_no_time(teams: Teams) -> None:
    tale = PullRequestSteps(1, "ana").opened("03-02 10:00", draft=True).reviewed("03-02 11:00", "ben")
    query = FigureQuery(team=teams["acme"], window=DAY)
    record_steps(tale.steps)
    assert read_figure("time_to_first_review", query).n == 0
    record_steps(tale.ready("03-02 12:00").steps)
    reading = read_figure("time_to_first_review", query)
    assert (reading.value, reading.n, reading.remarks) == (0, 1, {"reviewed_in_draft": 1})
    [entity] = list_entities("time_to_first_review", query)
    assert (entity.at, entity.flags) == (instant("03-02 12:00"), ("opened_as_draft", "reviewed_in_draft"))


def test_work_in_progress_and_its_age_at_an_instant(teams: Teams) -> None:
    record_steps(PullRequestSteps(1, "ana").opened("03-02 10:00").merged("03-02 18:00").steps)
    record_steps(PullRequestSteps(2, "ben").opened("03-02 11:00").closed("03-02 12:00").reopened("03-02 14:00").steps)
    record_steps(PullRequestSteps(3, "cy").opened("03-02 09:00", draft=True).steps)
    ages = {}
    for hour in (11, 13, 15, 19):
        query = FigureQuery(team=teams["acme"], window=DAY, as_of=instant(f"03-02 {hour}:30"))
        ages[hour] = sorted(entity.value for entity in list_entities("age", query) if entity.value is not None)
        assert read_figure("wip", query).value == len(ages[hour])
    assert ages == {11: [1800, 5400], 13: [3.5 * 3600], 15: [4.5 * 3600, 5.5 * 3600], 19: [8.5 * 3600]}


def assert_comes_to(query: FigureQuery, expected: Mapping[str, Mapping[str, Any]]) -> None:
    for key, values in expected.items():
        reading = read_figure(key, query).as_dict()
        assert {name: reading[name] for name in values} == values, key


def test_humans_in_the_week(worked_example: Teams) -> None:
    assert_comes_to(FigureQuery(team=worked_example["acme"], window=WEEK), HUMANS)


def test_bots_are_separable(worked_example: Teams) -> None:
    assert_comes_to(FigureQuery(team=worked_example["acme"], window=WEEK, bots=Bots.INCLUDE), WITH_BOTS)
    assert_comes_to(FigureQuery(team=worked_example["acme"], window=WEEK, bots=Bots.ONLY), BOTS_ONLY)


def test_no_figure_comes_to_a_naive_value(worked_example: Teams) -> None:
    query = FigureQuery(team=worked_example["acme"], window=WEEK)
    for key, wrong in WRONG_VALUES.items():
        reading = read_figure(key, query).as_dict()
        for name, value in wrong:
            assert reading[name] != pytest.approx(value, abs=1e-6), f"{key} {name}"


def test_a_closing_counts_for_as_long_as_it_held(worked_example: Teams) -> None:
    query = FigureQuery(team=worked_example["acme"], window=WEEK, as_of=WHILE_THREE_WAS_CLOSED)
    assert read_figure("closed_unmerged", query).value == 1
    assert [entity.number for entity in list_entities("closed_unmerged", query)] == [3]
    assert read_figure("prs_merged", query).value == 2  # 3, 5 and 6 were not merged yet
    assert read_figure("deployment_frequency", query).denominator == 3  # nor had the other days begun


def test_work_counts_for_the_team_of_its_day(worked_example: Teams) -> None:
    for slug, numbers in MERGED_BY_TEAM.items():
        query = FigureQuery(team=worked_example[slug], window=WEEK)
        assert {entity.number for entity in list_entities("prs_merged", query)} == numbers, slug
        assert read_figure("prs_merged", query).value == len(numbers)
    assert read_figure("prs_merged", FigureQuery(team=worked_example["acme"], window=WEEK)).value == 5


def test_work_may_be_counted_for_those_who_are_in_the_team_now(worked_example: Teams) -> None:
    found = {}
    for slug in MERGED_BY_TEAM:
        query = FigureQuery(team=worked_example[slug], window=WEEK, attribution=Attribution.CURRENT)
        found[slug] = {entity.number for entity in list_entities("prs_merged", query)}
    assert found == {"alpha": {2, 5, 6}, "beta": {1, 3}, "platform": {2, 6}}


def test_deployments_count_for_every_team_of_the_repository(worked_example: Teams) -> None:
    for team in worked_example.values():
        assert read_figure("deployments", FigureQuery(team=team, window=WEEK)).value == 4


def test_the_first_commit_comes_with_the_pushes_of_the_branch(worked_example: Teams) -> None:
    rows = DerivedPullRequest.objects.all()
    assert dict(rows.values_list("number", "first_commit_at")) == FIRST_COMMITS
    assert dict(rows.values_list("number", "review_rounds")) == ROUNDS
    for flag, numbers in FLAGS.items():
        assert set(rows.filter(**{flag: True}).values_list("number", flat=True)) == numbers, flag


@pytest.mark.parametrize(
    ("slug", "bots"),
    [*(("acme", bots) for bots in Bots), *((slug, Bots.INCLUDE) for slug in fixture_a.MEMBERS)],
)
def test_the_list_behind_a_figure_is_exactly_what_it_counts(worked_example: Teams, slug: str, bots: Bots) -> None:
    query = FigureQuery(team=worked_example[slug], window=WEEK, bots=bots)
    for key in HUMANS:
        listed = list_entities(key, query)
        assert len(listed) == count_entities(key, query) == read_figure(key, query).n, key
        assert len({(entity.kind, entity.name) for entity in listed}) == len(listed), key
        assert [entity.at for entity in listed] == sorted((entity.at for entity in listed), reverse=True)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(2, 6))])
def test_any_order_with_repeats_comes_to_the_same(teams: Teams, seed: int) -> None:
    luck = random.Random(seed)  # noqa: S311  an order, not a secret
    steps = fixture_a.steps()
    told = [*steps, *luck.sample(steps, k=len(steps) // 2)]
    luck.shuffle(told)
    for step in told:
        record_facts(*step)
        if luck.random() < 0.3:
            drain(seconds=60)
    drain(seconds=60)
    assert_comes_to(FigureQuery(team=teams["acme"], window=WEEK), HUMANS)
    assert_equals_rebuild()


@pytest.mark.proof
def test_after_every_step_the_rows_are_those_of_a_rebuild(teams: Teams) -> None:
    for step in fixture_a.steps():
        record_facts(*step)
        drain(seconds=60)
        assert_equals_rebuild()
    assert derived_tables()["deployments"]


def test_a_deployment_that_arrives_late_counts(worked_example: Teams) -> None:
    record_steps(deployed(108, statuses={"success": "03-04 08:00"}, sha="merge-4"))
    query = FigureQuery(team=worked_example["acme"], window=WEEK)
    assert read_figure("deployments", query).value == 5
    assert read_figure("deployment_frequency", query).remarks == {"deployment_days": 4}
    assert read_figure("change_failure_rate", query).value == 1 / 5
    assert read_figure("lead_time", query).value == 27 * HOUR
    everybody = FigureQuery(team=worked_example["acme"], window=WEEK, bots=Bots.INCLUDE)
    assert read_figure("lead_time", everybody).value == pytest.approx(17.0167 * HOUR, abs=1)
    fourth = DerivedShipment.objects.get(number=4)
    assert fourth.lead_seconds == pytest.approx(7.0333 * HOUR, abs=1)
    assert_equals_rebuild()


def test_without_a_baseline_what_was_merged_before_the_first_deployment_has_no_lead_time(teams: Teams) -> None:
    record_steps(fixture_a.steps(has_baseline=False))
    query = FigureQuery(team=teams["acme"], window=WEEK)
    reading = read_figure("lead_time", query, asked=Asked(has_exclusions=True))
    assert (reading.n, reading.value, reading.excluded) == (3, 32.5 * HOUR, {"bot": 1, "baseline_unknown": 2})
    listed = list_entities("lead_time", query, listing=Listing(excluded="baseline_unknown"))
    assert {entity.number for entity in listed} == {1, 2}
    baseline = fixture_a.deployments()[:3]
    record_steps(baseline)
    assert_comes_to(query, HUMANS)
    assert_equals_rebuild()


def test_seen_before_the_deployment_it_has_no_lead_time_yet(worked_example: Teams) -> None:
    query = FigureQuery(team=worked_example["acme"], window=WEEK, as_of=instant("03-05 18:59"))
    reading = read_figure("lead_time", query, asked=Asked(has_exclusions=True))
    assert (reading.n, reading.excluded) == (4, {"bot": 1, "not_deployed": 1})
    assert read_figure("change_failure_rate", query).value == 0
    assert read_figure("failed_deployment_recovery_time", query).value is None


@pytest.mark.parametrize(
    ("login", "kind", "expected"),
    [
        ("talbot", "user", "human"),
        ("acme-robot", "user", "bot"),
        ("acme-bot", "user", "bot"),
        ("acme_bot", "user", "bot"),
        ("dependabot[bot]", "bot", "bot"),
        ("weblate", "user", "bot"),
        ("Copilot", "bot", "agent"),
        ("copilot-swe-agent", "bot", "agent"),
        ("copilot-swe-agent[bot]", "bot", "agent"),
        ("copilot-pull-request-reviewer[bot]", "bot", "bot"),
        ("cursoragent", "user", "agent"),
    ],
)
def test_an_account_has_one_class(teams: Teams, login: str, kind: str, expected: str) -> None:
    record_facts(facts.ContributorProfile(stamp=stamp(instant("03-01 00:00")), github_id=1, login=login, kind=kind))
    record_steps(PullRequestSteps(1, "ana").opened("03-02 10:00").steps)
    record_facts(facts.ContributorProfile(stamp=stamp(instant("03-03 00:00")), github_id=1, login=login, kind=kind))
    assert drain(seconds=60)
    row = DerivedPullRequest.objects.get()
    assert (row.author_class, row.is_bot_author) == (expected, expected != "human")


def test_a_robot_with_the_account_of_a_user_does_not_end_the_wait_for_a_review(teams: Teams) -> None:
    record_facts(
        facts.ContributorProfile(stamp=stamp(instant("03-01 00:00")), github_id=3, login="acme-robot", kind="user")
    )
    tale = (
        PullRequestSteps(1, "ana").opened("03-02 10:00").reviewed("03-02 10:00:05", "cy").reviewed("03-02 14:00", "ben")
    )
    record_steps(tale.steps)
    record_facts(
        facts.ContributorProfile(stamp=stamp(instant("03-03 00:00")), github_id=3, login="acme-robot", kind="user")
    )
    assert drain(seconds=60)
    assert read_figure("time_to_first_review", FigureQuery(team=teams["acme"], window=DAY)).value == 4 * 3600


def test_deleted_accounts_stay_in_their_team_and_bots_stay_bots(teams: Teams) -> None:
    for number, login in ((1, "ana"), (2, "dependabot[bot]")):
        tale = PullRequestSteps(number, login).opened("03-02 10:00").merged("03-02 11:00")
        record_steps(tale.steps)
        tale.state["author_id"] = None
        record_steps(tale.reopened("03-02 12:00").steps[-1:])
    for bots, slug, expected in ((Bots.EXCLUDE, "alpha", 1), (Bots.ONLY, "acme", 1), (Bots.INCLUDE, "acme", 2)):
        query = FigureQuery(team=teams[slug], window=DAY, bots=bots)
        assert read_figure("prs_merged", query).value == expected, bots
