"""What a night costs where nothing changed: the price of a probe by GitHub's formula, and of a week."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Mod
from django.utils import timezone
from graphql import parse, validate

from apps.activity.models import Coverage, Deployment, PullRequest, Repository, WorkflowRun
from apps.github.probes import MOST_AT_ONCE, MOST_PULL_REQUESTS, ProbeRequest, probe_query
from apps.integrations.models import Backfill, RepositorySync, StreamMark
from apps.integrations.streams import PROBES, STREAM_NAMES
from tests.fake_github.generated import BEGINNING
from tests.fake_github.graphql_api import schema
from tests.fake_github.organisations import quiet_repositories
from tests.fake_github.points import points_of
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API
from tests.integrations.backfill.installed import install, reach
from tests.integrations.reconciliation.repositories.night_runs import DAY, Nights, backfills_of_runs
from tests.integrations.refresh.live_repository import LiveRepository
from tests.integrations.test_documents import needs_published, published
from tests.plans import explaining

COUNT = 70
FULL = [
    ProbeRequest(repository_id=place, full_name=f"acme/r{place}", numbers=tuple(range(1, 1 + (place < 20) * 5)))
    for place in range(MOST_AT_ONCE)
]


def test_thirty_five_repositories_and_a_hundred_pull_requests_are_a_point() -> None:
    text, variables = probe_query(FULL, streams=PROBES)
    points = points_of(parse(text), schema=schema(), variables=variables)
    assert sum(len(place.numbers) for place in FULL) == MOST_PULL_REQUESTS
    assert (points.requests, points.cost) == (4 * MOST_AT_ONCE, 1)


def test_a_hundred_pull_requests_alone_are_a_point() -> None:
    places = [ProbeRequest(repository_id=n, full_name=f"acme/r{n}", numbers=(1,), is_probed=False) for n in range(100)]
    text, variables = probe_query(places, streams=PROBES)
    assert points_of(parse(text), schema=schema(), variables=variables).cost == 1
    assert validate(schema(), parse(text)) == []


@needs_published
def test_the_document_is_valid_against_githubs_schema() -> None:
    text, _ = probe_query(FULL, streams=PROBES)
    assert validate(published(), parse(text)) == []


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_an_unchanged_week_costs_a_point_for_thirty_five_a_night_and_reads_once_what_is_open(
    fake: FakeGitHub, nights: Nights
) -> None:
    live_quietly(fake, count=COUNT)
    for night in range(8):
        # After a first night, as if each were the night of another seventh.
        StreamMark.objects.update(reread_at=timezone.now() - timedelta(minutes=1))
        its = Repository.objects.annotate(place=Mod("pk", 7)).filter(place=night - 1)
        StreamMark.objects.filter(repository__in=its).update(reread_at=timezone.now() - 9 * DAY)
        nights.begin()
        nights.probe()
    states = RepositorySync.objects.values_list("state", flat=True)
    assert (set(states), len(states)) == ({"done"}, 8 * COUNT)
    assert nights.points() == 8 * COUNT / MOST_AT_ONCE, "500 repositories are 15 points a night"
    looked = [call.document["query"].count("pullRequest(number:") for call in fake.calls("graphql")]
    assert sum(looked) == 5 * COUNT
    assert not Backfill.objects.exists()


def live_quietly(fake: FakeGitHub, *, count: int) -> None:
    """Repositories whose history was read just now, as rows."""
    quiet = quiet_repositories(fake.world, installation_id=ACME, count=count)
    install()
    for shown in quiet.repositories:
        reach(shown["full_name"], shown["id"], created_at=shown["created_at"])
    PullRequest.objects.bulk_create(PullRequest(**row) for row in quiet.pull_requests)
    Coverage.objects.bulk_create(Coverage(**row) for row in quiet.coverage(to_at=timezone.now()))


def fill_with_what_is_over() -> None:
    """Deployments and runs of long ago, so many that only an index finds those of late."""
    Deployment.objects.bulk_create(
        Deployment(github_id=number, repository_id=30_000 + number % 10, created_at=BEGINNING)
        for number in range(1, 3001)
    )
    WorkflowRun.objects.bulk_create(
        WorkflowRun(
            run_id=number, attempt=1, repository_id=30_000 + number % 10, status="completed", created_at=BEGINNING
        )
        for number in range(1, 3001)
    )


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_the_local_state_of_a_batch_is_read_by_indexes(fake: FakeGitHub, nights: Nights) -> None:
    live_quietly(fake, count=10)
    StreamMark.objects.all().delete()
    Coverage.objects.update(to_at=timezone.now() - 9 * DAY)
    nights.begin()
    fill_with_what_is_over()
    plans: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
    with connection.execute_wrapper(explaining(plans)):
        nights.probe()
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = on")
    about = ("activity_pullrequest", "activity_deployment", "activity_workflowrun", "activity_issue")
    scans = [line for plan in plans for line in plan.splitlines() if "Seq Scan" in line]
    assert [line for line in scans if any(f"{name} " in line for name in about)] == []
    for index in ("pull_request_open", "deployments_of_late", "runs_not_over"):
        assert any(index in plan for plan in plans), index


@pytest.mark.django_db(transaction=True)
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


@pytest.mark.django_db(transaction=True)
def test_a_repository_is_unchanged_the_next_night_by_its_marks(
    fake: FakeGitHub, nights: Nights, api: LiveRepository
) -> None:
    nights.run()
    nights.pass_time(DAY)
    [row] = nights.run()
    assert (row.state, backfills_of_runs()) == ("done", {})
    assert StreamMark.objects.filter(passed_at=row.probed_at).count() == 8
    assert Coverage.objects.filter(repository=API, to_at=row.probed_at).count() == 8


@pytest.mark.django_db(transaction=True)
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
