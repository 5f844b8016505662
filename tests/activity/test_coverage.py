"""Up to when everything is here: stretches of time that meet are one."""

from datetime import datetime

import pytest
from django.db import IntegrityError, transaction

from apps.activity.coverage import cover
from apps.activity.models import Coverage, Repository
from tests.github.translation import at

REPOSITORY = 11


@pytest.fixture(autouse=True)
def repository(db: None) -> None:
    Repository.objects.create(github_id=REPOSITORY)


def cover_issues(from_day: str, to_day: str) -> None:
    cover("issues", repository_id=REPOSITORY, from_at=at(from_day, "00:00"), to_at=at(to_day, "00:00"))


def stretches() -> list[tuple[datetime, datetime]]:
    return list(Coverage.objects.order_by("from_at").values_list("from_at", "to_at"))


def test_periods_that_touch_or_overlap_become_one() -> None:
    cover_issues("03-01", "03-02")
    cover_issues("03-05", "03-06")
    assert len(stretches()) == 2
    cover_issues("03-02", "03-03")
    assert stretches()[0] == (at("03-01", "00:00"), at("03-03", "00:00"))
    cover_issues("03-03", "03-05")
    assert stretches() == [(at("03-01", "00:00"), at("03-06", "00:00"))]


def test_a_period_that_is_already_covered_changes_nothing() -> None:
    cover_issues("03-01", "03-06")
    cover_issues("03-02", "03-03")
    assert stretches() == [(at("03-01", "00:00"), at("03-06", "00:00"))]


def test_a_stretch_that_runs_backwards_covers_nothing() -> None:
    cover_issues("03-02", "03-01")
    assert stretches() == []


def test_the_log_of_deliveries_is_covered_for_every_repository_at_once() -> None:
    cover(Coverage.DELIVERIES, repository_id=None, from_at=at("03-01", "00:00"), to_at=at("03-02", "00:00"))
    cover_issues("03-02", "03-03")
    assert len(stretches()) == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Coverage.objects.create(stream="issues", from_at=at("03-01", "00:00"), to_at=at("03-01", "00:00"))
