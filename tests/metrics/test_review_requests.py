"""Review turnaround and first responses, and cherry-picked commits."""

import random
from collections.abc import Sequence
from datetime import date

import pytest

from apps.activity import facts
from apps.metrics.figures import Asked, Bots, FigureQuery, FigureReading, Window, list_entities, read_figure
from apps.metrics.figures.entities import Listing
from apps.metrics.models import DerivedPullRequest, DerivedReviewRequest
from apps.metrics.recalculation import drain
from apps.teams.models import AccountRule, Team
from tests.activity.statements import filled
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.steps import (
    API,
    EPOCH,
    PullRequestSteps,
    Step,
    commit,
    instant,
    person,
    pushed,
    record_facts,
    record_steps,
    repository,
    stamp,
)

pytestmark = pytest.mark.django_db
Teams = dict[str, Team]
HOUR = 3600
WEEK = Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone="UTC")


def read(key: str, team: Team, *, as_of: str = "03-20 00:00", bots: Bots = Bots.EXCLUDE) -> FigureReading:
    query = FigureQuery(team=team, window=WEEK, as_of=instant(as_of), bots=bots)
    return read_figure(key, query, asked=Asked(has_exclusions=True))


def record_in_any_order(steps: Sequence[Step], *, seed: int) -> None:
    """Every step, a third of them twice, in a random order, recalculated at random moments."""
    chance = random.Random(seed)  # noqa: S311  a repeatable shuffle
    told = [*steps, *chance.sample(list(steps), k=len(steps) // 3)]
    chance.shuffle(told)
    for step in told:
        record_facts(*step)
        if chance.random() < 0.5:
            drain(seconds=60)
    assert drain(seconds=60)
    assert_equals_rebuild()


def spells() -> list[tuple[str | None, ...]]:
    """Every request, as minutes of an hour: requested, answered, withdrawn."""
    rows = DerivedReviewRequest.objects.order_by("requested_at", "subject")
    times = rows.values_list("requested_at", "answered_at", "withdrawn_at")
    return [tuple(at and f"{at:%H:%M}" for at in row) for row in times]


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("09:00 requested, 11:00 reviewed", [("09:00", "11:00", None)]),
        ("09:00 requested", [("09:00", None, None)]),
        ("08:00 reviewed, 09:00 requested", [("09:00", None, None)]),
        ("09:00 requested, 10:00 withdrawn, 11:00 reviewed", [("09:00", None, "10:00")]),
        ("09:00 requested, 10:00 requested, 11:00 reviewed, 12:00 reviewed", [("09:00", "11:00", None)]),
        (
            "09:00 requested, 11:00 reviewed, 12:00 requested, 14:00 reviewed",
            [("09:00", "11:00", None), ("12:00", "14:00", None)],
        ),
        (
            "09:00 requested, 10:00 withdrawn, 12:00 requested, 13:00 reviewed",
            [("09:00", None, "10:00"), ("12:00", "13:00", None)],
        ),
        ("09:00 requested, 09:00 withdrawn, 11:00 reviewed", [("09:00", "11:00", None)]),
        ("09:00 withdrawn, 10:00 reviewed", []),
        ("09:00 requested, 12:00 merged, 13:00 reviewed", [("09:00", "13:00", None)]),
    ],
)
def test_a_request_lasts_until_the_next_review_or_its_withdrawal(
    story: str, expected: list[tuple[str | None, ...]]
) -> None:
    life = PullRequestSteps(1, "ana").opened("03-02 07:00")
    for said in story.split(", "):
        at, verb = said.split()
        getattr(life, verb)(f"03-02 {at}", *(() if verb == "merged" else ("ben",)))
    record_in_any_order(life.steps, seed=1)
    assert spells() == expected


def test_the_same_request_by_webhook_and_by_the_api_is_one_at_its_own_time() -> None:
    life = PullRequestSteps(1, "ana").opened("03-02 07:00")
    life.requested("03-02 09:00:00", "ben", source="api").requested("03-02 09:00:08", "ben")
    life.withdrawn("03-02 09:00:03", "ben", source="api").requested("03-02 09:00:05", "ben", source="api")
    life.reviewed("03-02 11:00:05", "ben")
    record_in_any_order(life.steps, seed=2)
    rows = DerivedReviewRequest.objects.order_by("requested_at").values_list("requested_at", "answer_seconds")
    assert list(rows) == [(instant("03-02 09:00"), None), (instant("03-02 09:00:05"), 2 * HOUR)]


