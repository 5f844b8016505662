"""Reading the fake as tformance reads GitHub."""

import time
from typing import Any

from apps.github.auth import GitHubAccess, TokenCache
from apps.github.client import GitHubClient, Timeouts
from apps.github.credentials import AppCredentials
from apps.github.rate_limit import PREFIX, Priority, Purpose, RateBudget, redis_client
from apps.github.responses import Answer, ResponseKind
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub

ACME, BETA = 7, 8
API, WEB = 11, 12
BACKFILL = Purpose(priority=Priority.BACKFILL, subject="11")
LIVE = Purpose(priority=Priority.LIVE, subject="11")

NAME = "query Name($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { nameWithOwner } }"


class Clock:
    """A clock that starts now and that a test winds."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s

    def wind(self, seconds: float) -> None:
        self.ahead_s += seconds


class StoppedClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def access_to(fake: FakeGitHub, *, timeouts: Timeouts | None = None, pem: str | None = None) -> GitHubAccess:
    """A worker's view of the fake; every call makes another worker, and all share one Redis."""
    redis = redis_client()
    client = GitHubClient(
        api_url=fake.url,
        budget=RateBudget(redis=redis, clock=fake.clock),
        credentials=lambda: AppCredentials(APP_ID, pem or app_pem()),
        clock=fake.clock,
        timeouts=timeouts or Timeouts(),
    )
    return GitHubAccess(client=client, tokens=TokenCache(redis=redis, clock=fake.clock))


def forget_everything() -> None:
    """Lose what the workers share."""
    for found in redis_client().scan_iter(f"{PREFIX}:*"):
        redis_client().delete(found)


def read(worker: GitHubAccess, path: str = "/repos/acme/api", **parameters: Any) -> Answer:
    """What REST answers about the repository of most tests."""
    return worker.get(path, installation_id=ACME, purpose=LIVE, parameters=parameters)


def query(worker: GitHubAccess, document: str = NAME, **variables: Any) -> Answer:
    """What GraphQL answers, by default with its name."""
    return worker.graphql(
        document, variables or {"owner": "acme", "name": "api"}, installation_id=ACME, purpose=BACKFILL
    )


def good(answer: Answer) -> Any:
    """The data of an answer that must be whole."""
    assert answer.kind is ResponseKind.OK, answer
    return answer.data
