"""Where nothing changed, a repository costs its share of one point, and is covered up to the probe."""

import pytest

from apps.activity.models import Coverage
from apps.integrations.models import RepositorySync, StreamMark
from apps.integrations.streams import STREAM_NAMES
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import API
from tests.integrations.reconciliation.repositories.night_runs import DAY, Nights, backfills_of_runs
from tests.integrations.refresh.live_repository import LiveRepository

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_unchanged_repository_costs_one_request_and_is_covered_up_to_the_probe(
    fake: FakeGitHub, nights: Nights, api: LiveRepository
) -> None:
    asked = len(fake.log)
    [row] = nights.run()
    assert (row.state, row.reason, row.error, row.differs) == ("done", "", "", [])
    assert backfills_of_runs() == {}
    assert [(call.resource, call.cost) for call in fake.log[asked:] if call.resource != "app"] == [("graphql", 1)]
    assert row.probed_at is not None
    covered = Coverage.objects.filter(repository=API).values_list("stream", "to_at")
    assert dict(covered) == dict.fromkeys(STREAM_NAMES, row.probed_at)
    assert len(covered) == 8
    marks = StreamMark.objects.filter(repository=API)
    assert {mark.passed_at for mark in marks} == {row.probed_at}
    assert marks.count() == 8


def test_a_repository_is_unchanged_the_next_night_by_its_marks(
    fake: FakeGitHub, nights: Nights, api: LiveRepository
) -> None:
    nights.run()
    nights.pass_time(DAY)
    [row] = nights.run()
    assert (row.state, backfills_of_runs()) == ("done", {})
    assert StreamMark.objects.filter(passed_at=row.probed_at).count() == 8
    assert Coverage.objects.filter(repository=API, to_at=row.probed_at).count() == 8


def test_two_runs_that_meet_at_an_unchanged_repository_both_end(
    fake: FakeGitHub, nights: Nights, api: LiveRepository
) -> None:
    asked = len(fake.log)
    rows = [*nights.begin(), *nights.begin()]
    nights.probe()
    nights.finish()
    assert set(RepositorySync.objects.values_list("pk", "state")) == {(row.pk, "done") for row in rows}
    assert len({row.sync_id for row in rows}) == 2
    assert [call.cost for call in fake.log[asked:] if call.resource == "graphql"] == [1, 1]
