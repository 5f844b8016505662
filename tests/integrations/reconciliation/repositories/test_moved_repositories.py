"""Renamed, transferred, gone: the repository is found again by its id, and spoils nothing beside it."""

from typing import Any

import pytest

from apps.activity.models import Installation, Issue, PullRequest, Repository
from apps.demo.shapes.accounts import Account, user
from apps.integrations.models import RepositorySync
from apps.teams.models import Team
from tests.fake_github import faults
from tests.fake_github.answering import Answered, Asked
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BETA, WEB
from tests.integrations.backfill.installed import install, reach
from tests.integrations.reconciliation.repositories.night_runs import Nights
from tests.integrations.refresh.live_repository import DAY, HOUR, LiveRepository
from tests.integrations.streams.pull_request_rows import differences

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(fake: FakeGitHub, api: LiveRepository, nights: Nights) -> LiveRepository:
    """Another repository beside it."""
    told = LiveRepository(fake, "web", WEB).open(1, ago=9 * DAY).deliver()
    nights.backfill()
    nights.run()
    nights.pass_time(DAY)
    return told


def state_of(rows: list[RepositorySync]) -> dict[int, tuple[str, str]]:
    return {row.repository_id: (row.state, row.reason) for row in rows}


@pytest.mark.proof
def test_a_renamed_repository_is_read_under_its_new_name_and_keeps_it(
    fake: FakeGitHub, api: LiveRepository, web: LiveRepository, nights: Nights
) -> None:
    api.open(3, ago=HOUR)
    api.happen()
    truth = fake.world.repositories[API]
    fake.world.rename(truth, "acme/engine")
    rows = nights.run()
    assert state_of(rows) == {API: ("done", ""), WEB: ("done", "")}
    assert Repository.objects.get(pk=API).full_name == "acme/engine"
    assert differences(truth, numbers=[1, 2, 3]) == []


@pytest.mark.proof
def test_where_another_repository_has_the_name_it_is_found_by_its_id(
    fake: FakeGitHub, api: LiveRepository, web: LiveRepository, nights: Nights
) -> None:
    truth = fake.world.repositories[API]
    fake.world.rename(truth, "acme/engine")
    fake.world.rename(fake.world.repositories[WEB], "acme/api")
    rows = nights.run()
    assert state_of(rows) == {API: ("done", ""), WEB: ("done", "")}
    names = dict(Repository.objects.values_list("pk", "full_name"))
    assert names == {API: "acme/engine", WEB: "acme/api"}


@pytest.mark.proof
def test_a_transferred_repository_is_read_by_the_installation_that_reaches_it_now(
    fake: FakeGitHub, api: LiveRepository, web: LiveRepository, nights: Nights
) -> None:
    api.open(3, ago=HOUR)
    api.happen()
    truth = fake.world.repositories[API]
    beta = Account(600, "beta", "Organization")
    fake.world.install(BETA, beta)
    fake.world.transfer(truth, "beta/api", installation_id=BETA)
    truth.json = {**truth.json, "owner": user(beta)}
    install(BETA, login="beta", account_id=600)
    reach("beta/api", API, installation_id=BETA, owner_id=600)
    rows = nights.run()
    assert state_of(rows) == {API: ("done", ""), WEB: ("done", "")}
    assert differences(truth, numbers=[1, 2, 3]) == []


@pytest.mark.proof
def test_one_that_is_gone_fails_alone_and_has_the_installations_listed(
    fake: FakeGitHub, api: LiveRepository, web: LiveRepository, nights: Nights
) -> None:
    before = Installation.objects.get(pk=ACME).needs_listing_at
    fake.world.transfer(fake.world.repositories[API], "elsewhere/api", installation_id=None)
    rows = nights.run()
    assert state_of(rows) == {API: ("failed", "gone"), WEB: ("done", "")}
    after = Installation.objects.get(pk=ACME).needs_listing_at
    assert after is not None
    assert before is None or after > before
    assert PullRequest.objects.filter(repository=API).count() == 2, "losing access deletes nothing"


@pytest.mark.proof
def test_one_whose_place_cannot_be_used_fails_alone(
    fake: FakeGitHub, api: LiveRepository, web: LiveRepository, nights: Nights
) -> None:
    def spoil(asked: Asked, answer: Answered) -> Answered:
        for found in answer.body["data"].values():
            if found.get("databaseId") == API:
                found["issues"] = None
        return answer

    fake.spoil(Fault(spoil, faults.graphql, times=1, is_instead=False))
    rows = nights.run()
    assert state_of(rows) == {API: ("failed", "unusable"), WEB: ("done", "")}


@pytest.mark.proof
def test_nothing_of_a_strangers_account_is_asked(
    fake: FakeGitHub, api: LiveRepository, web: LiveRepository, nights: Nights, settings: Any
) -> None:
    settings.ALLOWED_ACCOUNTS = ["somebody-else"]
    Team.objects.update(is_approved=False)
    asked = len(fake.log)
    rows = nights.run()
    assert state_of(rows) == {API: ("failed", "no_installation"), WEB: ("failed", "no_installation")}
    assert len(fake.log) == asked
    assert Issue.objects.exists()
