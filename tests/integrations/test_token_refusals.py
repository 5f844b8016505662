"""A refused token is a fact of its installation: one job tries again, the others wait and ask nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db.models.functions import Now

from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind, Standing
from apps.github.token_refusals import LONGEST_WAIT_S, TOKEN_REFUSED
from apps.integrations.installations import list_installation
from apps.integrations.models import Backfill
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, Clock, access_to, good, read
from tests.integrations.backfill.crew import Crew
from tests.integrations.backfill.installed import backfill, install, reach
from tests.integrations.backfill.listings import installed

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


def test_a_job_that_waits_for_the_token_is_told_until_when_and_spends_no_attempt(
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
    crew = Crew(access=worker)
    install()
    fake.spoil(no_token(fake))
    rows = [backfill(reach(f"acme/r{number}", number)) for number in range(1, JOBS + 1)]
    for row in rows:
        Backfill.objects.filter(state="waiting").update(not_before=Now())
        crew.advance(row)
    assert len(fake.log) < JOBS / 10, "all wait as one: at most one asks again in each pause"
    reasons = Backfill.objects.values_list("state", "reason").distinct()
    assert set(reasons) <= {("waiting", TOKEN_REFUSED), ("waiting", "unanswered")}
    assert Backfill.objects.filter(attempts__gt=0).count() == 1
