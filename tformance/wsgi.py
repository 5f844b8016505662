"""The WSGI application that granian serves."""

import gc
import os
import threading

from django.core.wsgi import get_wsgi_application
from django.urls import reverse
from django.utils.module_loading import import_string

from tformance.environment import settings_errors_in_one_line
from tformance.slow_upload_guard import SlowBodiesCut

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tformance.settings")

with settings_errors_in_one_line():
    pages = get_wsgi_application()
WebhookMiddleware = import_string(
    "apps.webhooks.wsgi_middleware.WebhookMiddleware"
)  # there is no importing it before Django is set up
application = SlowBodiesCut(WebhookMiddleware(pages))
reverse("webhooks:github")  # imports every view, which the first request would wait for
threading.Thread(
    target=import_string("apps.metrics.figures.compiled_rows.compile_usual_rows"), name="compile-figures", daemon=True
).start()
gc.freeze()  # what is there now stays: no collection need look through it again
