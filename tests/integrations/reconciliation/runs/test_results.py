"""The results of teams: written by a callback, once, and sent to their admins once per streak of failures."""

from datetime import timedelta

import pytest
from celery import current_app
from django.core import mail

from apps.activity.models import Change, RepositoryAccess
from apps.integrations import tasks
from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reconciliation import run_endings
from apps.integrations.reconciliation.run_endings import TeamSyncError, require_success
from apps.notifications.models import Notification
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser
from tests.integrations.reconciliation.runs.conftest import MONDAY_NIGHT
from tests.integrations.reconciliation.runs.run_workers import Workers, compare, expire_leases, forget_messages

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def admin(acme: Team) -> CustomUser:
    """Ana administers team acme; others look at it, or have left."""
    ana = CustomUser.objects.create_user("ana", email="ana@example.com")
    TeamAccess.objects.create(team=acme, user=ana, role=TeamAccess.Role.ADMIN)
    TeamAccess.objects.create(team=acme, user=CustomUser.objects.create_user("viewer", email="v@example.com"))
    left = CustomUser.objects.create_user("left", email="left@example.com", is_active=False)
    TeamAccess.objects.create(team=acme, user=left, role=TeamAccess.Role.ADMIN)
    return ana


def night(workers: Workers, number: int, *, broken: str = "") -> None:
    """A whole night, in which one repository may be broken."""
    workers.beat(MONDAY_NIGHT + DAY * number)
    if broken:
        compare(broken, error="Resource not accessible by integration")
    compare()
    workers.conclude()


