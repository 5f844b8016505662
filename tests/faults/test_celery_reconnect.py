"""A worker whose acknowledgements were lost must not stay deaf (tformance/celery_reconnect.py)."""

import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from kombu import Consumer, Queue

from tformance.celery_reconnect import MOST_LOOKS, DeafWorkerError, Hearing

WINDOW = 2


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    """A real consumer on the suite's Redis whose prefetch window is full of messages that nobody acknowledges."""
    queue = Queue(f"deaf-{uuid.uuid4()}", routing_key="deaf", auto_delete=True)
    with current_app.connection_for_read() as connection:
        channel = connection.channel()
        channel.basic_qos(0, WINDOW, False)
        consumer = Consumer(channel, queues=[queue], callbacks=[lambda body, message: None])
        consumer.consume()
        producer = connection.Producer()
        for _ in range(WINDOW):
            producer.publish({}, routing_key=queue.name)
            connection.drain_events(timeout=10)
        assert not channel.qos.can_consume()
        yield consumer
        channel.qos._delivered.clear()
        consumer.queues[0].delete()


def look(hearing: Hearing, consumer: Consumer, *, times: int) -> None:
    parent: Any = SimpleNamespace(task_consumer=consumer)
    for _ in range(times):
        hearing._look(parent)


def test_messages_that_nobody_will_acknowledge_make_the_consumer_start_over(consumer: Consumer) -> None:
    with pytest.raises(DeafWorkerError):
        look(Hearing(None), consumer, times=MOST_LOOKS)


def test_that_is_an_error_on_which_celery_reconnects() -> None:
    with current_app.connection_for_read() as connection:
        assert issubclass(DeafWorkerError, connection.connection_errors)


def test_an_acknowledgement_under_way_is_waited_for(consumer: Consumer) -> None:
    look(Hearing(None), consumer, times=MOST_LOOKS - 1)


def test_messages_whose_tasks_still_run_are_left_alone(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {tag: SimpleNamespace(message=SimpleNamespace(delivery_tag=tag)) for tag in consumer.channel.qos._delivered}
    monkeypatch.setattr("tformance.celery_reconnect.requests", tasks)
    look(Hearing(None), consumer, times=MOST_LOOKS * 2)


def test_every_worker_listens() -> None:
    assert Hearing in current_app.steps["consumer"]
