"""`manage.py scan_deliveries`: one scan on a terminal, and a process that dies in the middle of one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from apps.activity.models import Coverage
from apps.common.failpoints import EXIT_CODE, SCAN_POINTS
from apps.demo.scenario import Sent
from apps.integrations.delivery_log.scan_job import open_scan
from apps.integrations.management.commands import scan_deliveries
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.jobs.claims import claim
from apps.jobs.models import Job
from apps.webhooks.models import Delivery, DeliveryBody
from tests.activity.tables import empty
from tests.fake_github import faults
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Fault
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import forget_everything
from tests.integrations.delivery_log.scanner import LIST, Scanner, inbox
from tests.webhooks.conftest import drain
from tformance.local.state import CHECKOUT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _our_github(scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(scan_deliveries, "github", lambda: scanner.access)
    monkeypatch.setattr(scan_deliveries, "LOOK_EVERY_S", 0.01)
    with override_settings(GITHUB_APP_ID=APP_ID, GITHUB_APP_PRIVATE_KEY=app_pem()):
        yield


def lose(log: DeliveryLog, sents: list[Sent]) -> None:
    with log.outage():
        log.deliver(sents)


def run(*arguments: str) -> tuple[str, str, str]:
    """What it says on both outputs, and its complaint."""
    out, err, complaint = StringIO(), StringIO(), ""
    try:
        call_command("scan_deliveries", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        complaint = str(error)
    return out.getvalue(), err.getvalue(), complaint


@pytest.mark.proof
def test_the_command_prints_what_was_missing_and_what_became_of_it(deliveries: list[Sent], log: DeliveryLog) -> None:
    log.deliver(deliveries[:10])
    lose(log, deliveries[10:130])
    out, _, complaint = run()
    assert complaint == ""
    assert "attempts seen in GitHub's log        130" in out
    assert "missing in the inbox                 120" in out
    assert "fetched from the log                 120" in out
    assert "given up                               0\n" in out
    assert "The log was read whole up to" in out
    assert len(inbox()) == 130
    out, _, complaint = run()
    assert complaint == ""
    assert "missing in the inbox                   0" in out


def test_the_command_scans_though_it_is_not_due_and_though_a_failure_is_waited_for(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    scanner.scan()
    DeliveryLogScan.objects.update(reason="app_refused", not_before="2999-01-01T00:00:00Z", attempts=3)
    lose(log, deliveries[:1])
    assert run()[2] == ""
    assert len(inbox()) == 1


def test_the_command_prints_one_json_object_for_machines(deliveries: list[Sent], log: DeliveryLog) -> None:
    lose(log, deliveries[:3])
    said = json.loads(run("--json")[0])
    assert (said["missing"], said["fetched"], said["given_up"], said["is_read"]) == (3, 3, 0, True)
    assert said["attempts_seen"] == 3


def test_the_command_ends_with_1_if_a_delivery_is_still_missing(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog
) -> None:
    lose(log, deliveries[:3])
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"{LIST}/1"), times=None))
    out, _, complaint = run()
    assert "given up                               1  see Missed deliveries in the admin" in out
    assert complaint == "1 missed delivery is not here."


def test_the_command_does_not_wait_for_a_long_limit(fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog) -> None:
    lose(log, deliveries[:3])
    fake.limits.leave(0, "core", remaining=0)
    complaint = run()[2]
    assert complaint.startswith("It did not come to its end: the hour's limit is spent")
    assert "The workers go on with it at" in complaint


@override_settings(SCAN_REDELIVERS=True)
def test_the_command_prints_how_many_redeliveries_it_asked_for(deliveries: list[Sent], log: DeliveryLog) -> None:
    lose(log, deliveries[:2])
    out, _, complaint = run()
    assert complaint == ""
    assert "asked for, still to come               2" in out


@override_settings(GITHUB_APP_ID=None, GITHUB_APP_PRIVATE_KEY="")
def test_without_credentials_it_says_what_to_set() -> None:
    assert "GitHub cannot be asked: Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY" in run()[2]


def test_the_command_waits_for_a_worker_that_scans_and_then_scans_itself(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(log, deliveries[:1])
    claim(open_scan(APP_ID).get().pk, task_id="another")
    waits = iter(range(100))

    def let_it_end(seconds: float) -> None:
        if next(waits) == 3:
            DeliveryLogScan.objects.update(state="waiting", lease_until=None)

    monkeypatch.setattr(scan_deliveries, "time", SimpleNamespace(sleep=let_it_end))
    _, err, complaint = run()
    assert complaint == ""
    assert err.count("A worker scans right now") == 1
    assert len(inbox()) == 1


def test_the_help_of_scan_deliveries_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("scan_deliveries", "--help")
    text = capsys.readouterr().out
    assert "manage.py scan_deliveries --json" in text
    assert "exit codes: 0" in text


def start(fake: FakeGitHub, *, crash_at: str, **environment: str) -> int:
    """Run it in a process of its own, which dies at a point; its exit code."""
    address = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    variables = {
        **os.environ,
        "DATABASE_URL": address,
        "DJANGO_SETTINGS_MODULE": "tformance.settings",
        "GITHUB_API_URL": fake.url,
        "GITHUB_APP_ID": str(APP_ID),
        "GITHUB_APP_PRIVATE_KEY": app_pem(),
        "CRASH_AT": crash_at,
        **environment,
    }
    command = [sys.executable, "manage.py", "scan_deliveries"]
    return subprocess.run(command, cwd=CHECKOUT, env=variables, capture_output=True, check=False).returncode


@pytest.mark.proof
@pytest.mark.parametrize("point", sorted(SCAN_POINTS))
def test_a_scan_that_dies_at_any_point_loses_nothing_and_stores_nothing_twice(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, *, point: str
) -> None:
    empty(model._meta.db_table for model in (MissedDelivery, DeliveryBody, Delivery, DeliveryLogScan, Job))
    lose(log, deliveries[:120])
    is_about_asking = point == "scan.after_asking"
    setting = {"SCAN_REDELIVERS": "true" if is_about_asking else "false"}
    assert start(fake, crash_at=point, **setting) == EXIT_CODE
    assert DeliveryLogScan.objects.get().mark is None or MissedDelivery.objects.count() == 120
    forget_everything()
    with override_settings(SCAN_REDELIVERS=is_about_asking):
        for _ in range(3):
            scanner.wait(minutes=16)
            scanner.scan()
            log.catch_up()
    scanner.wait(minutes=20)
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:120]}
    assert MissedDelivery.objects.exclude(state="kept").count() == 0
    assert Delivery.objects.filter(is_conflict=True).count() == 0
    while drain():
        pass
    assert Coverage.objects.filter(stream=Coverage.DELIVERIES).count() == 1
