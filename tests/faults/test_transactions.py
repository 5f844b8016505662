"""What must be one transaction is one."""

import pytest
from django.db import transaction
from django.utils import timezone

from apps.activity import facts
from apps.activity.facts import Evidence, Source
from apps.activity.models import Change, Contributor
from apps.activity.record import record
from apps.metrics.recalculation import drain

pytestmark = pytest.mark.django_db(transaction=True)


class BreakdownError(Exception):
    """Whatever ends a transaction."""


def tell() -> None:
    stamp = facts.Stamp(source_updated_at=timezone.now(), translator_version=1)
    profile = facts.ContributorProfile(stamp=stamp, github_id=1, login="somebody", kind="user")
    record([Evidence(source=Source(kind="delivery", key="1"), facts=(profile,))])


def test_a_fact_and_its_change_are_there_together_or_not_at_all() -> None:
    def break_down() -> None:
        with transaction.atomic():
            tell()
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
