"""Beat's schedule names tasks that exist, and no entry outlives its interval."""

from typing import Any

import pytest
from celery.schedules import crontab, schedule

from tformance.celery import app
from tformance.celery_settings import DAY, SCHEDULE

entries = pytest.mark.parametrize("entry", SCHEDULE.values(), ids=SCHEDULE.keys())


@entries
def test_an_entry_names_a_task_that_a_worker_knows(entry: dict[str, Any]) -> None:
    app.loader.import_default_modules()
    assert entry["task"] in app.tasks


@entries
def test_an_entry_that_could_not_run_in_its_interval_is_void(entry: dict[str, Any]) -> None:
    when = entry["schedule"]
    interval = DAY if isinstance(when, crontab) else when.run_every.total_seconds()
    assert isinstance(when, schedule | crontab)
    assert 0 < entry["options"]["expires"] <= interval


@entries
def test_an_entry_has_a_limit_and_a_soft_limit_before_it(entry: dict[str, Any]) -> None:
    soft, hard = entry["options"]["soft_time_limit"], entry["options"]["time_limit"]
    assert 0 < soft < hard <= app.conf.task_time_limit, "leases are made for what all tasks keep to"


def test_every_task_of_ours_has_a_limit_and_a_soft_limit_however_it_is_rung_for() -> None:
    app.loader.import_default_modules()
    for name, task in app.tasks.items():
        soft = task.soft_time_limit or app.conf.task_soft_time_limit
        hard = task.time_limit or app.conf.task_time_limit
        assert 0 < soft < hard <= 60, name


def test_the_inbox_is_looked_into_every_few_seconds() -> None:
    dispatch = next(entry for entry in SCHEDULE.values() if entry["task"] == "apps.webhooks.tasks.dispatch")
    assert dispatch["schedule"].run_every.total_seconds() == 5


def test_beat_runs_this_schedule_and_no_other() -> None:
    assert app.conf.beat_schedule == SCHEDULE