def test_a_team_whose_repositories_were_all_compared_has_succeeded(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    acme.refresh_from_db()
    assert (acme.last_sync_status, acme.last_synced_at) == ("running", None)
    compare("acme/api")
    assert workers.conclude() == 0
    assert TeamSync.objects.get().status == "running"
    compare()
    assert workers.conclude() == 1
    acme.refresh_from_db()
    assert (acme.last_sync_status, acme.last_sync_error) == ("success", "")
    assert acme.last_synced_at is not None
    assert (SyncLog.objects.get().status, SyncLog.objects.get().error) == ("completed", "")
    assert (workers.done["conclude_team_sync"], workers.done["on_success"], workers.done["on_failure"]) == (1, 1, 0)


def test_a_repository_that_failed_is_named_in_the_result(acme: Team, zoo: Team, workers: Workers) -> None:
    night(workers, 0, broken="acme/web")
    acme.refresh_from_db()
    zoo.refresh_from_db()
    assert (acme.last_sync_status, acme.last_sync_error, acme.last_synced_at) == (
        "failed",
        "1 of 2 repositories could not be compared with GitHub: acme/web (Resource not accessible by integration).",
        None,
    )
    assert (zoo.last_sync_status, zoo.last_sync_error) == ("success", ""), "what is another team's is not theirs"
    run = SyncLog.objects.get()
    assert (run.status, run.error) == ("failed", "1 of 3 repositories could not be compared.")


def test_many_failed_repositories_are_counted(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    team_run = TeamSync.objects.get()
    compare(error="x" * 2000)
    with pytest.raises(TeamSyncError) as caught:
        require_success(team_run.pk)
    assert len(str(caught.value)) <= 500


def test_the_teams_row_is_written_without_deriving_anything_anew(acme: Team, workers: Workers) -> None:
    Change.objects.all().delete()
    night(workers, 0)
    assert not Change.objects.filter(kind="team").exists()


def test_admins_get_one_mail_per_streak_of_failures(
    acme: Team, admin: CustomUser, workers: Workers, django_capture_on_commit_callbacks: object
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        night(workers, 0, broken="acme/web")
        night(workers, 1, broken="acme/web")
    workers.work()
    note = Notification.objects.get()
    assert (note.user, note.message) == (
        admin,
        "Acme could not be compared with GitHub: 1 of 2 repositories could not be compared with GitHub: acme/web"
        " (Resource not accessible by integration).",
    )
    [mail_sent] = mail.outbox
    assert (mail_sent.to, mail_sent.subject) == (["ana@example.com"], "tformance: reconciliation of Acme failed")
    assert "acme/web (Resource not accessible by integration)" in mail_sent.body
    assert "another alert until it has recovered" in mail_sent.body


def test_a_recovery_ends_the_streak(acme: Team, admin: CustomUser, workers: Workers) -> None:
    night(workers, 0, broken="acme/web")
    night(workers, 1)
    night(workers, 2, broken="acme/api")
    assert [("acme/api" in note.message) for note in Notification.objects.order_by("pk")] == [False, True]
    acme.refresh_from_db()
    assert "acme/api" in acme.last_sync_error


def test_a_message_or_callback_that_was_lost_is_sent_again(acme: Team, admin: CustomUser, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    compare(error="502")
    run_endings.conclude()
    forget_messages()
    run_endings.conclude()
    workers.work()
    assert TeamSync.objects.get().status == "running", "it was notified a moment ago"
    expire_leases()
    workers.conclude()
    assert (TeamSync.objects.get().status, Notification.objects.count()) == ("failed", 1)


def test_a_callback_that_comes_twice_or_by_mistake_changes_nothing(
    acme: Team, admin: CustomUser, workers: Workers
) -> None:
    workers.beat(MONDAY_NIGHT)
    team_run = TeamSync.objects.get()
    assert tasks.on_failure(team_run.pk) is False, "nothing is over"
    assert tasks.on_success(team_run.pk) is False
    compare("acme/web", error="502")
    compare()
    assert tasks.on_success(team_run.pk) is False, "the rows say otherwise"
    assert tasks.on_failure(team_run.pk) is True
    assert tasks.on_failure(team_run.pk) is False
    assert tasks.on_failure(10**9) is False
    assert Notification.objects.count() == 1


def test_a_result_goes_by_its_link_to_one_of_two_callbacks(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    compare()
    run_endings.conclude()
    with current_app.connection_for_read() as broker:
        message = current_app.amqp.queues["maintenance"](broker.default_channel).get(no_ack=True)
    assert message is not None
    _, _, embedded = message.payload
    team_run = TeamSync.objects.get()
    assert [(link["task"], list(link["args"])) for link in embedded["callbacks"]] == [
        ("apps.integrations.tasks.on_success", [team_run.pk])
    ]
    assert [(link["task"], list(link["args"])) for link in embedded["errbacks"]] == [
        ("apps.integrations.tasks.on_failure", [team_run.pk])
    ]
    assert embedded["chord"] is None


def test_a_team_of_which_nothing_is_reached_learns_what_to_do(acme: Team, admin: CustomUser, workers: Workers) -> None:
    RepositoryAccess.objects.update(has_access=False)
    workers.beat(MONDAY_NIGHT)
    assert not RepositorySync.objects.exists()
    workers.conclude()
    acme.refresh_from_db()
    assert acme.last_sync_status == "failed"
    assert "No installation of the App reaches any of its 2 repositories: give the App access" in acme.last_sync_error
    assert SyncLog.objects.get().error == "Of 1 teams no repository could be compared."
    assert Notification.objects.count() == 1


def test_a_team_that_is_deleted_meanwhile_does_not_block_the_run(acme: Team, zoo: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    zoo.delete()
    compare()
    assert workers.conclude() == 1


def test_a_result_lost_in_a_crash_is_written_by_the_next_callback(
    acme: Team, workers: Workers, admin: CustomUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.beat(MONDAY_NIGHT)
    compare(error="502")

    def die(name: str) -> None:
        raise SystemExit(name)

    monkeypatch.setattr(run_endings, "failpoint", die)
    with pytest.raises(SystemExit):
        tasks.on_failure(TeamSync.objects.get().pk)
    monkeypatch.undo()
    acme.refresh_from_db()
    assert (acme.last_sync_status, Notification.objects.count()) == ("running", 0)
    workers.conclude()
    assert Notification.objects.count() == 1
