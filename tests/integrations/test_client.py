"""Reading GitHub over the network: pages, tokens, limits, and everything that goes wrong on the way."""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apps.github.auth import GitHubAccess
from apps.github.client import Timeouts
from apps.github.credentials import AppCredentials
from apps.github.rate_limit import PREFIX, redis_client
from apps.github.responses import ResponseKind
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.identities import APP_ID, strange_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, BACKFILL, BETA, LIVE, NAME, WEB, Clock, access_to, good, query, read

ROOT = Path(__file__).resolve().parents[2]
NETWORK = {"requests", "urllib3", "httpx", "aiohttp", "socket", "ssl", "http.client", "urllib.request", "github"}
PAGE = """query Page($first: Int!, $after: String) { repository(owner: "acme", name: "api") {
    pullRequests(first: $first, after: $after, orderBy: {field: CREATED_AT, direction: ASC}) {
      totalCount nodes { number } pageInfo { hasNextPage endCursor } } } }"""


@pytest.mark.proof
def test_few_modules_touch_the_network_and_one_of_them_asks_github() -> None:
    others = ("common/db", "demo/deliveries", "notifications/outgoing_request", "users/openid", "webhooks/channel")
    exceptions = {"apps/github/client.py", *(f"apps/{name}.py" for name in others)}
    found = set()
    for file in (ROOT / "apps").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(name == known or name.startswith(f"{known}.") for name in names for known in NETWORK):
                found.add(str(file.relative_to(ROOT)))
    assert found == exceptions


def test_a_listing_is_read_page_by_page_to_its_end(worker: GitHubAccess) -> None:
    numbers, path, parameters = [], "/repos/acme/api/pulls", {"state": "all", "per_page": 7, "direction": "asc"}
    while path:
        answer = read(worker, path, **parameters)
        numbers += [pull["number"] for pull in good(answer)]
        path, parameters = answer.next_path or "", {}
    assert numbers == list(range(1, 31))


def test_graphql_is_read_page_by_page_to_its_end(worker: GitHubAccess) -> None:
    numbers, after = [], None
    while after is not False:
        page = good(query(worker, PAGE, first=11, after=after))["repository"]["pullRequests"]
        numbers += [node["number"] for node in page["nodes"]]
        after = page["pageInfo"]["hasNextPage"] and page["pageInfo"]["endCursor"]
    assert numbers == list(range(1, 31))


def test_an_answer_tells_githubs_time_and_what_is_left(worker: GitHubAccess, clock: Clock) -> None:
    answer = query(worker)
    assert answer.limit is not None
    assert (answer.limit.resource, answer.limit.limit, answer.limit.remaining) == ("graphql", 5000, 4999)
    assert answer.observed_at is not None
    assert abs(answer.observed_at.timestamp() - clock()) < 60


def test_an_enterprise_server_answers_below_its_own_paths(clock: Clock) -> None:
    with FakeGitHub(clock=clock, prefix="/api/v3") as server:
        server.world.install(BETA)
        server.world.add("web", installation_id=BETA, repository_id=WEB)
        server.limits.limit = None
        worker = access_to(server)
        for _ in range(3):
            answer = worker.get("/repos/acme/web", installation_id=BETA, purpose=LIVE)
            assert good(answer)["id"] == WEB
            assert answer.limit is None
        asked = worker.graphql(NAME, {"owner": "acme", "name": "web"}, installation_id=BETA, purpose=LIVE)
        assert good(asked)["repository"]["nameWithOwner"] == "acme/web"
        listed = worker.get("/repos/acme/web/pulls", installation_id=BETA, purpose=LIVE, parameters={"per_page": 1})
        assert (listed.next_path or "").startswith("/repos/acme/web/pulls?")


def test_a_spent_limit_stops_requests_until_the_reset(worker: GitHubAccess, fake: FakeGitHub, clock: Clock) -> None:
    good(query(worker))
    fake.limits.leave(ACME, "graphql", remaining=0, resets_in_s=20)
    assert query(worker).kind is ResponseKind.PRIMARY
    asked = len(fake.calls("graphql"))
    for _ in range(5):
        answer = query(access_to(fake))
        assert (answer.kind, answer.message) == (ResponseKind.DEFERRED, "spent")
        assert answer.not_before is not None
        assert answer.not_before - clock() <= 21
    assert len(fake.calls("graphql")) == asked
    good(read(worker))
    clock.wind(22)
    good(query(worker))


