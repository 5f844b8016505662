"""The cast of fixture A."""

import pytest

from apps.teams.models import Team
from tests.metrics import fixture_a
from tests.metrics.steps import record_steps
from tests.shared_rows import shared_rows


@pytest.fixture
@shared_rows
def teams(db: None) -> dict[str, Team]:
    return fixture_a.make_teams()


@pytest.fixture
@shared_rows
def worked_example(teams: dict[str, Team]) -> dict[str, Team]:
    """The teams, after the week of fixture A."""
    record_steps(fixture_a.steps())
    return teams