def requests() -> list[Step]:
    """Fixture G14, with requests that do not count beside it."""
    life = (
        PullRequestSteps(1, "ana")
        .opened("03-02 08:00")
        .requested("03-02 09:00", "ben")
        .requested("03-02 09:00", "cy")
        .requested("03-02 09:00", "talbot")
        .requested("03-02 09:30", "team:77")
        .requested("03-02 09:00", "coderabbitai[bot]")
        .reviewed("03-02 09:01", "coderabbitai[bot]", "commented")
        .reviewed("03-02 11:00", "ben")
        .withdrawn("03-02 12:00", "talbot")
        .reviewed("03-02 12:30", "talbot", "commented")
        .reviewed("03-02 13:00", "cy", "changes_requested")
        .requested("03-02 14:00", "cy")
        .merged("03-02 18:00")
    )
    return life.steps


@pytest.mark.parametrize("seed", range(4))
def test_turnaround_is_from_a_request_to_that_reviewers_review(teams: Teams, seed: int) -> None:
    record_in_any_order(requests(), seed=seed)
    reading = read("review_turnaround", teams["acme"])
    assert (reading.value, reading.n, reading.mean) == (3 * HOUR, 2, 3 * HOUR)
    assert reading.excluded == {"bot": 1, "not_answered": 1, "withdrawn": 1, "requested_of_team": 1}
    assert read("review_turnaround", teams["acme"], bots=Bots.INCLUDE).n == 3
    assert (read("review_turnaround", teams["beta"]).value, read("review_turnaround", teams["beta"]).n) == (4 * HOUR, 1)
    query = FigureQuery(team=teams["acme"], window=WEEK)
    counted = list_entities("review_turnaround", query)
    assert [(one.kind, one.number, one.account, one.value) for one in counted] == [
        ("review_request", 1, "cy", 4 * HOUR),
        ("review_request", 1, "ben", 2 * HOUR),
    ]
    left_out = {
        reason: [one.account for one in list_entities("review_turnaround", query, listing=Listing(excluded=reason))]
        for reason in ("bot", "not_answered", "withdrawn", "requested_of_team")
    }
    assert left_out == {
        "bot": ["coderabbitai[bot]"],
        "not_answered": ["cy"],
        "withdrawn": ["talbot"],
        "requested_of_team": [""],
    }


def test_what_comes_later_changes_no_earlier_turnaround(teams: Teams) -> None:
    instants = ("03-02 10:00", "03-02 11:30", "03-02 12:15", "03-02 13:30")

    def seen() -> list[tuple[object, ...]]:
        readings = [read("review_turnaround", teams["acme"], as_of=at) for at in instants]
        return [(one.value, one.n, (one.excluded or {}).get("not_answered", 0)) for one in readings]

    steps = requests()
    found = []
    for place, at in enumerate(instants):
        record_steps([step for step in steps if _at(step) <= instant(at)])
        found.append(seen()[place])
    record_steps(steps)
    assert seen() == found == [(None, 0, 3), (2 * HOUR, 1, 2), (2 * HOUR, 1, 1), (3 * HOUR, 2, 0)]


def _at(step: Step) -> object:
    [state] = [fact for fact in step if isinstance(fact, facts.PullRequestCore)]
    return state.updated_at


def test_a_reviewer_who_turns_out_to_be_a_bot_does_not_count(teams: Teams) -> None:
    record_steps(requests())
    rule = AccountRule.objects.create(contributor_id=person("ben"), account_class="bot")
    assert drain(seconds=60)
    assert read("review_turnaround", teams["acme"]).value == 4 * HOUR
    assert_equals_rebuild()
    rule.delete()
    asked = PullRequestSteps(2, "ana").opened("03-03 08:00").requested("03-03 09:00", "talbot")
    record_steps(asked.steps)
    AccountRule.objects.create(contributor_id=person("talbot"), account_class="bot")  # who was asked, no more
    assert drain(seconds=60)
    assert_equals_rebuild()


@pytest.mark.parametrize("seed", range(3))
def test_the_first_response_is_a_review_or_a_comment_by_another_human(teams: Teams, seed: int) -> None:
    first = (
        PullRequestSteps(1, "ana")
        .opened("03-02 08:00", draft=True)
        .commented("03-02 08:01", "coderabbitai[bot]")
        .ready("03-02 09:00")
        .commented("03-02 09:30", "ana")
        .commented("03-02 10:00", "cy")
        .reviewed("03-02 12:00", "ben")
        .merged("03-02 13:00")
        .commented("03-02 14:00", "ben")
    )
    second = PullRequestSteps(2, "ana").opened("03-02 08:00", draft=True).commented("03-02 08:30", "ben")
    second.ready("03-02 09:00").merged("03-02 13:00")
    third = PullRequestSteps(3, "ana").opened("03-02 08:00").merged("03-02 09:00").commented("03-02 10:00", "ben")
    on_issue = filled(
        facts.IssueCommentState,
        stamp=stamp(instant("03-02 08:01")),
        github_id=1,
        repository_id=API,
        number=1,
        is_on_pull_request=False,
        author_id=person("ben"),
        created_at=instant("03-02 09:01"),
    )
    record_in_any_order([*first.steps, *second.steps, *third.steps, (repository(), on_issue)], seed=seed)
    response, review = (read(f"time_to_first_{what}", teams["acme"]) for what in ("response", "review"))
    assert (response.n, response.median, response.remarks) == (2, HOUR / 2, {"responded_in_draft": 1})
    assert (review.n, review.value) == (1, 3 * HOUR)
    assert response.excluded == {"merged_without_response": 1}


