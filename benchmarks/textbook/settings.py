"""The project's settings with another door."""

from tformance.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.textbook.urls"
