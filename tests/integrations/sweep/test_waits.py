"""What the sweep waits for is kept in its row, with the reason; no worker is held, and nothing is lost by it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.demo.organisation import Sent
from apps.github.credentials import NoCredentialsError
from apps.integrations.delivery_log.scan_health import scan_problems
from apps.integrations.delivery_log.waits import BACKOFF, wait_after_failure
from apps.integrations.models import DeliveryLogScan
from apps.webhooks.models import Delivery
from tests.api.conftest import make_delivery
from tests.fake_github import faults
from tests.fake_github.answering import Answered, Asked
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Change, Fault
from tests.fake_github.identities import APP_ID
from tests.fake_github.keys import strange_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import access_to
from tests.integrations.sweep.sweeper import LIST, Sweeper, inbox, missed

pytestmark = pytest.mark.django_db
THE_APP = 0


def waits_s(row: DeliveryLogScan | None) -> float:
    assert row is not None
    return (row.not_before - timezone.now()).total_seconds()


def lose(log: DeliveryLog, sents: list[Sent]) -> None:
    with log.outage():
        log.deliver(sents)


def test_while_the_inbox_is_behind_nothing_is_asked(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:1])
    make_delivery(1)
    Delivery.objects.update(not_before=timezone.now() - timedelta(minutes=5))
    row = sweeper.turn()
    assert row is not None
    assert (row.reason, row.attempts, fake.log) == ("inbox_lags", 0, [])
    assert 30 < waits_s(row) <= 60
    Delivery.objects.all().delete()
    sweeper.wait(minutes=1)
    sweeper.sweep()
    assert inbox() == {told[0].guid}


def test_a_key_that_github_refuses_is_said_in_the_row_and_loses_nothing(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:3])
    right, sweeper.access = sweeper.access, access_to(fake, pem=strange_pem())
    row = sweeper.turn()
    assert row is not None
    assert (row.reason, row.attempts, row.mark) == ("app_refused", 1, None)
    assert waits_s(row) > 250
    sweeper.access = right
    sweeper.wait(minutes=20)
    row = sweeper.sweep()
    assert (row.reason, row.error, row.attempts) == ("", "", 0)
    assert len(inbox()) == 3


def test_a_limit_that_is_spent_is_waited_for_and_costs_no_attempt(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:20])
    fake.limits.leave(THE_APP, "core", remaining=510)
    row = sweeper.turn()
    assert row is not None
    assert (row.reason, row.attempts) == ("spent", 0)
    assert waits_s(row) > 60
    found = missed()
    assert found["kept", "fetched"] > 0
    assert sum(found.values()) == 20
    sweeper.wait(hours=1, minutes=1)
    sweeper.sweep()
    assert missed() == {("kept", "fetched"): 20}


@pytest.mark.parametrize(
    ("change", "reason", "at_least_s"),
    [
        (faults.secondary(retry_after_s=120), "blocked", 115),
        (faults.status(500), "unanswered", 3),
        (faults.hang_up(), "unanswered", 3),
        (faults.status(403, {"message": "Resource not accessible by integration"}), "forbidden", 250),
        (faults.status(404, {"message": "Not Found"}), "gone", 250),
        (faults.status(200, {"no": "list"}), "shape_mismatch", 3),
        (faults.status(200, [{"id": 1}]), "shape_mismatch", 3),
        (faults.status(200, "not JSON"), "unanswered", 3),
    ],
)
def test_whatever_github_says_instead_of_its_log_is_in_the_row_and_tried_again(
    fake: FakeGitHub,
    told: list[Sent],
    log: DeliveryLog,
    sweeper: Sweeper,
    *,
    change: Change,
    reason: str,
    at_least_s: float,
) -> None:
    lose(log, told[:2])
    fake.spoil(Fault(change, faults.below(LIST), times=1))
    row = sweeper.turn()
    assert row is not None
    assert (row.reason, row.mark, row.lease_until) == (reason, None, None)
    assert waits_s(row) >= at_least_s
    sweeper.wait(minutes=20)
    sweeper.sweep()
    assert len(inbox()) == 2


def test_a_page_that_leads_to_itself_is_no_page(fake: FakeGitHub, log: DeliveryLog, sweeper: Sweeper) -> None:
    def to_itself(asked: Asked, answer: Answered) -> Answered:
        answer.headers["link"] = f'<{fake.url}{LIST}?per_page=100>; rel="next"'
        return answer

    fake.spoil(Fault(to_itself, faults.below(LIST), is_instead=False))
    row = sweeper.turn()
    assert row is not None
    assert row.reason == "shape_mismatch"


def test_failures_are_tried_again_later_each_time() -> None:
    waits = [wait_after_failure("made_up", attempts=attempts, chance=0.5).seconds for attempts in range(12)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (5, BACKOFF.longest_s)


def test_a_sweep_that_does_not_get_through_is_told_long_before_github_forgets(
    log: DeliveryLog, sweeper: Sweeper, fake: FakeGitHub
) -> None:
    sweeper.sweep()
    assert scan_problems() == {}
    fake.spoil(Fault(faults.status(500), faults.below(LIST), times=None))
    sweeper.wait(hours=1)
    sweeper.turn()
    assert scan_problems() == {}
    sweeper.wait(hours=2)
    words = scan_problems()["delivery_sweep_is_late"]
    assert "last walked whole" in words
    assert "GitHub does not answer (HTTP 500)" in words


def test_without_credentials_it_says_so(sweeper: Sweeper) -> None:
    def none() -> None:
        raise NoCredentialsError("Set GITHUB_APP_ID.")

    sweeper.access.client.credentials = none  # type: ignore[assignment]
    with pytest.raises(NoCredentialsError):
        sweeper.turn()
    assert not DeliveryLogScan.objects.filter(pk=APP_ID).exists()