def test_a_deleted_comment_is_no_response(teams: Teams) -> None:
    life = (
        PullRequestSteps(1, "ana").opened("03-02 08:00").commented("03-02 09:00", "cy").commented("03-02 10:00", "ben")
    )
    record_steps(life.steps)
    assert read("time_to_first_response", teams["acme"]).value == HOUR
    comment_id = (API * 1000 + 1) * 100 + 1
    deleted = facts.IssueCommentDeleted(
        github_id=comment_id, repository_id=API, number=1, deleted_at=instant("03-02 11:00")
    )
    record_steps([(deleted,)])
    assert read("time_to_first_response", teams["acme"]).value == 2 * HOUR
    AccountRule.objects.create(contributor_id=person("ben"), account_class="bot")
    assert drain(seconds=60)
    assert read("time_to_first_response", teams["acme"]).n == 0
    assert_equals_rebuild()


def copied(sha: str, *, authored: str, committed: str) -> facts.CommitContent:
    told = commit(sha, authored)
    values = {name: getattr(told, name) for name in told.__slots__} | {"stamp": stamp(EPOCH)}
    return facts.CommitContent(**values | {"committed_at": instant(committed)})


def backport(*, original_landed: str, committed: str, by_push: bool) -> list[Step]:
    """Fixture G9: a commit of half a year ago, on the branch of another release."""
    authored = "2025-09-01 10:00"
    landed = pushed(original_landed, branch="main", after="original", commits={"original": authored})
    life = PullRequestSteps(1, "ana", base="release").opened("03-02 10:00", head="copy").merged("03-02 12:00")
    if by_push:
        [repository_fact, made, _] = pushed("03-02 09:30", branch="branch-1", after="copy", commits={"copy": authored})
        return [landed, *life.steps, (repository_fact, made, copied("copy", authored=authored, committed=committed))]
    listed = filled(
        facts.PullRequestCommitted,
        repository_id=API,
        number=1,
        head_sha="copy",
        sha="copy",
        authored_at=instant(authored),
        committed_at=instant(committed),
        author_id=None,
        position=1,
        is_by_author=1,
    )
    return [landed, *life.steps, (repository(), listed)]


@pytest.mark.parametrize("by_push", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_cherry_picked_commit_counts_by_its_committer_date(teams: Teams, seed: int, by_push: bool) -> None:
    record_in_any_order(
        backport(original_landed="2025-09-02 10:00", committed="03-02 09:00", by_push=by_push), seed=seed
    )
    assert read("coding_time", teams["acme"]).value == HOUR
    [entity] = list_entities("prs_merged", FigureQuery(team=teams["acme"], window=WEEK))
    assert entity.flags == ("cherry_picked",)


@pytest.mark.parametrize("by_push", [True, False])
def test_a_commit_that_lands_last_makes_what_copied_it_a_backport(teams: Teams, by_push: bool) -> None:
    landed, *rest = backport(original_landed="2025-09-02 10:00", committed="03-02 09:00", by_push=by_push)
    record_steps(rest)
    assert not DerivedPullRequest.objects.get().is_cherry_picked
    record_steps([landed])
    assert DerivedPullRequest.objects.get().is_cherry_picked
    assert_equals_rebuild()


@pytest.mark.parametrize(
    ("original_landed", "committed"),
    [
        ("03-02 12:00", "03-02 09:00"),  # the copy came first: main got the commits of the pull request by a rebase
        ("2025-09-02 10:00", "2025-09-01 10:00"),  # committed as it was authored: no copy
    ],
)
@pytest.mark.parametrize("by_push", [True, False])
def test_what_is_no_copy_of_a_commit_on_main_counts_by_its_author_date(
    original_landed: str, committed: str, by_push: bool
) -> None:
    record_steps(backport(original_landed=original_landed, committed=committed, by_push=by_push))
    row = DerivedPullRequest.objects.get()
    assert (row.first_commit_at, row.is_cherry_picked) == (instant("2025-09-01 10:00"), False)
    assert_equals_rebuild()
