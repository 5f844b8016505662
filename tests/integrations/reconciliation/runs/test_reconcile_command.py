"""`manage.py reconcile` starts, watches and explains a run; old runs are deleted, and what is wrong is found."""

import json
import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from rich.console import Console

from apps.activity.models import RepositoryAccess
from apps.integrations import tasks
from apps.integrations.models import Drift, RepositorySync, SyncLog, TeamSync
from apps.integrations.reconciliation import run_console, run_endings
from apps.integrations.reconciliation.run_console import progress_line, progress_of, progress_view, run_table
from apps.integrations.reconciliation.run_endings import prune
from apps.integrations.reconciliation.schedule import start_for_team
from apps.integrations.work_problems import reconciliation_problems
from apps.monitoring.tasks import check_status
from apps.teams.models import Team
from tests.fake_github.using import ACME, API, WEB
from tests.integrations.backfill.installed import verification
from tests.integrations.reconciliation.runs.conftest import MONDAY_NIGHT, ZOO
from tests.integrations.reconciliation.runs.run_workers import Workers, compare
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("reconcile", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def refused(*arguments: str) -> tuple[str, int]:
    """What is said, and the exit code."""
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return str(caught.value), caught.value.returncode


def compared() -> list[int]:
    return sorted(RepositorySync.objects.values_list("repository", flat=True))


def shown(view: Any) -> str:
    out = StringIO()
    Console(file=out, width=80).print(view)
    return out.getvalue()


def test_a_start_says_which_run_compares_it(acme: Team, workers: Workers) -> None:
    output = run("--team", "acme")
    name = SyncLog.objects.get().sync_id
    assert output == f"Run {name} started.\n`manage.py reconcile --list` shows how it stands.\n"
    assert f"Run {name} compares this already." in run("--team", "acme")
    workers.work()
    assert compared() == [API, WEB]
    assert SyncLog.objects.get().team == acme


@pytest.mark.parametrize(
    ("arguments", "repositories"),
    [
        (("--repository", "acme/api"), [API]),
        (("--repository", "ACME/web", "--repository", "zoo/ark"), [WEB, ZOO]),
        (("--installation", str(ACME)), [API, WEB]),
        (("--all",), [API, WEB, ZOO]),
    ],
)
def test_the_command_compares_what_it_names(
    zoo: Team, workers: Workers, arguments: tuple[str, ...], repositories: list[int]
) -> None:
    run(*arguments)
    workers.work()
    assert compared() == repositories
    assert SyncLog.objects.get().is_fanned_out
    run(*arguments)
    assert SyncLog.objects.count() == 1, "two equal starts are one"


def test_only_the_teams_of_a_run_get_a_result(acme: Team, zoo: Team, workers: Workers) -> None:
    run("--repository", "acme/api")
    workers.work()
    compare(error="502")
    workers.conclude()
    acme.refresh_from_db()
    assert (acme.last_sync_status, SyncLog.objects.get().status) == ("never", "failed")
    run("--all")
    workers.work()
    compare()
    workers.conclude()
    assert set(Team.objects.values_list("last_sync_status", flat=True)) == {"success"}


def test_the_command_says_what_cannot_be_compared(acme: Team, zoo: Team) -> None:
    assert refused("--team", "nobody") == ("There is no team 'nobody'; there are acme, zoo.", 2)
    assert (
        "Nothing is known of acme/nowhere; there are acme/api, acme/web." in refused("--repository", "acme/nowhere")[0]
    )
    assert "There is no installation 99; there are 7, 8." in refused("--installation", "99")[0]
    Team.objects.filter(slug="zoo").update(is_approved=False)
    assert "Team zoo waits for approval" in refused("--team", "zoo")[0]
    RepositoryAccess.objects.filter(installation=ACME).update(has_access=False)
    words = "No installation of the App reaches acme/api: give it access there on GitHub."
    assert refused("--repository", "acme/api") == (words, 1)
    assert "reaches what team acme tracks" in refused("--team", "acme")[0]
    assert not SyncLog.objects.exists()


def test_without_credentials_it_says_what_to_set_and_starts_nothing(acme: Team, settings: Any) -> None:
    settings.GITHUB_APP_ID = None
    words, code = refused("--all")
    assert "GitHub cannot be asked: Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY" in words
    assert (code, SyncLog.objects.exists()) == (1, False)


def test_missing_selection_exits_with_usage_error(db: None) -> None:
    assert refused() == ("Say one: --repository OWNER/REPO, --team SLUG, --installation ID, --all or --list.", 2)
    assert refused("--all", "--team", "acme")[1] == 2
    assert refused("--all", "--json") == ("--json goes with --list.", 2)
    with pytest.raises(CommandError):
        run("--repository", "acme")


def test_a_run_started_without_a_broker_is_kept(acme: Team, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.jobs.wakeups.send", lambda messages: 0)  # as after a failure
    assert "The broker is away. The run is kept, and begins within a minute of its return." in run("--all")
    assert SyncLog.objects.get().status == "waiting"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_console, "LINE_EVERY_S", 0.05)


def work_in_the_background(workers: Workers, *, error: str = "") -> threading.Thread:
    """Workers who take the run, compare it and conclude it."""

    def work() -> None:
        try:
            eventually(lambda: workers.work() or RepositorySync.objects.count() == 2)
            row = RepositorySync.objects.order_by("repository__full_name").last()
            assert row is not None
            RepositorySync.objects.filter(pk=row.pk).update(differs=["issues"])
            Drift.objects.create(repository_sync=row, stream="issues", checked=1200, missing=3, stale=1, repaired=4)
            if error:
                compare("acme/api", error=error)
            compare()
            eventually(lambda: run_endings.conclude() or workers.work() or not SyncLog.objects.unfinished().exists())
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_by_printing_what_was_off_and_repaired(acme: Team, workers: Workers, quick: None) -> None:
    background = work_in_the_background(workers)
    output = run("--team", "acme", "--wait")
    background.join()
    assert "2 repositories: 1 equal at first sight, 1 read, 0 failed." in output
    assert "4 were off: 3 missing, 1 stale, 0 deleted on GitHub; 4 repaired." in output
    assert ["issues", "1,200", "3", "1", "4", "0"] in [line.split() for line in output.splitlines()]


@pytest.mark.django_db(transaction=True)
def test_waiting_for_a_run_that_fails_ends_with_1_and_github_s_words(acme: Team, workers: Workers, quick: None) -> None:
    background = work_in_the_background(workers, error="Resource not accessible by integration")
    out = StringIO()
    with pytest.raises(CommandError, match="Not everything could be compared") as caught:
        call_command("reconcile", "--all", "--wait", stdout=out)
    background.join()
    assert caught.value.returncode == 1
    assert "acme/api: Resource not accessible by integration" in out.getvalue()


def test_ctrl_c_only_stops_watching(acme: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_console.time, "sleep", interrupt)
    with pytest.raises(SystemExit) as caught:
        run("--all", "--wait")
    assert caught.value.code == 130
    assert SyncLog.objects.get().status == "waiting"


def test_the_command_says_so_while_no_worker_runs(acme: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_console, "UNTOUCHED_S", -1.0)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_console.time, "sleep", interrupt)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile", "--all", "--wait", stdout=out)
    assert "waiting for a worker" in out.getvalue()
    assert "do beat and workers for `maintenance` and `backfill` run?" in out.getvalue()


