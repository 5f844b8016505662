"""Each app has one migration that stands for all before it: a database that has those is not migrated again."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

INITIAL = "0001_squashed_initial"


def initial_migrations() -> dict[str, list[tuple[str, str]]]:
    """Return what the initial migration of each app replaces."""
    found = MigrationLoader(None).disk_migrations
    return {app: list(one.replaces) for (app, name), one in found.items() if name == INITIAL}


@pytest.mark.django_db
def test_a_database_of_the_version_before_has_nothing_left_to_migrate() -> None:
    applied = MigrationRecorder.Migration.objects.all()
    replaced = initial_migrations()
    assert "webhooks" in replaced
    for app, before in replaced.items():
        applied.filter(app=app, name=INITIAL).delete()
        applied.bulk_create(MigrationRecorder.Migration(app=app, name=name) for _, name in before)
    executor = MigrationExecutor(connection)
    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
    call_command("migrate", verbosity=0)
    assert set(applied.filter(name=INITIAL).values_list("app", flat=True)) == set(replaced)


def test_no_initial_migration_replaces_a_part_only() -> None:
    for app, before in initial_migrations().items():
        numbers = [int(name[:4]) for _, name in before]
        assert numbers == list(range(1, len(before) + 1)), app
