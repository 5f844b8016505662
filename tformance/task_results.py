"""Results of Celery tasks, stored without secrets."""

from typing import Any

from celery import states
from django_celery_results.backends.database import DatabaseBackend  # type: ignore[import-untyped]

from apps.common.redaction import redact
from tformance.log_format import redact_value


class RedactedResults(DatabaseBackend):  # type: ignore[misc]
    """Results of tasks in the database: exceptions and tracebacks without secrets, return values unchanged."""

    def _store_result(
        self, task_id: str, result: Any, status: str, traceback: str | None = None, **options: Any
    ) -> Any:
        shown = redact_value(result) if status in states.EXCEPTION_STATES else result
        return super()._store_result(
            task_id, shown, status, traceback=None if traceback is None else redact(traceback), **options
        )
