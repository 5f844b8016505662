"""The nightly sample: what is derived again must be what is stored, and what differs is an alert until rebuilt."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from apps.jobs.models import Job
from apps.jobs.runner import run_jobs
from apps.metrics import rebuild_sample
from apps.metrics.models import DerivedPullRequest, RebuildDifference, RebuildSample
from apps.metrics.rebuild import Difference
from apps.monitoring.doctor.work import check_figures
from apps.monitoring.tasks import check_status
from apps.teams.models import Team
from tests.metrics import fixture_a
from tests.metrics.steps import API, WEB, PullRequestSteps, record_steps, repository

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fixture_a(teams: dict[str, Team]) -> None:
    web = PullRequestSteps(1, "ana", repository_id=WEB).opened("03-02 10:00")
    record_steps([*fixture_a.steps(), (*web.steps[0][1:], repository(WEB, full_name="acme/web"))])


def compare() -> None:
    """Run the job, which is due, as the dispatcher and a worker do."""
    rebuild_sample.plan()
    Job.objects.filter(kind=rebuild_sample.KIND.name).update(not_before=timezone.now())
    run_jobs(task_id="mine", is_redelivered=False)


def gauges() -> dict[str, float]:
    found = re.findall(r"^tformance_rebuild_sample_(\w+) (\S+)$", Client().get("/metrics").content.decode(), re.M)
    return {name: float(value) for name, value in found}


def test_a_night_compares_a_sample_once_and_finds_nothing() -> None:
    assert gauges() == {}
    compare()
    compare()
    night = RebuildSample.objects.get()
    assert (night.repositories, night.skipped, night.waiting) == (2, 0, [])
    assert night.compared > 20
    assert night.finished_at is not None
    assert gauges() == {"compared": night.compared, "differences": 0}
    assert check_status() == []
    assert f"{night.compared} entities of 2 repositories were derived again; nothing differs" in check_figures().found
    job = Job.objects.get(kind=rebuild_sample.KIND.name)
    assert job.state == Job.State.WAITING
    due_at = datetime.combine(night.night + rebuild_sample.DAY, time(5), UTC)
    assert abs(job.not_before - due_at) < timedelta(minutes=1)


def test_a_difference_is_an_alert_until_the_repository_is_rebuilt() -> None:
    DerivedPullRequest.objects.filter(repository_id=API, number=1).update(cycle_seconds=1)
    compare()
    words = f"derived pull request {API}:1: cycle_seconds is 1, should be 72000"
    assert [(one.repository_id, one.description) for one in RebuildDifference.objects.all()] == [(API, words)]
    assert gauges()["differences"] == 1
    assert check_status() == ["figures_differ"]
    assert "1 derived rows of 1 repositories" in check_figures().found
    RebuildSample.objects.update(night="2026-01-01")
    call_command("rebuild_figures", "--repository", str(WEB), stdout=StringIO(), stderr=StringIO())
    assert check_status() == ["figures_differ"], "another repository"
    call_command("rebuild_figures", "--repository", str(API), stdout=StringIO(), stderr=StringIO())
    assert check_status() == []
    compare()
    assert [night.differences.count() for night in RebuildSample.objects.all()] == [0, 1]


def test_of_a_repository_so_many_entities_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_sample, "KEYS", 1)
    monkeypatch.setattr(rebuild_sample, "REPOSITORIES", 1)
    compare()
    assert RebuildSample.objects.get().repositories == 1
    assert 1 <= RebuildSample.objects.get().compared <= 10, "one of each kind"


def test_a_repository_that_cannot_be_derived_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    derive = rebuild_sample.differences
    broken: list[int] = []

    def break_the_first(repository_ids: list[int], **options: Any) -> Iterator[Difference]:
        broken.extend(repository_ids if not broken else [])
        if repository_ids == broken:
            raise ArithmeticError
        return derive(repository_ids, **options)

    monkeypatch.setattr(rebuild_sample, "differences", break_the_first)
    with pytest.raises(ArithmeticError):
        compare()
    Job.objects.filter(kind=rebuild_sample.KIND.name).update(lease_until=timezone.now() - timedelta(seconds=1))
    compare()
    night = RebuildSample.objects.get()
    assert (night.repositories, night.skipped, night.waiting) == (1, 1, [])


def test_what_waits_for_its_recalculation_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    DerivedPullRequest.objects.filter(repository_id=API, number=1).update(cycle_seconds=1)
    monkeypatch.setattr(rebuild_sample, "drain", lambda *, seconds: False)
    compare()
    assert not RebuildDifference.objects.exists()
    job = Job.objects.get(kind=rebuild_sample.KIND.name)
    assert job.reason == "recalculating"
    assert timezone.now() < job.not_before < timezone.now() + rebuild_sample.RECALCULATING
    assert API in RebuildSample.objects.get().waiting
