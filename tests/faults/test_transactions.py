"""What must be one transaction is one."""

from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from apps.activity import facts
from apps.activity.facts import Evidence, Source
from apps.activity.models import Change, Contributor
from apps.activity.record import record
from apps.metrics.recalculation import drain
from apps.webhooks import intake, registry
from apps.webhooks.claims import claim_batch, claim_suspect
from apps.webhooks.models import Delivery
from apps.webhooks.origin import GitHubHook
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


def test_a_change_is_gone_only_when_what_follows_from_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    Change.objects.create(kind=Change.Kind.PULL_REQUEST, key="1:1")

    def break_down(*_: object) -> None:
        raise KeyboardInterrupt  # as a worker that is told to stop

    monkeypatch.setattr("apps.metrics.recalculation.recalculate", break_down)
    with pytest.raises(KeyboardInterrupt):
        drain(seconds=5)
    assert Change.objects.count() == 1
    monkeypatch.undo()
    assert drain(seconds=5)
    assert Change.objects.count() == 0


def test_a_worker_that_lost_its_claim_leaves_no_fact() -> None:
    with registry.scoped_registration():
        registry.translates("told")(lambda event: (profile(),))
        hook = GitHubHook(hook_id=1, guid=uuid4(), event="told", headers={"content-type": "application/json"})
        intake.receive(hook, b"{}")
        late = claim_batch([], task_id="late")
        Delivery.objects.update(lease_until="2020-01-01T00:00:00Z")
        taken_over = claim_suspect(task_id="other", is_redelivered=False)
        assert taken_over is not None
        process(late)
        assert not Contributor.objects.exists()
        process([taken_over])
        assert Contributor.objects.count() == 1
