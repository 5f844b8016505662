"""The App's identity, the tokens of its installations, and what becomes of those whose token is refused."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db.models.functions import Now

from apps.github.auth import GitHubAccess
from apps.github.client import Request
from apps.github.rate_limit import PREFIX, redis_client
from apps.github.responses import ResponseKind, Standing
from apps.github.token_refusals import LONGEST_WAIT_S, TOKEN_REFUSED
from apps.integrations.listed_installations import list_installation
from apps.integrations.models import Backfill
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.identities import elliptic_pem, strange_pem
from tests.fake_github.server import THE_APP, FakeGitHub
from tests.fake_github.using import ACME, LIVE, Clock, access_to, good, read
from tests.integrations.backfill.installed import backfill, install, installed, reach
from tests.integrations.backfill.workers import BackfillWorkers


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


JOBS = 48
REFUSED = faults.status(401, {"message": "Bad credentials"})
BROKEN = faults.status(502)
MINTING = f"/app/installations/{ACME}/access_tokens"


def no_token(fake: FakeGitHub) -> Fault:
    return Fault(BROKEN, faults.below(MINTING), times=None)


def bad_token(fake: FakeGitHub) -> Fault:
    return Fault(REFUSED, faults.rest, times=None)


def bad_app(fake: FakeGitHub) -> Fault:
    return Fault(REFUSED, faults.below("/app"), times=None)


def seconds(clock: Clock, count: int) -> Iterator[int]:
    for second in range(count):
        yield second
        clock.wind(1)


@pytest.mark.parametrize("refusing", [no_token, bad_token, bad_app])
def test_forty_eight_jobs_of_an_installation_ask_no_more_than_one_does(
    fake: FakeGitHub, clock: Clock, refusing: Callable[[FakeGitHub], Fault]
) -> None:
    fake.spoil(refusing(fake))
    workers = [access_to(fake) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in seconds(clock, 30):
            kinds = {answer.kind for answer in pool.map(lambda job: read(workers[job % 8]), range(JOBS))}
            assert kinds <= {ResponseKind.DEFERRED, ResponseKind.TRANSIENT, ResponseKind.AUTH}
    assert len(fake.log) <= 20  # three attempts of up to four requests, and what was in flight at first


def test_each_refusal_in_a_row_doubles_the_wait_up_to_a_quarter_of_an_hour(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    fake.spoil(no_token(fake))
    waits = []
    for _ in range(10):
        answer = read(worker)
        assert answer.not_before is not None
        waits.append(round(answer.not_before - clock()))
        clock.wind(waits[-1] + 1)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert len(fake.log) == len(waits)


def test_a_job_that_waits_for_the_token_learns_until_when_and_spends_no_attempt(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    fake.spoil(no_token(fake))
    first, second = read(worker), read(worker)
    assert (first.kind, second.kind, second.message) == (ResponseKind.TRANSIENT, ResponseKind.DEFERRED, TOKEN_REFUSED)
    assert first.not_before == second.not_before


def test_what_github_says_of_the_installation_is_said_to_every_job_without_asking_again(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    fake.world.suspend(ACME)
    answers = [read(worker) for _ in range(JOBS)]
    assert {(answer.kind, answer.standing) for answer in answers} == {(ResponseKind.AUTH, Standing.SUSPENDED)}
    assert len(fake.log) == 2


def test_the_first_accepted_token_ends_the_wait_of_all(worker: GitHubAccess, fake: FakeGitHub, clock: Clock) -> None:
    fake.spoil(Fault(BROKEN, faults.below(MINTING), times=1))
    assert read(worker).kind is ResponseKind.TRANSIENT
    clock.wind(6)
    good(read(worker))
    good(read(access_to(fake)))
    fake.spoil(Fault(BROKEN, faults.below(MINTING), times=1))
    clock.wind(4000)
    answer = read(worker)
    assert answer.not_before is not None
    assert round(answer.not_before - clock()) == 5  # the waits begin anew


def test_a_job_that_dies_while_it_tries_again_holds_the_others_up_for_a_minute(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    fake.spoil(Fault(BROKEN, faults.below(MINTING), times=1))
    read(worker)
    clock.wind(6)
    refusal = worker.refusals.find(ACME)
    assert refusal is not None
    assert worker.refusals.may_try(ACME, refusal)
    assert not worker.refusals.may_try(ACME, refusal)
    assert 0 < worker.refusals.redis.ttl(f"tformance:github:{{{ACME}}}:token:tried") <= 60


def test_while_no_token_is_minted_the_one_before_serves_to_its_end(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    good(read(worker))
    clock.wind(3100)
    fake.spoil(no_token(fake))
    before = len(fake.log)
    for _ in range(JOBS):
        good(read(worker))
    assert [one.path for one in fake.log[before:]].count(MINTING) == 1


@pytest.mark.django_db
def test_an_installation_that_github_lists_as_active_again_is_read_at_once(
    worker: GitHubAccess, fake: FakeGitHub, clock: Clock
) -> None:
    installed(fake)
    fake.world.suspend(ACME)
    assert read(worker).standing is Standing.SUSPENDED
    fake.world.installations[ACME].suspended_at = None
    assert read(worker).standing is Standing.SUSPENDED
    list_installation(ACME, access=worker)
    good(read(worker))


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_forty_eight_backfills_wait_for_the_token_as_one(fake: FakeGitHub, worker: GitHubAccess) -> None:
    workers = BackfillWorkers(access=worker)
    install()
    fake.spoil(no_token(fake))
    rows = [backfill(reach(f"acme/r{number}", number)) for number in range(1, JOBS + 1)]
    for row in rows:
        Backfill.objects.filter(state="waiting").update(not_before=Now())
        workers.advance(row)
    assert len(fake.log) < JOBS / 10, "all wait as one: at most one asks again in each pause"
    reasons = Backfill.objects.values_list("state", "reason").distinct()
    assert set(reasons) <= {("waiting", TOKEN_REFUSED), ("waiting", "unanswered")}
    assert Backfill.objects.filter(attempts__gt=0).count() == 1
