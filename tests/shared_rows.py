"""Rows that many tests begin with: made once for the tests in a row that want them.

A fixture marked with `@shared_rows` makes rows and nothing else, no settings and no cache; its arguments are `db` and
others of its kind. The rows are in a transaction that stays open below those of the tests, which is rolled back for the
next test that does without. Each test has its own copy of what the fixture returned. A test whose transactions are real
ones makes the rows for itself.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import wraps
from itertools import groupby
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django.plugin import blocking_manager_key


@dataclass(frozen=True, slots=True)
class SharedRows:
    """Rows that are there, and what their fixture returned."""

    name: str
    make: Callable[..., Any]
    value: Any
    transaction: transaction.Atomic


_made: list[SharedRows] = []


def shared_rows(make: Callable[..., Any]) -> Callable[..., Any]:
    """Have the rows of a fixture stay for the next test that wants them."""

    @wraps(make)
    def fixture(*arguments: Any, **named: Any) -> Any:
        for rows in _made:
            if rows.make is make:
                return deepcopy(rows.value)
        return make(*arguments, **named)

    fixture.makes = make  # type: ignore[attr-defined]
    return fixture


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Let the tests of a module that want the same rows follow each other."""
    ordered: list[Any] = []
    for _, tests in groupby(items, key=lambda item: (item.path, is_transactional(item))):
        ordered += sorted(tests, key=lambda item: list(wanted_by(item)))
    items[:] = ordered


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: Any) -> None:
    """Roll back what the test does not want."""
    with item.config.stash[blocking_manager_key].unblock():
        wanted = list(wanted_by(item).values())
        while _made and (connection.closed_in_transaction or [rows.make for rows in _made] != wanted[: len(_made)]):
            transaction.set_rollback(True)
            _made.pop().transaction.__exit__(None, None, None)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> None:
    """Make what is missing, just before the test's own transaction begins."""
    if fixturedef.argname == "_django_db_helper":
        with request.config.stash[blocking_manager_key].unblock():
            for name, make in list(wanted_by(request.node).items())[len(_made) :]:
                _made.append(_make(name, make, arguments=fixture_arguments(request.node, name)))


def _make(name: str, make: Callable[..., Any], *, arguments: tuple[str, ...]) -> SharedRows:
    values = {rows.name: rows.value for rows in _made}
    own = transaction.atomic()
    own.__enter__()
    try:
        return SharedRows(name, make, make(**{argument: values.get(argument) for argument in arguments}), own)
    except BaseException:
        transaction.set_rollback(True)
        own.__exit__(None, None, None)
        raise


def wanted_by(item: Any) -> dict[str, Callable[..., Any]]:
    """Return what makes the shared rows of a test by the names of the fixtures, those that others need first."""
    wanted: dict[str, Callable[..., Any]] = {}

    def add(name: str) -> None:
        fixtures = item._fixtureinfo.name2fixturedefs.get(name)
        if name not in wanted and (make := fixtures and getattr(fixtures[-1].func, "makes", None)):
            for argument in fixtures[-1].argnames:
                add(argument)
            wanted[name] = make

    if not is_transactional(item):
        for name in getattr(item, "fixturenames", ()):
            add(name)
    return wanted


def fixture_arguments(item: Any, name: str) -> tuple[str, ...]:
    return item._fixtureinfo.name2fixturedefs[name][-1].argnames  # type: ignore[no-any-return]


def is_transactional(item: Any) -> bool:
    """Say whether the transactions of a test are real ones."""
    marker = item.get_closest_marker("django_db")
    return bool(marker and marker.kwargs.get("transaction")) or not {"transactional_db", "live_server"}.isdisjoint(
        getattr(item, "fixturenames", ())
    )
