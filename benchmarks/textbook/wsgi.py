"""The textbook door on the same server, behind the same guard against slow bodies."""

from django.core.wsgi import get_wsgi_application

from tformance.slow_upload_guard import SlowBodiesCut

application = SlowBodiesCut(get_wsgi_application())
