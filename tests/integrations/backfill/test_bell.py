"""Whose turn it is: two of an installation at once, those first that advanced longest ago."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone

from apps.activity.models import Repository
from apps.integrations.backfill import wakeups
from apps.integrations.models import Backfill
from tests.fake_github.using import ACME, BETA
from tests.integrations.backfill.crew import forget_messages, take_message
from tests.integrations.backfill.installed import backfill, install, reach
from tests.integrations.backfill.side_by_side import side_by_side
from tests.metrics.test_plans import explaining
from tests.webhooks.proxies import refused_port

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    forget_messages()
    yield
    forget_messages()


@pytest.fixture
def repositories(db: None) -> list[Repository]:
    """Six of one installation, and one of another."""
    install(ACME)
    install(BETA, login="beta", account_id=600)
    of_acme = [reach(f"acme/{number}", number) for number in range(1, 7)]
    return [*of_acme, reach("beta/7", 7, installation_id=BETA, owner_id=600)]


def walks(repositories: list[Repository], **about: Any) -> list[Backfill]:
    """One through each, the first of which advanced longest ago."""
    now = timezone.now()
    return [
        backfill(
            repository,
            installation_id=BETA if repository.pk == 7 else ACME,
            **{"advanced_at": now - (10 - place) * MINUTE, **about},
        )
        for place, repository in enumerate(repositories)
    ]


def heard() -> list[int]:
    """The walks that the workers were told of."""
    ids = []
    while (message := take_message()) is not None:
        ids.append(message.backfill_id)
    return sorted(ids)


def ids(*rows: Backfill) -> list[int]:
    return sorted(row.pk for row in rows)


def change(row: Backfill, **about: Any) -> None:
    Backfill.objects.filter(pk=row.pk).update(**about)


def test_two_of_each_installation_are_told_of_those_first_that_advanced_longest_ago(
    repositories: list[Repository],
) -> None:
    rows = walks(repositories)
    assert wakeups.enqueue_deliveries(None) == 3
    assert heard() == ids(rows[0], rows[1], rows[6])


def test_what_never_advanced_comes_before_all_others(repositories: list[Repository]) -> None:
    rows = walks(repositories)
    change(rows[4], advanced_at=None)
    wakeups.enqueue_deliveries(ACME)
    assert heard() == ids(rows[4], rows[0])


def test_one_installation_is_rung_for_alone(repositories: list[Repository]) -> None:
    rows = walks(repositories)
    assert wakeups.enqueue_deliveries(BETA) == 1
    assert heard() == ids(rows[6])


def test_nothing_is_told_of_again_within_ten_seconds_and_all_of_it_after(repositories: list[Repository]) -> None:
    rows = walks(repositories)
    wakeups.enqueue_deliveries(ACME)
    assert wakeups.enqueue_deliveries(ACME) == 0, "both places are taken by those told of"
    assert heard() == ids(*rows[:2])
    Backfill.objects.update(rung_at=timezone.now() - timedelta(seconds=11))
    assert wakeups.enqueue_deliveries(ACME) == 2
    assert heard() == ids(*rows[:2]), "the message was lost"


@pytest.mark.parametrize(
    "about",
    [
        {"state": "running", "lease_until": timezone.now() + timedelta(days=1)},
        {"reason": "busy", "not_before": timezone.now() + timedelta(days=1)},
        {"rung_at": timezone.now() + timedelta(days=1)},
    ],
    ids=["running", "busy", "told of"],
)
def test_a_place_is_taken_by_what_runs_waits_for_its_turn_or_was_told_of(
    repositories: list[Repository], about: dict[str, Any]
) -> None:
    rows = walks(repositories)
    change(rows[3], **about)
    wakeups.enqueue_deliveries(ACME)
    assert heard() == ids(rows[0])
    change(rows[0], state="running", lease_until=timezone.now() + MINUTE, rung_at=None)
    assert wakeups.enqueue_deliveries(ACME) == 0


def test_what_waits_is_not_told_of_before_its_time(repositories: list[Repository]) -> None:
    walks(repositories, not_before=timezone.now() + MINUTE)
    assert wakeups.enqueue_deliveries(None) == 0


@pytest.mark.parametrize("state", ["paused", "done", "cancelled", "failed"])
def test_what_is_not_to_be_walked_is_not_told_of(repositories: list[Repository], state: str) -> None:
    walks(repositories, state=state)
    assert wakeups.enqueue_deliveries(None) == 0


def test_a_walk_whose_worker_died_is_told_of_in_its_turn(repositories: list[Repository]) -> None:
    rows = walks(repositories)
    change(rows[0], state="running", lease_until=timezone.now() - timedelta(seconds=1))
    wakeups.enqueue_deliveries(ACME)
    assert heard() == ids(rows[0], rows[1])


def test_who_waited_for_a_turn_at_github_keeps_its_place_and_is_told_when_it_is_due(
    repositories: list[Repository],
) -> None:
    rows = walks(repositories)
    change(rows[4], reason="busy")
    change(rows[5], reason="busy", not_before=timezone.now() + MINUTE)
    wakeups.enqueue_deliveries(ACME)
    assert heard() == ids(rows[4])


def test_a_walk_without_an_installation_is_told_of_too(repositories: list[Repository]) -> None:
    row = backfill(repositories[0])
    assert wakeups.enqueue_deliveries(None) == 1
    assert heard() == ids(row)


def test_whoever_the_budget_names_next_is_told_at_once(repositories: list[Repository]) -> None:
    row = walks(repositories)[2]
    change(row, reason="busy", not_before=timezone.now() + timedelta(seconds=1), rung_at=timezone.now())
    assert wakeups.wake_next_waiter(wakeups.subject_of(row.pk)) == 1
    assert heard() == ids(row)
    row.refresh_from_db()
    assert row.not_before <= timezone.now()


@pytest.mark.parametrize("reason", ["spent", ""])
def test_only_who_waits_for_a_turn_is_told_of_it(repositories: list[Repository], reason: str) -> None:
    row = walks(repositories)[2]
    change(row, reason=reason, not_before=timezone.now() + MINUTE)
    assert wakeups.wake_next_waiter(wakeups.subject_of(row.pk)) == 0


@pytest.mark.parametrize("subject", [None, "", "11", "listing 7", "backfill x", "backfill 0"])
def test_others_are_not_ours_to_tell(repositories: list[Repository], subject: str | None) -> None:
    walks(repositories, reason="busy")
    assert wakeups.wake_next_waiter(subject) == 0


def test_a_dead_broker_raises_nothing_and_costs_ten_seconds(
    repositories: list[Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = walks(repositories)
    with monkeypatch.context() as away:
        away.setattr(current_app.conf, "broker_write_url", f"redis://127.0.0.1:{refused_port()}/0")
        assert wakeups.enqueue_deliveries(ACME) == 0
    assert heard() == []
    Backfill.objects.update(rung_at=timezone.now() - timedelta(seconds=11))
    assert wakeups.enqueue_deliveries(ACME) == 2
    assert heard() == ids(*rows[:2])


@pytest.mark.django_db(transaction=True)
def test_many_bells_at_once_give_no_place_away_twice(repositories: list[Repository]) -> None:
    rows = walks(repositories)
    side_by_side(*[lambda: wakeups.enqueue_deliveries(ACME)] * 8)
    assert heard() == ids(*rows[:2])


@pytest.fixture
def many(repositories: list[Repository]) -> None:
    """Five thousand of one installation that are not through, half of them due, among twenty thousand that are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO activity_repository (github_id, full_name)"
            " SELECT i, 'acme/' || i FROM generate_series(100, 25099) AS i"
        )
        cursor.execute(
            "INSERT INTO integrations_backfill"
            " (repository_id, stream, installation_id, page_size, skipped, state, finished_at, advanced_at, not_before)"
            " SELECT i, 'issues', %s, 25, '[]', state, CASE state WHEN 'done' THEN now() END,"
            "  now() - i * interval '1 s', now() + mod(i, 10) * interval '1 h'"
            " FROM (SELECT i, CASE WHEN mod(i, 5) = 0 THEN 'waiting' ELSE 'done' END AS state"
            "  FROM generate_series(100, 25099) AS i) made",
            [ACME],
        )
        # Weigh rows as if there were a hundred times as many: reading some thousands from end to end is no mistake.
        cursor.execute("SET LOCAL cpu_tuple_cost = 1")


@pytest.mark.parametrize("installation_id", [ACME, None])
def test_a_ring_reads_by_index_however_many_wait(many: None, installation_id: int | None) -> None:
    assert Backfill.objects.unfinished().count() == 5000
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        assert wakeups.enqueue_deliveries(installation_id) == 2
    (plan,) = [found for found in plans if "backfill_unfinished" in found]
    assert "backfill_at_work" in plan
    assert "Seq Scan on integrations_backfill" not in plan
    (sorted_by,) = [line for line in plan.splitlines() if "Sort Key" in line]
    assert "repository_id" in sorted_by, "only the few whose turn it is are sorted, to be locked in the order of starts"


@pytest.mark.django_db(transaction=True)
def test_a_walk_that_somebody_changes_just_now_is_not_waited_for(repositories: list[Repository]) -> None:
    rows = walks(repositories)
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as changing, connection.cursor() as impatient:
        changing.execute("SELECT id FROM integrations_backfill WHERE id = %s FOR UPDATE", [rows[0].pk])
        impatient.execute("SET lock_timeout = '500ms'")
        try:
            assert wakeups.enqueue_deliveries(ACME) == 1
        finally:
            impatient.execute("RESET lock_timeout")
            other.close()
    assert heard() == ids(rows[1])
