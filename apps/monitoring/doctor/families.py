"""The families of checks, for the command `doctor` and the page of checks."""

from functools import partial

from apps.github.auth import GitHubAccess
from apps.monitoring.doctor import configuration, github, installations, services, work
from apps.monitoring.doctor.checks import Family

OF_GITHUB = ("GITHUB_API_URL", "GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY_FILE")
TABLES = ("database", "migrations")


def all_families(access: GitHubAccess) -> tuple[Family, ...]:
    """Return all families."""
    return (*of_this_instance(), *of_github(access))


def of_this_instance() -> tuple[Family, ...]:
    """Return the families about this instance and its work."""
    return (
        Family(title="settings", names=configuration.NAMES, run=configuration.check_configuration, longest_s=5.0),
        Family(
            title="database",
            names=services.DATABASE_NAMES,
            run=services.check_database,
            longest_s=5.0,
            is_remote=True,
            settings=("DATABASE_URL",),
        ),
        Family(
            title="redis",
            names=services.REDIS_NAMES,
            run=services.check_redis,
            longest_s=3.0,
            is_remote=True,
            settings=("REDIS_URL",),
        ),
        Family(
            title="workers and beat",
            names=services.PRESENCE_NAMES,
            run=services.check_presence,
            longest_s=2.0,
            needs=("redis",),
        ),
        Family(title="work", names=work.NAMES, run=work.check_work, longest_s=4.0, needs=TABLES),
    )


def of_github(access: GitHubAccess) -> tuple[Family, ...]:
    """Return the families about the App at GitHub and its installations."""
    return (
        Family(
            title="github",
            names=github.APP_NAMES,
            run=partial(github.check_app, access),
            longest_s=8.0,
            is_remote=True,
            settings=OF_GITHUB,
        ),
        Family(
            title="installations",
            names=installations.NAMES,
            run=partial(installations.check_installations, access),
            longest_s=8.0,
            needs=(*TABLES, "github credentials"),
        ),
    )
