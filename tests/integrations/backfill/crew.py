"""Workers in a test: they take real messages from the real broker, and walk as a task would."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from celery import current_app
from django.db import connection

from apps.github.auth import GitHubAccess
from apps.integrations.backfill import wakeups
from apps.integrations.backfill.run import TURN_S, advance
from apps.integrations.models import Backfill
from apps.integrations.reader import StreamReader
from apps.integrations.streams import STREAMS

QUEUE = "backfill"


@dataclass(frozen=True, slots=True)
class Message:
    """What told a worker of a walk."""

    task_id: str
    backfill_id: int


@dataclass(slots=True, kw_only=True)
class Crew:
    """Those who walk; `tasks` is what they were told of so far."""

    access: GitHubAccess
    walks: Mapping[str, StreamReader] = field(default_factory=lambda: STREAMS)
    seconds: float = TURN_S
    tasks: list[Message] = field(default_factory=list)

    def advance(self, backfill: Backfill, *, task_id: str = "a task", is_redelivered: bool = False) -> Backfill:
        """Walk one backfill as a message of this id has it; the row afterwards."""
        self._advance(Message(task_id, backfill.pk), is_redelivered=is_redelivered)
        backfill.refresh_from_db()
        return backfill

    def ring(self) -> int:
        """What beat does every five seconds."""
        return wakeups.enqueue_deliveries(None)

    def work(self, *, hands: int = 1) -> int:
        """Work off messages until there is none; how many there were."""
        before = len(self.tasks)
        if hands == 1:
            self._work_off()
        else:
            with ThreadPoolExecutor(hands) as workers:
                for done in [workers.submit(self._work_off_elsewhere) for _ in range(hands)]:
                    done.result()
        return len(self.tasks) - before

    def _work_off(self) -> None:
        while (message := take_message()) is not None:
            self.tasks.append(message)
            self._advance(message, is_redelivered=False)

    def _work_off_elsewhere(self) -> None:
        """On a thread, and so a database connection, of its own."""
        try:
            self._work_off()
        finally:
            connection.close()

    def _advance(self, message: Message, *, is_redelivered: bool) -> None:
        advance(
            message.backfill_id,
            task_id=message.task_id,
            is_redelivered=is_redelivered,
            access=self.access,
            streams=self.walks,
            seconds=self.seconds,
        )


def take_message() -> Message | None:
    """The next message of the queue, taken for good."""
    with current_app.connection_for_read() as broker:
        message: Any = current_app.amqp.queues[QUEUE](broker.default_channel).get(no_ack=True)
    return None if message is None else Message(message.headers["id"], message.payload[0][0])


def forget_messages() -> None:
    """Empty the queue."""
    with current_app.connection_for_write() as broker:
        broker.default_channel.queue_purge(QUEUE)
