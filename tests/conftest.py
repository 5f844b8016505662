"""What every test stands on: real engines, and settings that point at them.

pytest-django would load the settings before any conftest if DJANGO_SETTINGS_MODULE stood in pyproject.toml; so it is
set here, once there is a database to name.
"""

import django

from tests.engines import use_engines

use_engines()
django.setup()

from tests.emptying import delete_instead_of_truncating  # noqa: E402  Django is set up now

delete_instead_of_truncating()
