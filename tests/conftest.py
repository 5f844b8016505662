"""What every test stands on: real engines, and settings that point at them.

pytest-django would load the settings before any conftest if DJANGO_SETTINGS_MODULE stood in pyproject.toml; so it is
set here, once there is a database to name. An xdist worker must not inherit it either: it would load the settings with
its controller's broker, and all workers would read one queue.
"""

import gc
import os
from functools import cache

import django
import pytest
from cryptography.hazmat.primitives import serialization

from tests.engines import use_engines

gc.disable()  # until all tests are imported: nearly all of it stays
serialization.load_pem_private_key = cache(serialization.load_pem_private_key)  # the App's key: 60 ms for each test
use_engines()
django.setup()
del os.environ["DJANGO_SETTINGS_MODULE"]

from django.conf import settings  # noqa: E402  Django is set up now
from pytest_django import DjangoDbBlocker  # noqa: E402

from tests.activity.tables import delete_instead_of_truncating  # noqa: E402
from tests.shared_rows import (  # noqa: E402
    pytest_collection_modifyitems,
    pytest_fixture_setup,
    pytest_runtest_setup,
)
from tests.template import use_template  # noqa: E402

__all__ = ["pytest_collection_modifyitems", "pytest_fixture_setup", "pytest_runtest_setup"]

delete_instead_of_truncating()
# The tests' account has a handful of pull requests; those of suppression have the default.
settings.SMALLEST_GROUP_ACROSS_TEAMS = 1
# A hasher for production takes half a second a sign-in.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: DjangoDbBlocker
) -> None:
    """Copy the database of this process from a template."""
    with django_db_blocker.unblock():
        use_template()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Collect garbage from now on, and never look at what was there before: that takes a second each time."""
    gc.freeze()
    gc.enable()
