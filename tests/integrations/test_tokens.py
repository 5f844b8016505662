"""The App's identity and the tokens of its installations."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apps.github.auth import GitHubAccess
from apps.github.client import Request
from apps.github.rate_limit import PREFIX, redis_client
from apps.github.responses import ResponseKind, Standing
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.keys import elliptic_pem, strange_pem
from tests.fake_github.server import THE_APP, FakeGitHub
from tests.fake_github.using import ACME, LIVE, Clock, access_to, good, read


def test_one_token_serves_all_workers(fake: FakeGitHub) -> None:
    with ThreadPoolExecutor(8) as pool:
        kinds = list(pool.map(lambda _: read(access_to(fake)).kind, range(8)))
    assert ResponseKind.OK in kinds
    assert set(kinds) <= {ResponseKind.OK, ResponseKind.DEFERRED}
    assert fake.identities.minted == [ACME]


def test_a_token_is_nowhere_in_the_clear(worker: GitHubAccess, caplog: pytest.LogCaptureFixture) -> None:
    good(read(worker))
    token = worker.tokens.find(ACME)
    assert token is not None
    kept = [redis_client().get(name) for name in redis_client().scan_iter(f"{PREFIX}:*:token")]
    assert kept
    assert token.value not in f"{kept} {token!r} {caplog.text}"


def test_without_a_fernet_key_a_token_stays_in_its_process(
    worker: GitHubAccess, fake: FakeGitHub, settings: Any
) -> None:
    settings.FERNET_KEYS = []
    for _ in range(3):
        good(read(worker))
    assert len(fake.identities.minted) == 1
    assert not list(redis_client().scan_iter(f"{PREFIX}:*:token"))


def test_a_token_is_renewed_ten_minutes_before_its_end(worker: GitHubAccess, fake: FakeGitHub, clock: Clock) -> None:
    good(read(worker))
    clock.wind(2940)
    good(read(worker))
    assert len(fake.identities.minted) == 1
    clock.wind(70)
    good(read(worker))
    assert len(fake.identities.minted) == 2


def test_a_token_that_cannot_be_renewed_yet_is_used_to_its_end(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    good(read(worker))
    clock.wind(3100)
    fake.spoil(Fault(faults.status(502), faults.below("/app"), times=None))
    good(read(worker))
    clock.wind(600)
    assert read(worker).kind is ResponseKind.TRANSIENT


def test_a_refused_token_is_replaced_once_and_the_read_goes_on(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    good(read(worker))
    clock.wind(60)
    fake.identities.revoke_all()
    good(read(worker))
    assert len(fake.identities.minted) == 2


def test_a_token_that_github_does_not_know_yet_is_tried_again_later(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    fake.spoil(Fault(faults.status(401, {"message": "Bad credentials"}), faults.rest))
    answer = read(worker)
    assert (answer.kind, answer.data) == (ResponseKind.TRANSIENT, None)
    clock.wind(6)
    good(read(worker))
    assert len(fake.identities.minted) == 1


def test_a_401_marks_nothing_as_removed_while_github_knows_the_installation(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    good(read(worker))
    clock.wind(60)
    fake.spoil(Fault(faults.status(401, {"message": "Bad credentials"}), faults.rest, times=None))
    before = len(fake.log)
    answer = read(worker)
    assert (answer.kind, answer.standing) == (ResponseKind.TRANSIENT, Standing.ACTIVE)
    assert [one.path for one in fake.log[before:]] == [
        "/repos/acme/api",
        f"/app/installations/{ACME}/access_tokens",
        "/repos/acme/api",
        f"/app/installations/{ACME}",
    ]


def test_an_installation_that_is_gone_or_suspended_is_named_as_that(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    fake.world.suspend(ACME)
    assert (read(worker).kind, read(worker).standing) == (ResponseKind.AUTH, Standing.SUSPENDED)
    clock.wind(6)
    del fake.world.installations[ACME]
    assert (read(worker).kind, read(worker).standing) == (ResponseKind.AUTH, Standing.REMOVED)


def test_a_wrong_key_says_nothing_of_the_installation(fake: FakeGitHub) -> None:
    answer = read(access_to(fake, pem=strange_pem()))
    assert (answer.kind, answer.standing) == (ResponseKind.AUTH, Standing.REFUSED)


def test_the_app_reads_in_its_own_name(worker: GitHubAccess, fake: FakeGitHub) -> None:
    assert good(worker.get_as_app("/app", purpose=LIVE))["slug"] == "tformance"
    assert [found["id"] for found in good(worker.get_as_app("/app/installations", purpose=LIVE))] == [ACME]
    assert worker.standing(ACME, purpose=LIVE) is Standing.ACTIVE
    assert worker.standing(99, purpose=LIVE) is Standing.REMOVED
    assert {one.payer for one in fake.log} == {THE_APP}


def test_a_key_of_the_wrong_kind_is_an_error_of_ours_and_asks_nobody(fake: FakeGitHub) -> None:
    with pytest.raises(Exception, match="key"):
        access_to(fake, pem=elliptic_pem()).client.exchange_as_app(Request(method="GET", path="/app"), purpose=LIVE)
    assert fake.log == []
