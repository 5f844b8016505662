"""The migration to rounds that may be unknown, and back, with rows whose rounds are unknown."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection

from apps.metrics.models import DerivedPullRequest
from apps.metrics.recalculation import drain
from apps.teams.models import Team
from tests.metrics.steps import PullRequestSteps, record_steps

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]


@pytest.fixture
def _unknown_rounds(teams: dict[str, Team]) -> Iterator[None]:
    """A pull request whose rounds are unknown; afterwards the tables are as they are now."""
    record_steps(PullRequestSteps(7, "ana").opened("03-06 10:00").steps)
    drain(seconds=20)
    assert DerivedPullRequest.objects.update(review_rounds=None) == 1
    yield
    call_command("migrate", "metrics", verbosity=0)


@pytest.mark.usefixtures("_unknown_rounds")
def test_unknown_rounds_do_not_bar_the_way_back_and_are_derived_anew_there() -> None:
    call_command("migrate", "metrics", "0001", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT review_rounds, rules_version FROM metrics_derivedpullrequest")
        assert cursor.fetchall() == [(0, 0)], "a version older than all rules"
