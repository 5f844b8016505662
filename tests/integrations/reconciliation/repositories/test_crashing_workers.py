"""Workers die at a repository at random, at each point of its work, or always: the night ends whole."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from apps.activity.models import Coverage, Repository
from apps.common.failpoints import SYNC_POINTS
from apps.github.auth import GitHubAccess
from apps.github.responses import Answer
from apps.integrations.models import Backfill, RepositorySync, StreamMark
from apps.integrations.outcomes import MOST_ATTEMPTS
from apps.jobs import wakeups as job_wakeups
from apps.jobs.claims import claim
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API
from tests.integrations.backfill.installed import reach
from tests.integrations.backfill.real_worker import let_a_minute_pass, working
from tests.integrations.reconciliation.repositories.night_runs import Nights
from tests.integrations.refresh.live_repository import MINUTE, LiveRepository
from tests.integrations.true_rows import differences
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)
MOST_DEATHS = 20


class Killed(BaseException):
    """As a worker dies: nothing of what it holds is given back."""


@pytest.fixture
def beside(fake: FakeGitHub, api: LiveRepository, nights: Nights) -> list[Repository]:
    """Repositories on both sides of the killer, by their ids."""
    found = []
    for number in (3, 5, 901, 902, 903):
        fake.world.add(f"r{number}", installation_id=ACME, repository_id=number)
        found.append(reach(f"acme/r{number}", number))
    assert {one.pk < API for one in found} == {True, False}
    nights.cover(found)
    return found


def bury() -> None:
    """Their leases run out."""
    RepositorySync.objects.filter(state="running").update(lease_until="2020-01-01T00:00:00Z")


class Deadly(GitHubAccess):
    """Whoever asks for `acme/api` does not survive the answer."""

    def graphql(self, document: str, variables: Mapping[str, Any], **about: Any) -> Answer:
        if "api" in variables.values():
            raise Killed
        return super().graphql(document, variables, **about)


@pytest.mark.proof
def test_a_repository_that_crashes_workers_does_not_block_others(beside: list[Repository], nights: Nights) -> None:
    nights.access = Deadly(client=nights.access.client, tokens=nights.access.tokens)
    nights.begin()
    for _ in range(MOST_DEATHS):
        try:
            nights.probe()
        except Killed:
            bury()
        else:
            break
    ended = dict(RepositorySync.objects.values_list("repository", "reason"))
    assert ended == {API: "crashed", **{one.pk: "" for one in beside}}
    assert not nights.unfinished().exists()


@pytest.mark.proof
def test_a_repository_whose_verification_crashes_workers_fails_in_the_end(api: LiveRepository, nights: Nights) -> None:
    [row] = nights.begin()
    RepositorySync.objects.update(probed_at=row.created_at)
    for _ in range(MOST_ATTEMPTS + 1):
        assert claim(row.pk, task_id="killed") is not None
        bury()
    nights.verify(row)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("failed", "crashed")


QUEUES = "backfill,maintenance"


def enqueue_until_finished(crash: Path) -> None:
    """Beat goes on ringing; what the dead still hold is free as soon as they are dead."""

    def is_over() -> bool:
        if not crash.exists():
            RepositorySync.objects.all().jobs.filter(state="running").update(lease_until="2020-01-01T00:00:00Z")
            let_a_minute_pass()
        job_wakeups.enqueue_due()
        return not RepositorySync.objects.filter(state__in=RepositorySync.UNFINISHED).exists()

    eventually(is_over)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_a_crash_at_any_point_repeats_work_and_doubles_nothing(
    fake: FakeGitHub, api: LiveRepository, nights: Nights, tmp_path: Path, settings: Any
) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = str(APP_ID), app_pem()
    nights.run()
    with working(fake, crash_folder=tmp_path, queues=QUEUES):
        for number, point in enumerate(sorted(SYNC_POINTS), start=3):
            api.open(number, ago=MINUTE)
            api.happen()
            (tmp_path / point).touch()
            [row] = nights.begin()
            enqueue_until_finished(tmp_path / point)
            row.refresh_from_db()
            assert not (tmp_path / point).exists(), f"no worker reached {point}"
            assert (row.state, row.error) == ("done", ""), point
            truth = fake.world.repositories[API]
            assert differences(truth, numbers=range(1, number + 1)) == [], point
            read = Counter(Backfill.objects.filter(sync=row).values_list("stream", flat=True))
            assert set(read.values()) == {1}, point
            assert StreamMark.objects.count() == Coverage.objects.count() == 8, point
            assert set(StreamMark.objects.values_list("passed_at", flat=True)) == {row.probed_at}, point
