"""Logs: one JSON object a line (words on a terminal), never a secret, never a control character."""

import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from apps.common.redaction import HIDDEN, redact
from tformance.log_exceptions import PlainFailures, render

SECRET_NAMES = re.compile(
    r"secret|password|passwd|authorization|cookie|private_key|api_key|fernet|signature|(^|_)token$", re.I
)
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
KEPT_IN_TRACEBACKS = ("exception", "stack")


@lru_cache(maxsize=1000)  # lines say the same few things about different deliveries
def is_secret(name: str) -> bool:
    """Whether a name says that its value is nobody's business."""
    return SECRET_NAMES.search(name) is not None


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: values that look like secrets, and values under names that say they are."""
    return {name: HIDDEN if is_secret(name) else redact_value(value) for name, value in event.items()}


def escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: what a client sent can neither start a line nor steer a terminal."""
    return {
        name: _escaped(value, keep_newlines=name in KEPT_IN_TRACEBACKS) if isinstance(value, str) else value
        for name, value in event.items()
    }


def redact_value(value: Any) -> Any:
    """Return the value without secrets, whatever is nested in it."""
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
    """Django's LOGGING: everything to standard error, warnings of libraries and our own news."""
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
