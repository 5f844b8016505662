"""What must be one transaction is one."""

from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.activity import facts
from apps.activity.facts import Evidence, Source
from apps.activity.models import Change, Contributor
from apps.activity.record import record
from apps.common.connections import check_connection
from apps.integrations.tasks import conclude_team_sync
from apps.metrics.recalculation import drain
from apps.webhooks import intake, registry
from apps.webhooks.claims import claim_batch, claim_suspect
from apps.webhooks.models import Delivery
from apps.webhooks.signature import GitHubHook
from apps.webhooks.worker import process

pytestmark = pytest.mark.django_db(transaction=True)


class BreakdownError(Exception):
    """Whatever ends a transaction."""


def profile() -> facts.ContributorProfile:
    stamp = facts.Stamp(source_updated_at=timezone.now(), translator_version=1)
    return facts.ContributorProfile(stamp=stamp, github_id=1, login="somebody", kind="user")


def record_facts() -> None:
    record([Evidence(source=Source(kind="delivery", key="1"), facts=(profile(),))])


def test_a_fact_and_its_change_are_there_together_or_not_at_all() -> None:
    def break_down() -> None:
        with transaction.atomic():
            record_facts()
            assert Contributor.objects.count() == Change.objects.count() == 1
            raise BreakdownError

    with pytest.raises(BreakdownError):
        break_down()
    assert Contributor.objects.count() == Change.objects.count() == 0


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_transaction_that_a_task_was_stopped_in_ends_before_the_next_task(is_closed: bool) -> None:
    transaction.atomic().__enter__()  # a soft limit that raises in here leaves no block that would end it
    record_facts()
    if is_closed:
        connection.close()
    check_connection(task=conclude_team_sync)
    assert not connection.in_atomic_block
    record_facts()
    connection.close()
    assert Contributor.objects.count() == Change.objects.count() == 1


def test_a_task_that_is_applied_inside_a_transaction_stays_in_it() -> None:
    with transaction.atomic():
        record_facts()
        conclude_team_sync.apply(args=[0], throw=True)
        assert connection.in_atomic_block
        record_facts()
    assert Contributor.objects.count() == 1


def test_a_change_is_gone_only_when_what_follows_from_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    Change.objects.create(kind=Change.Kind.PULL_REQUEST, key="1:1")

    def break_down(*_: object) -> None:
        raise KeyboardInterrupt  # like a worker that is asked to stop

    monkeypatch.setattr("apps.metrics.recalculation.recalculate", break_down)
    with pytest.raises(KeyboardInterrupt):
        drain(seconds=5)
    assert Change.objects.count() == 1
    monkeypatch.undo()
    assert drain(seconds=5)
    assert Change.objects.count() == 0


def test_a_worker_that_lost_its_claim_leaves_no_fact() -> None:
    with registry.scoped_registration():
        registry.translates("found")(lambda event: (profile(),))
        hook = GitHubHook(hook_id=1, guid=uuid4(), event="found", headers={"content-type": "application/json"})
        intake.receive(hook, b"{}")
        late = claim_batch([], task_id="late")
        Delivery.objects.update(lease_until="2020-01-01T00:00:00Z")
        taken_over = claim_suspect(task_id="other", is_redelivered=False)
        assert taken_over is not None
        process(late)
        assert not Contributor.objects.exists()
        process([taken_over])
        assert Contributor.objects.count() == 1
