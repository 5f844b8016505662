"""Drift is the honest score of the webhooks: 0 where all of them arrived, else exactly what a comparison finds."""

import random

import pytest

from apps.integrations.models import Drift, DriftedEntity, SyncLog
from tests.fake_github.server import FakeGitHub
from tests.integrations.backfill.installed import install
from tests.integrations.reconciliation.busy_organisation import NAMES, Organisation, list_commits, reconcile
from tests.integrations.reconciliation.drift.true_drift import off
from tests.integrations.reconciliation.workers import work_off

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof, pytest.mark.timeout(400)]
BEFORE, SINCE = 300, 900


@pytest.fixture
def organisation(hub: FakeGitHub) -> Organisation:
    install()
    organisation = Organisation.on(hub, pull_requests=50)
    organisation.begin(BEFORE)
    return organisation


def drifted(run: SyncLog) -> set[tuple[str, str, str]]:
    """What a run found to be off: kind, key and how."""
    rows = DriftedEntity.objects.filter(repository_sync__sync=run)
    return set(rows.values_list("entity", "key", "finding"))


def test_nothing_has_drifted_if_every_delivery_arrived(organisation: Organisation) -> None:
    organisation.happen(organisation.take(SINCE))
    work_off()
    list_commits()
    run = reconcile()
    assert drifted(run) == set()
    rows = Drift.objects.filter(repository_sync__sync=run)
    assert sum(row.checked for row in rows) > SINCE / 10
    assert {(row.missing, row.stale, row.deleted) for row in rows} == {(0, 0, 0)}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_finds_what_a_comparison_finds_and_the_next_run_nothing(organisation: Organisation, seed: int) -> None:
    chance, deliveries = random.Random(seed), organisation.take(SINCE)  # noqa: S311  a repeatable loss
    organisation.busy.happen(deliveries)
    organisation.log.lose(lost := [sent for sent in deliveries if chance.random() < 0.05])
    organisation.log.deliver(sent for sent in deliveries if sent not in lost)
    work_off()
    list_commits()
    truths = [organisation.busy.truth(repository_id) for repository_id in NAMES]
    expected = set().union(*(off(truth) for truth in truths))
    assert expected, "something was lost"
    assert drifted(reconcile()) == expected
    assert drifted(reconcile()) == set()
    assert organisation.differences_but_for_times() == []
