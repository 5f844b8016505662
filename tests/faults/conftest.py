"""One rig on a machine at a time: it takes whatever it can get."""

from collections.abc import Iterator

import pytest

from tests.rig.machine import Rig
from tests.rig.machine import rig as make_rig
from tformance.local.state import exclusive, var_folder


@pytest.fixture
def rig() -> Iterator[Rig]:
    with exclusive(var_folder() / "rig.lock"), make_rig() as made:
        yield made
