"""Backends that the settings name: the storage of static files, and the results of tasks."""

from typing import Any

from celery import states
from django_celery_results.backends.database import DatabaseBackend  # type: ignore[import-untyped]
from whitenoise.storage import CompressedManifestStaticFilesStorage

from apps.common.redaction import redact
from tformance.log_format import redact_value


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Static files with a hash of their content in the name, so that browsers can cache them forever.

    The plain name is used if `collectstatic` has not run.
    """

    manifest_strict = False

    def stored_name(self, name: str) -> str:
        """Return the file's name with its hash."""
        try:
            return str(super().stored_name(name))
        except ValueError:  # neither in the manifest nor collected
            return name


class RedactedResults(DatabaseBackend):  # type: ignore[misc]
    """Results of tasks in the database: exceptions and tracebacks without secrets, return values unchanged."""

    def _store_result(
        self, task_id: str, result: Any, status: str, traceback: str | None = None, **options: Any
    ) -> Any:
        shown = redact_value(result) if status in states.EXCEPTION_STATES else result
        return super()._store_result(
            task_id, shown, status, traceback=None if traceback is None else redact(traceback), **options
        )
