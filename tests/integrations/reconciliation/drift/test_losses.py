"""What was lost on the way is what has drifted: neither less nor more, and nothing of it the next time."""

import random
from collections import Counter

import pytest

from apps.activity.models import Repository
from apps.integrations.models import Drift
from tests.fake_github.server import FakeGitHub
from tests.integrations.backfill.crew import Crew
from tests.integrations.reconciliation.comparing import begin_sync, deliver, drift_of, drifted, told_of, walk
from tests.integrations.reconciliation.drift.row_by_row import off

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
    assert sum(row.roads.get("reconciliation", 0) for row in rows) == findings["missing"]
    assert off(fake.world.repositories[repository.pk]) == set()
    second = begin_sync(repository)
    walk(crew, second)
    assert set(drift_of(second).values()) == {(0, 0)}
    assert drift_of(second, "checked") == drift_of(first, "checked")
