"""One rig for a module: it takes longer to start than most tests to run."""

from collections.abc import Iterator

import pytest

from tests.rig.machine import Rig
from tests.rig.machine import rig as make_rig


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with make_rig() as made:
        yield made