def test_a_secondary_limit_is_obeyed_as_long_as_github_asks(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    good(read(worker))
    fake.spoil(Fault(faults.secondary(retry_after_s=90), faults.rest, times=2))
    assert read(worker).kind is ResponseKind.SECONDARY
    asked = len(fake.log)
    for ask in (read, query):
        assert ask(worker).kind is ResponseKind.DEFERRED
    assert len(fake.log) == asked
    clock.wind(91)
    assert read(worker).kind is ResponseKind.SECONDARY
    assert read(worker).kind is ResponseKind.DEFERRED
    clock.wind(91)
    good(read(worker))


def test_a_secondary_limit_that_names_no_time_lasts_a_minute(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    good(read(worker))
    fake.spoil(Fault(faults.secondary(code=429), faults.rest))
    for kind in (ResponseKind.SECONDARY, ResponseKind.DEFERRED):
        answer = read(worker)
        assert answer.kind is kind
        assert answer.not_before is not None
        assert 55 < answer.not_before - clock() <= 60


def test_four_workers_keep_one_graphql_request_in_flight(fake: FakeGitHub) -> None:
    good(query(access_to(fake)))
    fake.spoil(Fault(faults.slow(0.05), faults.graphql, times=None, is_instead=False))
    with ThreadPoolExecutor(4) as pool:
        kinds = list(pool.map(lambda _: query(access_to(fake)).kind, range(24)))
    assert kinds.count(ResponseKind.OK) >= 1
    assert fake.most_at_once[ACME, "graphql"] == 1


def test_two_installations_do_not_slow_one_another(fake: FakeGitHub) -> None:
    fake.world.install(BETA)
    fake.world.add("web", installation_id=BETA, repository_id=WEB)
    worker = access_to(fake)
    good(query(worker))
    fake.limits.leave(ACME, "graphql", remaining=0)
    assert query(worker).kind is ResponseKind.PRIMARY
    other = worker.graphql(NAME, {"owner": "acme", "name": "web"}, installation_id=BETA, purpose=BACKFILL)
    assert good(other)["repository"]["nameWithOwner"] == "acme/web"


@pytest.mark.parametrize(
    ("change", "of_rest", "of_graphql"),
    [
        (faults.status(502), ResponseKind.TRANSIENT, ResponseKind.SHRINK),
        (faults.status(200), ResponseKind.TRANSIENT, ResponseKind.TRANSIENT),
        (faults.status(500), ResponseKind.TRANSIENT, ResponseKind.TRANSIENT),
        (faults.hang_up(), ResponseKind.TRANSIENT, ResponseKind.TRANSIENT),
        (faults.status(202, {}), ResponseKind.TRANSIENT, ResponseKind.TRANSIENT),
        (faults.status(429, {"message": "Too many"}, retry_after="60"), ResponseKind.SECONDARY, ResponseKind.SECONDARY),
        (faults.too_heavy(), ResponseKind.OK, ResponseKind.SHRINK),
    ],
)
def test_a_failed_request_is_sent_once_and_classified(
    fake: FakeGitHub, change: Any, of_rest: ResponseKind, of_graphql: ResponseKind
) -> None:
    for ask, matches, kind in ((read, faults.rest, of_rest), (query, faults.graphql, of_graphql)):
        worker = access_to(fake)
        good(worker.get("/repos/acme/api/releases", installation_id=ACME, purpose=LIVE))
        before = len(fake.log)
        fake.spoil(Fault(change, matches))
        answer = ask(worker)
        if kind is not ResponseKind.OK:
            assert (answer.kind, answer.data) == (kind, None)
        assert len(fake.log) == before + 1
        redis_client().delete(f"{PREFIX}:{{{ACME}}}:budget")


def test_a_slow_answer_is_given_up(fake: FakeGitHub) -> None:
    good(query(access_to(fake)))
    fake.spoil(Fault(faults.slow(0.6), lambda asked: True, times=2, is_instead=False))
    hasty = access_to(fake, timeouts=Timeouts(connect_s=1, read_s=0.2, total_s=0.3))
    assert query(hasty).kind is ResponseKind.SHRINK
    assert read(hasty).kind is ResponseKind.TRANSIENT


def test_a_hole_in_a_page_is_not_a_page(worker: GitHubAccess, fake: FakeGitHub) -> None:
    fake.spoil(Fault(faults.hole(2), faults.graphql, is_instead=False))
    assert query(worker, PAGE, first=5).kind is ResponseKind.SHRINK
    assert len(good(query(worker, PAGE, first=5))["repository"]["pullRequests"]["nodes"]) == 5


def test_a_renamed_repository_is_read_under_its_old_name_with_its_query(worker: GitHubAccess, fake: FakeGitHub) -> None:
    fake.world.rename(fake.world.repositories[API], "acme/engine")
    answer = read(worker, "/repos/acme/api/pulls", state="all", per_page=4, page=2, direction="asc")
    assert [pull["number"] for pull in good(answer)] == [5, 6, 7, 8]
    assert good(query(worker))["repository"]["nameWithOwner"] == "acme/engine"


@pytest.mark.parametrize("location", ["https://elsewhere.example.com/x", "http://127.0.0.1:1/x", "//evil.example.com/"])
def test_a_redirect_to_another_host_is_not_followed(worker: GitHubAccess, fake: FakeGitHub, location: str) -> None:
    fake.spoil(Fault(faults.status(301, {}, location=location), faults.rest))
    answer = read(worker)
    assert (answer.kind, answer.data) == (ResponseKind.REJECTED, None)
    assert "redirected" in answer.message


def test_a_redirect_in_circles_ends(worker: GitHubAccess, fake: FakeGitHub) -> None:
    fake.spoil(Fault(faults.status(302, {}, location=f"{fake.url}/repos/acme/api"), faults.rest, times=None))
    assert read(worker).kind is ResponseKind.REJECTED
    assert len(fake.calls("core", payer=ACME)) == 3


def test_a_next_page_on_another_host_is_not_an_end(worker: GitHubAccess, fake: FakeGitHub) -> None:
    link = '<https://elsewhere.example.com/page2>; rel="next"'
    fake.spoil(Fault(faults.status(200, [], link=link), faults.rest))
    answer = read(worker, "/repos/acme/api/pulls")
    assert (answer.kind, answer.data, answer.next_path) == (ResponseKind.REJECTED, None, None)


@pytest.mark.parametrize("path", ["//evil.example.com/x", "https://evil.example.com/x", "/repos/acme/api"])
def test_every_request_goes_to_the_one_host(worker: GitHubAccess, fake: FakeGitHub, path: str) -> None:
    before = len(fake.log)
    read(worker, path)
    assert len(fake.log) > before
    assert fake.log[-1].payer == ACME


def test_what_is_deleted_transferred_away_or_not_ours_is_gone(worker: GitHubAccess, fake: FakeGitHub) -> None:
    assert read(worker, "/repos/acme/nothing").kind is ResponseKind.GONE
    fake.world.transfer(fake.world.repositories[API], "beta/api", installation_id=None)
    assert (read(worker).kind, query(worker).kind) == (ResponseKind.GONE, ResponseKind.GONE)
    fake.world.transfer(fake.world.repositories[API], "beta/api", installation_id=ACME)
    good(read(worker))
    fake.world.delete(fake.world.repositories[API])
    assert (read(worker).kind, query(worker).kind) == (ResponseKind.GONE, ResponseKind.GONE)


def test_one_missing_alias_does_not_lose_the_others(worker: GitHubAccess) -> None:
    two = '{ a: repository(owner: "acme", name: "api") { id } b: repository(owner: "acme", name: "no") { id } }'
    answer = query(worker, two)
    assert answer.kind is ResponseKind.PARTIAL
    assert answer.data["a"]["id"]
    assert [error.path for error in answer.errors] == [("b",)]


def test_an_invalid_query_is_never_an_empty_result(worker: GitHubAccess) -> None:
    answer = query(worker, "{ repository(owner: 1) { nothing } }")
    assert (answer.kind, answer.data) == (ResponseKind.REJECTED, None)


def test_nothing_is_read_lazily_and_nothing_conditionally(worker: GitHubAccess, fake: FakeGitHub) -> None:
    """One call is one request: PyGithub's objects would fetch the rest of each by itself."""
    good(read(worker))
    before = len(fake.log)
    pulls = good(read(worker, "/repos/acme/api/pulls", state="all", per_page=30))
    assert len([pull["title"] for pull in pulls]) == 30
    assert len(fake.log) == before + 1


def test_the_app_signs_once_a_minute_and_anew_with_another_key(worker: GitHubAccess, clock: Clock) -> None:
    """Reading the key takes longer than GitHub's answer may."""
    first = worker.client._sign()
    assert worker.client._sign() == first
    clock.wind(61)
    second = worker.client._sign()
    assert second != first
    worker.client.credentials = lambda: AppCredentials(APP_ID, strange_pem())
    assert worker.client._sign() != second
    assert worker.get_as_app("/app", purpose=LIVE).kind is ResponseKind.AUTH


def test_a_request_that_dies_half_way_frees_its_place(worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    good(query(worker))

    class OutOfTimeError(Exception):
        """What Celery raises in the middle of things."""

    def interrupt(*_: Any, **__: Any) -> None:
        raise OutOfTimeError

    with monkeypatch.context() as patched:
        patched.setattr("github.Requester.Requester.requestJson", interrupt)
        with pytest.raises(OutOfTimeError):
            query(worker)
    good(query(worker))
