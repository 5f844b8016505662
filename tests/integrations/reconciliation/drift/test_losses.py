"""What was lost has drifted, neither less nor more, and nothing of it the next time; without a loss nothing has."""

import random
from collections import Counter

import pytest

from apps.activity.models import Repository
from apps.integrations.models import Drift, RepositorySync
from apps.integrations.streams import STREAM_NAMES
from tests.fake_github.server import FakeGitHub
from tests.integrations.backfill.crew import Crew
from tests.integrations.reconciliation.drift.true_drift import off
from tests.integrations.reconciliation.drift_runs import begin_sync, deliver, drift_of, drifted, told_of, walk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.proof
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_losing_one_delivery_in_twenty_drift_is_what_a_comparison_row_by_row_finds(
    fake: FakeGitHub, crew: Crew, either: Repository, seed: int
) -> None:
    repository, chance = either, random.Random(seed)  # noqa: S311  a repeatable loss
    deliver(sent for sent in told_of(fake, repository.pk) if chance.random() > 0.05)
    expected = off(fake.world.repositories[repository.pk])
    first = begin_sync(repository)
    walk(crew, first, page_size=7)
    assert drifted(first) == expected
    assert expected, "something was lost"
    findings = Counter(finding for _, _, finding in expected)
    rows = Drift.objects.filter(repository_sync=first)
    assert (sum(row.missing for row in rows), sum(row.stale for row in rows)) == (
        findings["missing"],
        findings["stale"],
    )
    assert all(row.repaired == row.missing + row.stale for row in rows)
    assert sum(row.recovery_sources.get("reconciliation", 0) for row in rows) == findings["missing"]
    assert off(fake.world.repositories[repository.pk]) == set()
    second = begin_sync(repository)
    walk(crew, second)
    assert set(drift_of(second).values()) == {(0, 0)}
    assert drift_of(second, "checked") == drift_of(first, "checked")


def reconciled(crew: Crew, repository: Repository) -> RepositorySync:
    sync = begin_sync(repository)
    assert [row.state for row in walk(crew, sync)] == ["done"] * len(STREAM_NAMES)
    return sync


@pytest.mark.proof
def test_after_a_story_that_lost_nothing_nothing_is_missing_or_stale(
    fake: FakeGitHub, crew: Crew, either: Repository
) -> None:
    repository = either
    story = told_of(fake, repository.pk)
    random.Random(7).shuffle(story)  # noqa: S311  a repeatable order
    deliver(story)
    sync = reconciled(crew, repository)
    assert drifted(sync) == set()
    assert set(drift_of(sync).values()) == {(0, 0)}
    assert all(row.checked for row in Drift.objects.filter(repository_sync=sync))
    assert set(drift_of(sync)) >= {
        "pull_requests",
        "issues",
        "issue_comments",
        "review_comments",
        "commits",
        "releases",
    }
