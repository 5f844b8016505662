"""The bundled server as `make run` starts it, once per module."""

from collections.abc import Iterator

import pytest

from tests.bad_input.server import Server, serving
from tests.webhooks.conftest import GitHub, MadeUpEvent, _remember_nothing_of_the_last_test, github, made_up_event

__all__ = ["GitHub", "MadeUpEvent", "_remember_nothing_of_the_last_test", "github", "made_up_event"]


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real process that keeps what it is sent in the database of the test."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running
