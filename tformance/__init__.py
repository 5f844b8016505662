"""The project: settings, the Celery application, urls and the embedded services."""

from tformance.celery import app as celery_app

__all__ = ("celery_app",)
