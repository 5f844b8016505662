"""A real worker creates, fans out and concludes runs, and dies once at each point where that is half done."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from apps.common.failpoints import RUN_POINTS
from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reconciliation import run_endings, schedule
from apps.notifications.models import Notification
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import API, WEB
from tests.integrations.backfill.real_worker import working
from tests.integrations.reconciliation.runs.conftest import MONDAY_NIGHT
from tests.integrations.reconciliation.runs.run_workers import Workers, compare, expire_leases
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)
MOST_BEATS, PACE_S = 40, 2.0
"""Between two beats a worker that lives is through with what it holds, on a busy machine too."""


def beat() -> None:
    """What beat does, a minute and a quarter later each time."""
    expire_leases()
    schedule.open_due(now=MONDAY_NIGHT)
    schedule.enqueue_due()
    run_endings.conclude()


def is_fanned_out() -> bool:
    return SyncLog.objects.filter(is_fanned_out=True).exists()


def is_over() -> bool:
    return not SyncLog.objects.unfinished().exists()


def beat_until(is_true: Callable[[], bool]) -> None:
    """Beat at a pace until this is true."""
    for _ in range(MOST_BEATS):
        beat()
        with suppress(AssertionError):
            eventually(is_true, within_s=PACE_S)
            return
    raise AssertionError(f"{is_true.__name__} never became true")


def run_a_night(team: Team) -> None:
    """A night in which one repository fails."""
    beat_until(is_fanned_out)
    compare("acme/web", error="502")
    compare()
    beat_until(is_over)
    team.refresh_from_db()


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_a_crash_at_any_point_loses_no_run_no_row_and_no_result(
    fake: FakeGitHub, acme: Team, workers: Workers, tmp_path: Path
) -> None:
    ana = CustomUser.objects.create_user("ana")
    TeamAccess.objects.create(team=acme, user=ana, role=TeamAccess.Role.ADMIN)
    with working(fake, crash_folder=tmp_path, queues="live,maintenance"):
        for point in sorted(RUN_POINTS):
            for model in (SyncLog, Notification):
                model.objects.all().delete()
            (tmp_path / point).touch()
            run_a_night(acme)
            assert not (tmp_path / point).exists(), f"no worker reached {point}"
            assert SyncLog.objects.get().status == "failed", point
            assert sorted(RepositorySync.objects.values_list("repository", flat=True)) == [API, WEB], point
            assert TeamSync.objects.get().status == "failed", point
            assert (acme.last_sync_status, Notification.objects.count()) == ("failed", 1), point
