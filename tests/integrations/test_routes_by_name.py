"""Without GitHub's routes by id everything is read by name, and only where the name is still that repository's."""

import pytest

from apps.activity.models import Repository
from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind
from apps.integrations.streams import STREAM_NAMES
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, LIVE, access_to, good
from tests.integrations.backfill.installed import backfill, install, reach
from tests.integrations.backfill.workers import BackfillWorkers

pytestmark = pytest.mark.django_db(transaction=True)


def read_whole(access: GitHubAccess, repository: Repository, stream: str) -> tuple[str, int, list[object]]:
    row = BackfillWorkers(access=access).advance(backfill(repository, stream=stream))
    found = row.state, row.items, row.skipped
    row.delete()
    return found


@pytest.mark.parametrize("stream", STREAM_NAMES)
def test_a_stream_is_read_by_name_as_it_is_by_id(fake: FakeGitHub, stream: str) -> None:
    install()
    repository = reach()
    by_id = read_whole(access_to(fake), repository, stream)
    assert by_id[0] == "done"
    fake.rest.has_routes_by_id = False
    assert read_whole(access_to(fake), repository, stream) == by_id


def test_a_name_that_another_repository_has_by_now_is_not_read(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.rest.has_routes_by_id = False
    Repository.objects.create(github_id=4711, full_name="acme/api")
    answer = worker.get("/repositories/4711/pulls", installation_id=ACME, purpose=LIVE)
    assert (answer.kind, answer.data) == (ResponseKind.GONE, None)
    assert not [call for call in fake.log if call.path == "/repos/acme/api/pulls"]


def test_where_the_routes_by_id_exist_what_is_not_there_costs_one_look_and_then_none(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    Repository.objects.create(github_id=API, full_name="acme/api")
    for _ in range(3):
        gone = worker.get(f"/repositories/{API}/pulls/999", installation_id=ACME, purpose=LIVE)
        assert gone.kind is ResponseKind.GONE
    assert [call.path for call in fake.calls("core", payer=ACME)] == [
        f"/repositories/{API}/pulls/999",
        f"/repositories/{API}",
        f"/repositories/{API}/pulls/999",
        f"/repositories/{API}/pulls/999",
    ]


def test_by_name_the_id_is_compared_once_and_not_for_every_page(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.rest.has_routes_by_id = False
    Repository.objects.create(github_id=API, full_name="acme/api")
    for _ in range(5):
        good(worker.get(f"/repositories/{API}/pulls", installation_id=ACME, purpose=LIVE))
    assert [call.path for call in fake.calls("core", payer=ACME)].count("/repos/acme/api") == 1
