"""Log format: one JSON object per line (text on a terminal), without secrets and control characters."""

import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from apps.common.db import error_message, is_of_database
from apps.common.redaction import HIDDEN, redact

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
LONGEST_CHAIN = 10
UNSENT_EVERY_S = 60.0


def render(exc_info: ExcInfo) -> str:
    """Return the traceback of an exception and its causes, the first cause first."""
    return "\n\n".join(reversed([_one(error) for error in _chain(exc_info[1])]))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _one(error: BaseException) -> str:
    words = error_message(error) if is_of_database(error) else str(error)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{frames}{name}: {words}".rstrip(": ")


class PlainFailures(logging.Filter):
    """Log a failed task by name, id and exception; Celery's own line has its message and arguments.

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


SECRET_NAMES = re.compile(
    r"secret|password|passwd|authorization|cookie|private_key|api_key|fernet|signature|(^|_)token$", re.I
)
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
KEPT_IN_TRACEBACKS = ("exception", "stack")


@lru_cache(maxsize=1000)  # lines say the same few things about different deliveries
def is_secret(name: str) -> bool:
    """Return whether a field name says that its value is secret."""
    return SECRET_NAMES.search(name) is not None


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Structlog processor that redacts values that look like secrets or have a secret name."""
    return {name: HIDDEN if is_secret(name) else redact_value(value) for name, value in event.items()}


def escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Structlog processor that removes control characters, so that clients cannot forge lines."""
    return {
        name: _escaped(value, keep_newlines=name in KEPT_IN_TRACEBACKS) if isinstance(value, str) else value
        for name, value in event.items()
    }


def redact_value(value: Any) -> Any:
    """Return the value without secrets at any depth."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: HIDDEN if is_secret(str(key)) else redact_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def _escaped(text: str, *, keep_newlines: bool) -> str:
    lines = text if keep_newlines else text.replace("\n", "\\n")
    return CONTROL_CHARACTERS.sub(lambda match: match.group().encode("unicode_escape").decode(), lines)


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
LAST: list[Processor] = [
    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    structlog.processors.ExceptionRenderer(render),
    hide_secrets,
    escape_control_characters,
]


def logging_configuration(*, role: str) -> dict[str, Any]:
    """Return Django's LOGGING: everything to standard error, warnings of libraries and our own messages."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [*LAST, _renderer()],
                "foreign_pre_chain": [structlog.stdlib.ExtraAdder(), *SHARED, _role_of(role)],
            },
        },
        "filters": {"plain_failures": {"()": PlainFailures}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "structured", "filters": ["plain_failures"]}
        },
        "root": {"handlers": ["stderr"], "level": "INFO" if role != "command" else "WARNING"},
        "loggers": {
            "celery.app.trace": {"level": "WARNING"},  # a line per task says nothing that the outcome's line does not
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "axes": {"level": "WARNING"},  # four lines for each sign-in; a failed one and a lock-out are warnings
            "django.request": {"level": "ERROR"},  # each 401 of a flood is counted, not written
        },
    }


def _renderer() -> Processor:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer()


def _role_of(role: str) -> Processor:
    def add_role(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**event, "role": role}

    return add_role
