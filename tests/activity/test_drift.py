"""Facts beside the tables before they are recorded: what is missing, what is otherwise, and what is no difference."""

from datetime import timedelta
from typing import Any

import pytest

from apps.activity import facts, models
from apps.activity.comparison import Entity, measure
from tests.activity.statements import (
    MONDAY,
    REPOSITORY_ID,
    at,
    comment,
    comment_deleted,
    core,
    dismissed,
    happened,
    in_history,
    labels,
    landed,
    profile,
    record_facts,
    repository,
    sizes,
    stamp,
    submitted,
    verdict,
)

pytestmark = pytest.mark.django_db
PULL = Entity("pull_request", f"{REPOSITORY_ID}:7")
REVIEW = Entity("review", "501")
LATER = MONDAY + timedelta(days=9)
NOTHING: tuple[set[Entity], set[Entity]] = (set(), set())
LATER_READ = {"stamp": stamp(30, observed=60)}


def off(*given: facts.Fact) -> tuple[set[Entity], set[Entity]]:
    """What is missing, and what is stale."""
    measured = measure(given, settled_before=LATER)
    return set(measured.missing), set(measured.stale)


def test_an_entity_without_a_row_is_missing_once() -> None:
    assert off(core(), sizes(), labels(), happened(), submitted(), verdict()) == ({PULL, REVIEW}, set())


def test_what_only_a_child_named_is_missing() -> None:
    record_facts(submitted())
    assert off(core(), submitted()) == ({PULL}, set())


def test_what_was_recorded_is_no_difference() -> None:
    given = (core(), sizes(), labels(), submitted(), verdict(), dismissed(), comment(), happened())
    record_facts(*given)
    assert off(*given) == NOTHING
    assert {entity.kind for entity in measure(given, settled_before=LATER).seen} == {
        "pull_request",
        "review",
        "issue_comment",
    }


@pytest.mark.parametrize(
    "given",
    [core(**LATER_READ, title="Other"), sizes(**LATER_READ, additions=9), labels(**LATER_READ, labels=("bug",))],
)
def test_a_field_group_that_says_otherwise_is_stale(given: facts.Fact) -> None:
    record_facts(core(), sizes(), labels())
    assert off(given) == (set(), {PULL})


def test_a_field_group_that_never_came_is_stale() -> None:
    record_facts(core())
    assert off(core(), sizes()) == (set(), {PULL})


@pytest.mark.parametrize(
    "given",
    [
        core(**LATER_READ, updated_at=at(99)),
        core(**LATER_READ, author_association="NONE"),
        core(**LATER_READ, author_id=None),
        submitted(**LATER_READ, commit_sha=None),
        profile(),
        repository(),
    ],
)
def test_what_no_webhook_reports_is_no_difference(given: facts.Fact) -> None:
    record_facts(core(), submitted())
    assert off(given) == NOTHING


def test_where_ours_is_newer_nothing_is_stale() -> None:
    record_facts(core(stamp=stamp(90), title="Newer"))
    assert off(core(), core(**LATER_READ)) == NOTHING


def test_what_was_deleted_here_stays_so_and_is_no_difference() -> None:
    record_facts(comment_deleted())
    assert off(comment()) == NOTHING


@pytest.mark.parametrize(
    ("ours", "is_stale"),
    [
        (happened(subject="13"), True),
        (happened(kind="review_request_removed"), True),
        (happened(at=at(60)), True),
        (happened(at=at(13)), False),
    ],
)
def test_an_event_has_a_twin_within_ten_seconds(ours: facts.Fact, is_stale: bool) -> None:
    record_facts(core(), ours)
    assert off(happened(source="api", at=at(10))) == (set(), {PULL} if is_stale else set())


def test_a_webhook_of_a_force_push_is_a_move_of_the_head() -> None:
    record_facts(core(), happened(kind="head_moved", subject="b" * 40, at=at(10)))
    for subject, is_stale in (("b" * 40, False), ("", False), ("c" * 40, True)):
        given = happened(kind="force_pushed", subject=subject, source="api", at=at(8))
        assert off(given) == (set(), {PULL} if is_stale else set())


def committed(sha: str, *, head_sha: str = "a" * 40) -> facts.PullRequestCommitted:
    return facts.PullRequestCommitted(
        repository_id=REPOSITORY_ID,
        number=7,
        head_sha=head_sha,
        sha=sha,
        authored_at=at(0),
        committed_at=at(0),
        author_id=None,
        position=0,
        is_by_author=1,
        trailers=None,
    )


def listed(count: int, **about: Any) -> facts.PullRequestCommitList:
    given: dict[str, Any] = {"listed_head_sha": "a" * 40, "listed_commit_count": count, "stamp": stamp(0), **about}
    return facts.PullRequestCommitList(repository_id=REPOSITORY_ID, number=7, **given)


def test_a_list_of_commits_is_compared_where_ours_claims_to_be_complete_for_the_same_head() -> None:
    record_facts(core())
    assert off(listed(2), committed("1" * 40), committed("2" * 40)) == NOTHING
    record_facts(listed(1), committed("1" * 40))
    assert off(committed("1" * 40)) == NOTHING
    assert off(committed("2" * 40)) == (set(), {PULL})
    assert off(listed(2, **LATER_READ)) == (set(), {PULL})
    assert off(committed("2" * 40, head_sha="b" * 40)) == NOTHING


def test_a_dismissal_may_be_known_some_seconds_late() -> None:
    record_facts(core(), submitted(), verdict())
    assert off(dismissed()) == (set(), {REVIEW})
    record_facts(dismissed(dismissed_at=at(123)))
    assert off(dismissed()) == NOTHING
    assert off(dismissed(dismissed_at=at(100))) == (set(), {REVIEW})


def test_a_landing_that_no_push_reported_is_stale() -> None:
    fact = in_history()
    commit = Entity("commit", f"{fact.repository_id}:{fact.sha}")
    assert off(fact) == ({commit}, set())
    record_facts(repository())
    models.Commit.objects.create(repository_id=REPOSITORY_ID, sha=fact.sha, stamp="0|a push|-|0001|0|x")
    assert off(fact) == (set(), {commit})
    record_facts(landed())
    assert off(fact) == NOTHING


def test_a_pending_recalculation_is_not_a_difference() -> None:
    given = (core(stamp=stamp(500)), happened(at=at(500)), dismissed(dismissed_at=at(500)))
    measured = measure(given, settled_before=at(400))
    assert (measured.missing, measured.stale, measured.seen) == (frozenset(), frozenset(), {PULL, REVIEW})
    assert measure(given, settled_before=at(600)).missing
