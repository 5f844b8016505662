"""Exceptions in logs: where they came from and what they were, without what was being read when they came."""

import logging
import time
import traceback
from collections.abc import Iterator
from types import TracebackType

from apps.common.db import is_of_database, words_of

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
LONGEST_CHAIN = 10
UNSENT_EVERY_S = 60.0


def render(exc_info: ExcInfo) -> str:
    """The traceback of an exception and of those behind it, the first one first."""
    return "\n\n".join(reversed([_one(error) for error in _chain(exc_info[1])]))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _one(error: BaseException) -> str:
    words = words_of(error) if is_of_database(error) else str(error)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{frames}{name}: {words}".rstrip(": ")


class PlainFailures(logging.Filter):
    """A task that failed is told by its name, id and exception: Celery's own line has its text and its arguments.

    What beat cannot send while Redis is away is one line a minute, instead of two stacks for each entry.
    """

    _silent_until_s = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "celery.beat" and record.msg.startswith("Message Error"):
            return self._is_first_unsent(record)
        context = getattr(record, "data", None)
        if isinstance(context, dict) and "exc" in context:
            record.msg, record.args = "task_failed", ()
            record.task, record.task_id = context.get("name"), context.get("id")
            del record.data  # type: ignore[attr-defined]  # it holds the arguments and the traceback once more
        return True

    def _is_first_unsent(self, record: logging.LogRecord) -> bool:
        if time.monotonic() < self._silent_until_s:
            return False
        self._silent_until_s = time.monotonic() + UNSENT_EVERY_S
        record.error = str(record.args[0]) if isinstance(record.args, tuple) else ""
        record.msg, record.args, record.exc_info = "beat_cannot_send", (), None
        return True
