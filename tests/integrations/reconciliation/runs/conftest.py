"""The cast of runs: an App with credentials, a team with two repositories, and workers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from apps.teams.models import Team
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.using import API, BETA, WEB
from tests.integrations.backfill.installed import ACCOUNT, install, reach
from tests.integrations.reconciliation.runs.run_workers import Workers, forget_messages

OLD = datetime(2026, 1, 1, tzinfo=UTC)
MONDAY_NIGHT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
ZOO_ACCOUNT, ZOO = 600, 21


@pytest.fixture
def credentials(settings: Any) -> None:
    """Credentials for GitHub, with which nobody asks in these tests."""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()


@pytest.fixture
def acme(db: None, credentials: None) -> Team:
    """Team acme with `acme/api` and `acme/web`, there since January."""
    install()
    reach()
    reach("acme/web", WEB)
    return make_team("acme", ACCOUNT)


@pytest.fixture
def zoo(acme: Team) -> Team:
    """Another account's team, with `zoo/ark`."""
    install(BETA, login="zoo", account_id=ZOO_ACCOUNT)
    reach("zoo/ark", ZOO, installation_id=BETA, owner_id=ZOO_ACCOUNT)
    return make_team("zoo", ZOO_ACCOUNT)


@pytest.fixture
def workers(db: None) -> Iterator[Workers]:
    forget_messages()
    yield Workers()
    forget_messages()


def make_team(slug: str, account_id: int | None = None, **about: Any) -> Team:
    """A team that is there since January."""
    team: Team = Team.objects.create(name=slug.title(), slug=slug, account_id=account_id, **about)
    Team.objects.filter(pk=team.pk).note_sync(created_at=OLD)
    return team


__all__ = ["API", "MONDAY_NIGHT", "OLD", "WEB", "ZOO", "make_team"]
