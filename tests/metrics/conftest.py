"""The cast of fixture A."""

import pytest

from apps.teams.models import Team
from tests.metrics import fixture_a


@pytest.fixture
def teams(db: None) -> dict[str, Team]:
    return fixture_a.make_teams()
