"""A worker dies once at each point where a repository is half done: the night ends whole, and nothing is doubled."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from apps.activity.models import Coverage
from apps.common.failpoints import SYNC_POINTS
from apps.integrations.models import Backfill, RepositorySync, StreamMark
from apps.jobs import wakeups as job_wakeups
from tests.fake_github.identities import APP_ID
from tests.fake_github.keys import app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import API
from tests.integrations.backfill.real_worker import let_a_minute_pass, working
from tests.integrations.reconciliation.repositories.night_runs import Nights
from tests.integrations.refresh.live_repository import MINUTE, LiveRepository
from tests.integrations.streams.pull_request_rows import differences
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)
QUEUES = "backfill,maintenance"


def enqueue_until_finished(crash: Path) -> None:
    """Beat goes on ringing; what the dead still hold is free as soon as they are dead."""

    def is_over() -> bool:
        if not crash.exists():
            RepositorySync.objects.all().jobs.filter(state="running").update(lease_until="2020-01-01T00:00:00Z")
            let_a_minute_pass()
        job_wakeups.enqueue_due()
        return not RepositorySync.objects.filter(state__in=RepositorySync.UNFINISHED).exists()

    eventually(is_over)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_a_death_at_any_point_repeats_work_and_doubles_nothing(
    fake: FakeGitHub, api: LiveRepository, nights: Nights, tmp_path: Path, settings: Any
) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = str(APP_ID), app_pem()
    nights.run()
    with working(fake, crash_folder=tmp_path, queues=QUEUES):
        for number, point in enumerate(sorted(SYNC_POINTS), start=3):
            api.open(number, ago=MINUTE)
            api.happen()
            (tmp_path / point).touch()
            [row] = nights.begin()
            enqueue_until_finished(tmp_path / point)
            row.refresh_from_db()
            assert not (tmp_path / point).exists(), f"nobody came to {point}"
            assert (row.state, row.error) == ("done", ""), point
            truth = fake.world.repositories[API]
            assert differences(truth, numbers=range(1, number + 1)) == [], point
            walked = Counter(Backfill.objects.filter(sync=row).values_list("stream", flat=True))
            assert set(walked.values()) == {1}, point
            assert StreamMark.objects.count() == Coverage.objects.count() == 8, point
            assert set(StreamMark.objects.values_list("passed_at", flat=True)) == {row.probed_at}, point
