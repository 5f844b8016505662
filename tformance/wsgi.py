"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

from tformance.slow_bodies import SlowBodiesCut

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tformance.settings")

application = SlowBodiesCut(get_wsgi_application())
