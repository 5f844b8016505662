"""When a commit landed: as a push tells, else as history lets presume."""

from itertools import permutations

import pytest

from apps.activity import facts
from apps.metrics.models import DerivedCommit, DerivedPullRequest
from apps.metrics.recalculation import drain
from tests.activity.tables import clear
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.steps import (
    API,
    PullRequestSteps,
    Step,
    commit,
    instant,
    pushed,
    record_facts,
    record_steps,
    repository,
)

pytestmark = pytest.mark.django_db


def in_history(sha: str, presumed: str) -> Step:
    """A commit as a page of history tells it."""
    listed = facts.CommitInHistory(repository_id=API, sha=sha, presumed_landed_at=instant(presumed))
    return (repository(), commit(sha, presumed), listed)


def landing() -> object:
    return DerivedCommit.objects.get().landed_at


def test_without_a_push_a_commit_landed_when_history_lets_presume() -> None:
    record_steps([in_history("m1", "02-01 09:00")])
    assert landing() == instant("02-01 09:00")
    assert_equals_rebuild()


def test_a_push_wins_over_history_whichever_comes_first() -> None:
    push = pushed("03-02 12:00", branch="main", after="m1", commits={"m1": "02-01 09:00"})
    steps = (push, in_history("m1", "02-01 09:00"), in_history("m1", "02-01 08:00"))
    for order in permutations(steps):
        clear()
        DerivedCommit.objects.all().delete()
        for step in order:
            record_facts(*step)
            assert drain(seconds=60)
        assert landing() == instant("03-02 12:00")
        assert_equals_rebuild()


def test_a_presumed_landing_takes_no_commit_from_its_pull_request() -> None:
    """It is older than the push of the branch, as that of a commit which came with main into the branch would be."""
    tale = PullRequestSteps(1, "ana", branch="branch-1").opened("03-02 10:00", head="h1")
    branch = pushed("03-02 09:30", branch="branch-1", after="h1", commits={"h1": "03-02 09:00"})
    record_steps([*tale.steps, branch, in_history("h1", "03-02 09:00")])
    assert DerivedPullRequest.objects.get().first_commit_at == instant("03-02 09:00")
    assert_equals_rebuild()
