"""Every task reaches a queue that a worker reads."""

import pytest

from tformance.celery import app


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("apps.webhooks.tasks.process_deliveries", "live"),
        ("apps.webhooks.tasks.dispatch", "live"),
        ("apps.webhooks.tasks.prune_bodies", "maintenance"),
        ("apps.metrics.tasks.recalculate_stale", "figures"),
        ("apps.metrics.tasks.update_metrics", "figures"),
        ("apps.monitoring.tasks.check_status", "maintenance"),
        ("celery.backend_cleanup", "maintenance"),
    ],
)
def test_a_task_goes_to_its_queue(task, queue):
    assert app.amqp.router.route({}, task)["queue"].name == queue
