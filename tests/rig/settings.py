"""The settings of the rig's processes: production's, and events that misbehave."""

from tformance.settings import *  # noqa: F403
from tformance.settings import INSTALLED_APPS as PRODUCTION_APPS

INSTALLED_APPS = [*PRODUCTION_APPS, "tests.rig.bad_events"]
