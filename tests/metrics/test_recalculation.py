"""Derived rows follow the facts, whatever changes and whenever it arrives."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.activity import facts
from apps.activity.models import Change, Contributor
from apps.metrics.figures import Bots, FigureQuery, read_figure
from apps.metrics.models import DerivedCommit, DerivedPullRequest, TeamFreshness
from apps.metrics.recalculation import drain, recalculate_batch
from apps.teams.models import AccountRule, Team, TeamMember
from tests.activity.statements import filled
from tests.metrics import fixture_a
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.fixture_a_expectations import WEEK
from tests.metrics.steps import (
    API,
    EPOCH,
    PullRequestSteps,
    commit,
    deployed,
    instant,
    person,
    profile,
    pushed,
    record_facts,
    record_steps,
    repository,
    run_of,
    stamp,
)

Teams = dict[str, Team]


def value(key: str, team: Team, *, bots: Bots = Bots.EXCLUDE) -> float | None:
    return read_figure(key, FigureQuery(team=team, window=WEEK, bots=bots)).value


@pytest.mark.django_db
def test_an_account_rule_counts_a_bot_as_a_human(worked_example: Teams) -> None:
    rule = AccountRule.objects.create(contributor_id=person("dependabot[bot]"), account_class="human")
    assert drain(seconds=60)
    assert value("prs_merged", worked_example["acme"]) == 6
    assert value("cycle_time", worked_example["acme"]) == 4.5 * 3600
    assert value("commits", worked_example["acme"]) == 6
    assert_equals_rebuild()
    rule.delete()
    assert drain(seconds=60)
    assert value("prs_merged", worked_example["acme"]) == 5
    assert_equals_rebuild()


@pytest.mark.django_db
def test_an_account_rule_on_a_reviewer_moves_the_first_review(worked_example: Teams) -> None:
    AccountRule.objects.create(contributor_id=person("ben"), account_class="bot")
    assert drain(seconds=60)
    assert DerivedPullRequest.objects.get(number=5).first_review_at is None
    assert value("reviews", worked_example["acme"]) == 2  # ana's of 3 and cy's of 6
    assert_equals_rebuild()


@pytest.mark.django_db
def test_a_member_who_is_added_counts_from_the_day_on(worked_example: Teams) -> None:
    member = TeamMember.objects.create(
        team=worked_example["platform"], contributor_id=person("cy"), from_at=instant("03-05 11:00")
    )
    assert value("prs_merged", worked_example["platform"]) == 3
    member.from_at = instant("03-05 11:00:01")
    member.save()
    assert value("prs_merged", worked_example["platform"]) == 2


@pytest.mark.django_db
def test_a_team_edit_is_noted(teams: Teams) -> None:
    drain(seconds=60)
    before = TeamFreshness.objects.get(team=teams["alpha"]).changed_at
    teams["alpha"].time_zone = "Europe/Berlin"
    teams["alpha"].save()
    drain(seconds=60)
    assert TeamFreshness.objects.get(team=teams["alpha"]).changed_at > before


@pytest.mark.django_db
def test_an_account_that_turns_out_to_be_a_bot_is_one_everywhere(teams: Teams) -> None:
    tale = PullRequestSteps(1, "ana").opened("03-02 10:00").reviewed("03-02 11:00", "cy").merged("03-02 12:00")
    record_steps([*tale.steps, pushed("03-02 12:00", branch="main", after="m1", commits={"m1": "03-02 11:00"})])
    assert (value("prs_merged", teams["acme"]), value("commits", teams["acme"])) == (1, 1)
    record_steps([(profile("ana", kind="bot", at=instant("03-03 00:00")),)])
    assert (value("prs_merged", teams["acme"]), value("commits", teams["acme"])) == (0, 0)
    assert_equals_rebuild()


@pytest.mark.django_db
def test_a_login_that_becomes_known_names_the_author_of_its_commits() -> None:
    record_steps([pushed("03-02 12:00", branch="main", after="m1", commits={"m1": "03-02 11:00"}, login="Ana")])
    assert DerivedCommit.objects.get().author_id is None
    record_steps([(profile("ana"),)])
    assert DerivedCommit.objects.get().author_id == person("ana")
    renamed = facts.ContributorProfile(
        stamp=stamp(instant("03-03 00:00")), github_id=person("ana"), login="anna", kind="user"
    )
    record_steps([(renamed,)])
    assert_equals_rebuild()


@pytest.mark.django_db
def test_an_account_that_is_only_seen_again_does_not_move_the_authorship_of_its_login() -> None:
    record_steps([pushed("03-02 12:00", branch="main", after="m1", commits={"m1": "03-02 11:00"}, login="ana")])
    first, second = (
        facts.ContributorProfile(stamp=stamp(instant(seen)), github_id=github_id, login="ana", kind="user")
        for github_id, seen in ((71, "03-03 00:00"), (72, "03-04 00:00"))
    )
    record_steps([(first,), (second,)])
    seen_again = facts.ContributorProfile(
        stamp=stamp(instant("03-05 00:00")), github_id=first.github_id, login="ana", kind="user"
    )
    record_steps([(seen_again,)])
    assert DerivedCommit.objects.get().author_id == second.github_id
    assert_equals_rebuild()


@pytest.mark.django_db
@pytest.mark.parametrize("learned_first", [True, False])
def test_a_run_id_learned_late_makes_two_deployments_one(teams: Teams, learned_first: bool) -> None:
    first = deployed(201, statuses={"failure": "03-03 10:00"})
    second = deployed(202, statuses={"success": "03-03 11:00"})
    learned = [(repository(), *run_of(201, 77)), (repository(), *run_of(202, 77))]
    told = [first, learned, second] if learned_first else [first, second, learned]
    for steps in told:
        record_steps(steps)
        assert_equals_rebuild()
    assert value("deployments", teams["acme"]) == 1


@pytest.mark.django_db
def test_the_last_attempt_of_a_run_counts_whichever_arrives_first(teams: Teams) -> None:
    record_steps(deployed(202, statuses={"success": "03-03 11:00", "inactive": "03-03 12:00"}, run_id=77))
    assert value("deployments", teams["acme"]) == 1
    record_steps(deployed(201, statuses={"failure": "03-03 10:00"}, run_id=77))
    assert value("deployments", teams["acme"]) == 1
    assert_equals_rebuild()


@pytest.mark.django_db
def test_production_is_what_the_team_says(teams: Teams) -> None:
    record_steps(deployed(201, statuses={"success": "03-03 10:00"}, environment="Blue"))
    assert value("deployments", teams["acme"]) is None
    teams["acme"].production_environments = ["blue"]
    teams["acme"].save()
    assert value("deployments", teams["acme"]) == 1


@pytest.mark.django_db
def test_merges_are_left_out_as_soon_as_they_are_known(teams: Teams) -> None:
    record_steps([pushed("03-02 12:00", branch="main", after="m1", commits={"m1": "03-02 11:00"})])
    reading = read_figure("commits", FigureQuery(team=teams["acme"], window=WEEK))
    assert (reading.value, reading.remarks) == (1, {"merges_not_known": 1})
    record_steps([(facts.CommitParents(repository_id=API, sha="m1", parent_count=2, author_id=None),)])
    reading = read_figure("commits", FigureQuery(team=teams["acme"], window=WEEK))
    assert (reading.value, reading.remarks) == (0, {"merges_not_known": 0})


@pytest.mark.django_db
def test_a_branch_used_again_begins_where_the_last_merge_ended() -> None:
    first = PullRequestSteps(1, "ana", branch="develop").opened("03-02 10:00", head="d1").merged("03-02 12:00")
    second = PullRequestSteps(2, "ana", branch="develop").opened("03-04 10:00", head="d2").merged("03-04 12:00")
    steps = [
        pushed("03-04 09:30", branch="develop", before="d1", after="d2", commits={"d2": "03-04 09:00"}),
        *second.steps,
        pushed("03-02 09:30", branch="develop", after="d1", commits={"d1": "03-02 09:00"}),
    ]
    record_steps(steps)
    assert DerivedPullRequest.objects.get(number=2).first_commit_at == instant("03-02 09:00")
    record_steps(first.steps)  # its merge arrives last, and ends the walk of the second
    assert DerivedPullRequest.objects.get(number=2).first_commit_at == instant("03-04 09:00")
    assert_equals_rebuild()


@pytest.mark.django_db
def test_commits_merged_in_from_main_are_never_the_first_commit() -> None:
    record_steps([pushed("02-20 12:00", branch="main", after="m1", commits={"m1": "02-20 11:00"})])
    record_steps(PullRequestSteps(1, "ana").opened("03-02 10:00", head="h1").steps)
    record_steps([pushed("03-02 09:00", branch="branch-1", after="h1", commits={"m1": "02-20 11:00"})])
    assert DerivedPullRequest.objects.get().first_commit_at is None
    assert_equals_rebuild()


@pytest.mark.django_db
def test_a_date_years_before_the_opening_is_bent_and_flagged() -> None:
    record_steps(PullRequestSteps(1, "ana").opened("03-02 10:00", head="h1").steps)
    record_steps([pushed("03-02 09:00", branch="branch-1", after="h1", commits={"h1": "2011-01-01 00:00"})])
    row = DerivedPullRequest.objects.get()
    assert (row.first_commit_at, row.is_first_commit_adjusted) == (instant("2025-03-02 10:00"), True)


@pytest.mark.django_db
def test_a_later_better_commit_corrects_its_pull_request() -> None:
    record_steps(PullRequestSteps(1, "ana").opened("03-02 10:00", head="h1").steps)
    record_steps([pushed("03-02 09:00", branch="branch-1", after="h1", commits={"h1": "03-02 08:00"})])
    told = commit("h1", "03-02 07:00")
    better = facts.CommitContent(
        **{name: getattr(told, name) for name in told.__slots__}
        | {"repository_id": API, "stamp": facts.Stamp(source_updated_at=EPOCH, translator_version=2)}
    )
    record_steps([(better,)])
    assert DerivedPullRequest.objects.get().first_commit_at == instant("03-02 07:00")
    assert_equals_rebuild()


@pytest.mark.django_db
def test_a_review_of_an_unknown_pull_request_waits_for_it(teams: Teams) -> None:
    tale = PullRequestSteps(1, "ana").opened("03-02 10:00").reviewed("03-02 11:00", "ben")
    only_the_review = tuple(fact for fact in tale.steps[1] if not isinstance(fact, facts.PullRequestCore))
    record_steps([only_the_review])
    assert value("reviews", teams["acme"]) == 0
    record_steps(tale.steps[:1])
    assert (value("reviews", teams["acme"]), value("time_to_first_review", teams["acme"])) == (1, 3600)


@pytest.mark.django_db
def test_dismissed_reviews_count_and_deleted_ones_do_not(teams: Teams) -> None:
    tale = PullRequestSteps(1, "ana").opened("03-02 10:00").reviewed("03-02 11:00", "ben")
    record_steps(tale.steps)
    review = {"github_id": (API * 1000 + 1) * 100 + 1, "repository_id": API, "number": 1}
    record_steps([(facts.ReviewDismissed(**review, dismissed_at=instant("03-02 12:00")),)])
    row = DerivedPullRequest.objects.get()
    assert (row.first_approval_at, value("reviews", teams["acme"])) == (instant("03-02 11:00"), 1)
    record_steps([(facts.ReviewDeleted(**review, deleted_at=instant("03-02 13:00")),)])
    row = DerivedPullRequest.objects.get()
    assert (row.first_review_at, value("reviews", teams["acme"])) == (None, 0)


@pytest.mark.django_db
def test_an_installation_makes_the_team_of_its_account() -> None:
    state = filled(facts.InstallationState, stamp=stamp(EPOCH), github_id=5, account_id=person("acme"))
    record_steps([(state,)])
    assert not Team.objects.exists()  # nobody said yet what the account is called
    record_steps([(profile("acme"),)])
    assert Team.objects.get().slug == "acme"


@pytest.mark.django_db
def test_a_change_that_fails_stays_and_does_not_block_others(teams: Teams) -> None:
    Change.objects.create(kind=Change.Kind.PULL_REQUEST, key="not a key")
    for step in fixture_a.steps():
        record_facts(*step)
    assert drain(seconds=60)
    assert value("prs_merged", teams["acme"]) == 5
    assert Change.objects.get().key == "not a key"


@pytest.mark.django_db
def test_a_change_of_an_unknown_kind_waits_for_a_version_that_knows_it() -> None:
    Change.objects.create(kind="sprint", key="1")
    assert drain(seconds=60)
    assert Change.objects.get().kind == "sprint"


@pytest.mark.django_db
def test_the_greatest_possible_number_of_lines_is_a_valid_size() -> None:
    most = 2**31 - 1
    record_steps([*PullRequestSteps(1, "ana").opened("03-02 10:00").steps])
    stamped = stamp(instant("03-02 11:00"))
    told = filled(facts.PullRequestSizes, stamp=stamped, repository_id=API, number=1, additions=most, deletions=most)
    record_steps([(told,)])
    assert DerivedPullRequest.objects.get().size == 2 * most
    assert not Change.objects.exists()


@pytest.mark.django_db
def test_hundreds_of_pull_requests_cost_as_many_statements_as_one() -> None:
    def statements(numbers: range) -> int:
        for number in numbers:
            record_facts(*PullRequestSteps(number, "ana").opened("03-02 10:00").merged("03-02 12:00").steps[-1])
        with CaptureQueriesContext(connection) as seen:
            assert recalculate_batch(skipped=set())
        return len(seen)

    statements(range(1, 2))
    one, many = statements(range(2, 3)), statements(range(3, 303))
    assert many == one
    assert many < 27


@pytest.mark.django_db
def test_an_account_without_a_profile_counts_as_human() -> None:
    record_steps([PullRequestSteps(1, "ana").opened("03-02 10:00").steps[0][2:]])
    assert Contributor.objects.get(pk=person("ana")).kind == ""
    assert not DerivedPullRequest.objects.get().is_bot_author
