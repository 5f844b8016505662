"""The figures of every team, computed team by team, in batches; and a result that can be waited for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django_celery_results.models import TaskResult

from apps.metrics import tasks
from apps.metrics.figures import FIGURES
from apps.metrics.models import HourlyFigures
from apps.teams.models import Team


@pytest.fixture
def queue() -> Iterator[None]:
    """The figures' queue, empty before and after."""
    empty()
    yield
    empty()


def empty() -> None:
    with current_app.connection_for_write() as broker:
        broker.default_channel.queue_purge("figures")


def messages() -> list[tuple[str, Any]]:
    """Whatever is in the queue: the task's name and its arguments."""
    found = []
    with current_app.connection_for_read() as broker:
        while (message := current_app.amqp.queues["figures"](broker.default_channel).get(no_ack=True)) is not None:
            found.append((message.headers["task"].rpartition(".")[2], message.payload[0]))
    return found


@pytest.mark.django_db
def test_each_team_is_rung_for_once_in_batches(queue: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "TEAMS_AT_ONCE", 2)
    ids = [Team.objects.create(name=name, slug=name).pk for name in ("a", "b", "c", "d", "e")]
    told, batches = [], 0
    tasks.process_all_teams()
    while found := messages():
        told += [args[0] for name, args in found if name == "process_team"]
        for name, args in found:
            if name == "process_all_teams":
                batches += 1
                tasks.process_all_teams(*args)
    assert (told, batches) == (ids, 2)


@pytest.mark.django_db
def test_a_team_has_its_figures_computed_by_a_task_of_its_own(queue: None) -> None:
    tasks.process_team(7)
    assert messages() == [("calculate_metrics", [7])]


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_the_figures_of_a_team_can_be_waited_for(queue: None, worked_example: dict[str, Team]) -> None:
    promise = tasks.calculate_metrics.delay(worked_example["acme"].pk)
    address = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "--app", "tformance", "worker", "--pool", "solo", "--queues", "figures"],
        env={**os.environ, "DATABASE_URL": address, "TFORMANCE_ROLE": "worker"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        found = promise.get(timeout=60, interval=0.1)
    finally:
        worker.terminate()
        worker.wait(30)
    kept = TaskResult.objects.get(task_id=promise.id)
    assert (kept.task_name, kept.task_args) == (
        "apps.metrics.tasks.calculate_metrics",
        f'"({worked_example["acme"].pk},)"',
    )
    assert HourlyFigures.objects.get(team=worked_example["acme"]).figures.keys() == FIGURES.keys()
    assert found["team"] == "acme"
    assert [figure["figure"] for figure in found["figures"]] == list(FIGURES)
