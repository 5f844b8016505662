"""All families of checks, in their order: what others need comes first."""

from functools import partial

from apps.github.auth import GitHubAccess
from apps.monitoring.doctor import app, broker, configuration, database, installations, standing
from apps.monitoring.doctor.checks import Family

OF_GITHUB = ("GITHUB_API_URL", "GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY_FILE")
TABLES = ("database", "migrations")


def all_families(access: GitHubAccess) -> tuple[Family, ...]:
    """The whole examination."""
    return (*of_this_instance(), *of_github(access))


def of_this_instance() -> tuple[Family, ...]:
    """What runs here, and how its work stands."""
    return (
        Family(title="settings", names=configuration.NAMES, examine=configuration.examine_configuration, longest_s=5.0),
        Family(
            title="database",
            names=database.NAMES,
            examine=database.examine_database,
            longest_s=5.0,
            asks_somebody=True,
            rests_on=("DATABASE_URL",),
        ),
        Family(
            title="redis",
            names=broker.NAMES,
            examine=broker.examine_redis,
            longest_s=3.0,
            asks_somebody=True,
            rests_on=("REDIS_URL",),
        ),
        Family(
            title="workers and beat",
            names=broker.NAMES_OF_PRESENCE,
            examine=broker.examine_presence,
            longest_s=2.0,
            needs=("redis",),
        ),
        Family(title="work", names=standing.NAMES, examine=standing.examine_standing, longest_s=4.0, needs=TABLES),
    )


def of_github(access: GitHubAccess) -> tuple[Family, ...]:
    """The App there, and the accounts that it is on."""
    return (
        Family(
            title="github",
            names=app.NAMES,
            examine=partial(app.examine_app, access),
            longest_s=8.0,
            asks_somebody=True,
            rests_on=OF_GITHUB,
        ),
        Family(
            title="installations",
            names=installations.NAMES,
            examine=partial(installations.examine_installations, access),
            longest_s=8.0,
            needs=(*TABLES, "github credentials"),
        ),
    )