def test_the_list_says_of_the_last_run_that_failed_what_failed_and_why(acme: Team) -> None:
    sync = SyncLog.objects.create(sync_id="nightly:2026-03-02", cause="nightly", status="failed", finished_at=Now())
    about = {"state": "failed", "reason": "gone", "error": "Not Found", "finished_at": Now()}
    verification(sync, API, **about)
    output = run("--list")
    assert "The last that failed, nightly:2026-03-02:" in output
    assert "acme/api: Not Found" in output


def test_the_list_shows_the_latest_runs(acme: Team, workers: Workers) -> None:
    assert run("--list") == "No run was ever started. The first night begins at 02:00 UTC.\n"
    workers.beat(MONDAY_NIGHT)
    compare("acme/api")
    Drift.objects.create(repository_sync=RepositorySync.objects.get(repository=API), stream="issues", missing=2)
    output = run("--list")
    assert "nightly:2026-03-02" in output
    assert "1 of 2" in output
    [document] = json.loads(run("--list", "--json"))
    assert (
        document["sync_id"],
        document["status"],
        document["repositories"],
        document["drift"]["issues"]["missing"],
    ) == ("nightly:2026-03-02", "running", {"done": 1, "waiting": 1}, 2)


def test_progress_fits_a_terminal_of_80_columns(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    compare("acme/api")
    progress = progress_of(SyncLog.objects.get())
    assert progress_line(progress, now=MONDAY_NIGHT) == "02:00:00  1 of 2 repositories; 1 waiting, 1 done"
    for view in (progress_view(progress), run_table([progress])):
        assert max(map(len, shown(view).splitlines())) <= 80
        assert "1 of 2" in shown(view)


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("reconcile", "--help")
    output = capsys.readouterr().out
    assert "manage.py reconcile --all --wait" in output
    assert "Exit code: 0 done" in output
    assert max(map(len, output.splitlines())) <= 80


DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def ended(name: str, *, days_ago: float, team: Team | None = None, status: str = "completed") -> SyncLog:
    """A run that ended then, with a part of the team, and a repository that drifted."""
    at = timezone.now() - DAY * days_ago
    scope = "nightly" if name.startswith("nightly") else "everything"
    about: dict[str, Any] = {"status": status, "finished_at": at}
    run = SyncLog.objects.create(sync_id=name, cause="nightly", scope=scope, created_at=at, **about)
    if team is not None:
        TeamSync.objects.create(sync=run, team=team, status="success", finished_at=at)
    row = verification(run, API, state="done", finished_at=at)
    Drift.objects.create(repository_sync=row, stream="issues")
    return run


def test_runs_are_deleted_after_90_days_except_the_last_of_each_team(acme: Team, zoo: Team) -> None:
    ended("a", days_ago=400, team=acme)
    ended("b", days_ago=300, team=zoo)
    ended("c", days_ago=200, team=acme)
    ended("nightly:d", days_ago=150)
    ended("nightly:e", days_ago=120)
    ended("f", days_ago=100)
    ended("g", days_ago=80)
    assert prune() == 3
    assert list(SyncLog.objects.order_by("pk").values_list("sync_id", flat=True)) == ["b", "c", "nightly:e", "g"]
    assert Drift.objects.count() == 4
    assert prune() == 0


def test_many_old_runs_are_deleted_at_once(acme: Team) -> None:
    for number in range(25):
        ended(f"old {number}", days_ago=100)
    assert prune() == 25


def test_a_new_instance_has_no_reconciliation_problem(acme: Team) -> None:
    Team.objects.note_sync(created_at=timezone.now() - HOUR)
    assert check_status() == []


def test_a_night_that_never_ran_is_a_problem(acme: Team) -> None:
    assert check_status() == ["reconciliation_is_late"]
    assert "Do beat and a worker run?" in reconciliation_problems()["reconciliation_is_late"]


def test_failed_nights_are_a_problem_after_26_hours(acme: Team) -> None:
    ended("nightly:1", days_ago=25 / 24)
    assert check_status() == []
    SyncLog.objects.update(finished_at=timezone.now() - 27 * HOUR)
    late = ended("nightly:2", days_ago=0, status="failed")
    SyncLog.objects.filter(pk=late.pk).update(error="1 of 3 repositories could not be compared.")
    assert "The last one failed: 1 of 3 repositories" in reconciliation_problems()["reconciliation_is_late"]


def test_no_night_is_late_if_there_is_nothing_to_compare(acme: Team, settings: Any) -> None:
    Team.objects.update(sync_frequency="off")
    assert check_status() == []
    Team.objects.update(sync_frequency="daily")
    settings.GITHUB_APP_ID = None
    assert check_status() == []


def test_a_run_without_progress_is_a_problem(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    SyncLog.objects.update(not_before=timezone.now() - 11 * HOUR)
    assert check_status() == []
    SyncLog.objects.update(not_before=timezone.now() - 13 * HOUR)
    assert "nightly:2026-03-02" in reconciliation_problems()["reconciliation_is_stuck"]
    compare()
    workers.conclude()
    assert check_status() == []


def test_a_run_that_no_worker_claims_is_a_problem_soon(acme: Team) -> None:
    start_for_team(acme.pk)
    SyncLog.objects.update(not_before=timezone.now() - HOUR)
    assert "reconciliation_is_stuck" in check_status()


def test_a_run_that_waits_for_its_hour_is_not_stuck(acme: Team) -> None:
    Team.objects.filter(pk=acme.pk).note_sync(sync_frequency="hourly")
    Team.objects.note_sync(created_at=timezone.now())
    assert tasks.schedule_team_sync(acme.pk)
    assert check_status() == []
