"""Repositories of which only the last months were read, and those that were renamed, transferred or are gone."""

from datetime import timedelta
from typing import Any

import pytest

from apps.activity.models import Installation, Issue, IssueComment, PullRequest, Repository
from apps.demo.issue_life import IssueLife
from apps.demo.shapes.accounts import Account, user
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill, RepositorySync, StreamMark
from apps.integrations.reconciliation.deletions import DELETABLE
from apps.teams.models import Team
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.generated import PEOPLE
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BETA, WEB
from tests.fake_github.world import delete_issue, delete_issue_comment, delete_review_comment
from tests.integrations.backfill.installed import install, reach
from tests.integrations.reconciliation.deletions.searching import outcomes, search
from tests.integrations.reconciliation.repositories.conftest import LONG_AGO
from tests.integrations.reconciliation.repositories.night_runs import HOURS, Nights
from tests.integrations.reconciliation.workers import begin_sync, drift_of
from tests.integrations.refresh.live_repository import DAY, HOUR, MINUTE, LiveRepository, now
from tests.integrations.true_rows import differences

pytestmark = pytest.mark.django_db(transaction=True)
LATELY = 5 * DAY


@pytest.fixture
def late(fake: FakeGitHub, nights: Nights) -> LiveRepository:
    """A repository with issues, comments and pull requests of weeks ago, and others of which the history was read."""
    live = LiveRepository(fake)
    live.open(1, 2, ago=LATELY)
    live.deliver()
    live.open(3, ago=LONG_AGO)
    live.lives[3].remark(now() - LONG_AGO, by=PEOPLE[1])
    for number in (41, 42, 43):
        discuss(live, number, ago=LONG_AGO)
    for number in (51, 52, 53):
        discuss(live, number, ago=LATELY)
    live.lives[1].remark(now() - LATELY, by=PEOPLE[2])
    live.lives[2].remark(now() - LATELY, by=PEOPLE[1])
    live.happen()
    start(Repository.objects.all(), scope=Scope(since=now() - 2 * LATELY))
    nights.workers.work()
    nights.pass_time(HOURS)
    assert set(Issue.objects.values_list("number", flat=True)) == {51, 52, 53}
    assert IssueComment.objects.count() == 6
    return live


def discuss(live: LiveRepository, number: int, *, ago: timedelta) -> None:
    issue = IssueLife(live.place, number=number, author=PEOPLE[0], title="Trouble", body="It hurts.")
    at = now() - ago
    issue.open(at)
    issue.comment(at, by=PEOPLE[1])
    issue.comment(at, by=PEOPLE[2])


def night(nights: Nights) -> RepositorySync:
    StreamMark.objects.update(reread_at=now())  # whatever day it is, this repository is not due
    [row] = nights.run()
    assert (row.state, row.error) == ("done", "")
    nights.pass_time(DAY)
    return row


def something_happens(late: LiveRepository, number: int = 54) -> None:
    """Both issues and pull requests differ from what the last probe showed."""
    discuss(late, number, ago=HOUR)
    late.lives[1].label(now() - MINUTE, f"label {number}")
    late.happen()


@pytest.mark.proof
def test_history_that_was_never_read_does_not_count_as_lost(late: LiveRepository, nights: Nights) -> None:
    night(nights)
    for number in (54, 55):
        something_happens(late, number)
        row = night(nights)
        assert Issue.objects.filter(number=number).exists()
        streams = list(Backfill.objects.filter(sync=row).values_list("stream", flat=True))
        assert len(streams) == len(set(streams)), "nothing is read twice"
        assert "short" not in outcomes(row).values()


@pytest.mark.proof
def test_deletions_are_found_though_part_of_the_history_was_never_read(
    fake: FakeGitHub, late: LiveRepository, nights: Nights
) -> None:
    night(nights)
    something_happens(late)
    truth = fake.world.repositories[API]
    delete_issue(truth, 52)
    delete_issue_comment(truth, truth.issue_comments[53][0]["id"])
    delete_review_comment(truth, late.truth(2).review_comments[0]["id"])
    row = night(nights)
    deleted = drift_of(row, "deleted")
    assert {name: counts for name, counts in deleted.items() if counts != (0,)} == {
        "issues": (1,),
        "issue_comments": (3,),
        "review_comments": (1,),
    }
    assert set(Issue.objects.filter(deleted_at=None).values_list("number", flat=True)) == {51, 53, 54}
    again = begin_sync(row.repository)
    assert search(again, nights.access).is_complete
    assert outcomes(again) == dict.fromkeys(DELETABLE, "agrees")


@pytest.mark.proof
def test_later_losses_are_found_though_part_of_the_history_was_never_read(late: LiveRepository, nights: Nights) -> None:
    night(nights)
    something_happens(late)
    night(nights)
    lost = Issue.objects.get(number=51)
    Issue.objects.filter(pk=lost.pk).delete()
    something_happens(late, 55)
    night(nights)
    assert Issue.objects.filter(number=51).exists()


@pytest.fixture
def web(fake: FakeGitHub, api: LiveRepository, nights: Nights) -> LiveRepository:
    """Another repository beside it."""
    live = LiveRepository(fake, "web", WEB).open(1, ago=9 * DAY).deliver()
    nights.backfill()
    nights.run()
    nights.pass_time(DAY)
    return live


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
def test_a_repository_whose_name_another_one_took_is_found_by_its_id(
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
def test_a_repository_that_is_gone_fails_alone_and_has_the_installations_listed(
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
def test_a_repository_whose_probe_is_unusable_fails_alone(
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
def test_no_request_is_made_about_an_unaccepted_account(
    fake: FakeGitHub, api: LiveRepository, web: LiveRepository, nights: Nights, settings: Any
) -> None:
    settings.ALLOWED_ACCOUNTS = ["somebody-else"]
    Team.objects.update(is_approved=False)
    asked = len(fake.log)
    rows = nights.run()
    assert state_of(rows) == {API: ("failed", "no_installation"), WEB: ("failed", "no_installation")}
    assert len(fake.log) == asked
    assert Issue.objects.exists()
