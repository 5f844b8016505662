"""The Celery application: the doorbell. It carries ids and never payloads."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tformance.settings")

app = Celery("tformance")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
