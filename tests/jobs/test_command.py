"""The command `jobs`, and the state of a job in words: nothing that happens to it is left unsaid."""

import json
import re
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.integrations import outcomes
from apps.integrations.backfill import claimed_stream, run
from apps.integrations.models import Backfill
from apps.jobs import runner
from apps.jobs.models import Job
from apps.jobs.status import FAILS, WAITS, JobStatus, percent_of, status_of
from tests.fake_github.using import BETA
from tests.jobs.conftest import LIST
from tests.jobs.test_claims import MINUTE, make

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("jobs", *arguments, stdout=out)
    return out.getvalue()


def test_it_lists_what_waits_until_when_and_what_failed_with_what_to_do() -> None:
    waiting = make("a", reason="spent", not_before=timezone.now() + timedelta(minutes=30), items=5, total=20)
    failed = make("b", kind=LIST, installation=BETA, state="failed", reason="forbidden", error="No access")
    make("c", state="done")
    lines = said().splitlines()
    assert lines == [
        f"{failed.pk:>8}  failed   List: installation {BETA} on beta",
        "          GitHub does not let the App read this.",
        "          “No access”",
        "          Give the App the permission in GitHub's message, accept it on the account, then retry.",
        f"{waiting.pk:>8}  waiting  Read: installation {waiting.installation_id} on acme (5 read, 25%)",
        f"          until {waiting.not_before:%Y-%m-%d %H:%M:%S} UTC",
        "          GitHub's hourly rate limit is used up, except for a reserve for live work.",
    ]
    assert said("--failed").splitlines() == lines[:4]
    assert said("--kind", LIST).splitlines() == lines[:4]


def test_a_failed_job_that_was_started_anew_is_not_listed() -> None:
    make("a", state="failed")
    assert said().startswith(f"{Job.objects.get().pk:>8}  failed")
    make("a", state="done")
    assert said() == "No job is running, waiting or failed.\n"
    assert said("--failed") == "No job failed.\n"


def test_machines_get_what_the_api_shows() -> None:
    job = make("a", reason="spent")
    [document] = json.loads(said("--json"))
    assert (document["id"], document["state"], document["reason"]) == (job.pk, "waiting", "spent")
    assert document["why"].startswith("GitHub's hourly rate limit")


def test_jobs_are_paused_resumed_cancelled_and_retried() -> None:
    job, failed = make("a"), make("b", state="failed")
    for change, words in (
        ("pause", "1 of 1 job paused."),
        ("resume", "1 of 1 job resumed."),
        ("cancel", "1 of 1 job cancelled."),
    ):
        assert said(change, str(job.pk)) == f"{words}\n"
    assert said("retry", str(failed.pk)) == "1 of 1 job retried.\n"
    assert set(Job.objects.values_list("key", "state")) == {("a", "cancelled"), ("b", "waiting")}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("retry", "{waiting}"), 1, "It has not failed"),
        (("pause", "{waiting}", "{failed}"), 1, "The others cannot be paused."),
        (("pause", "999999"), 2, "There is no job 999999."),
        (("pause",), 2, "takes the ids of jobs"),
        (("pause", "{waiting}", "--failed"), 2, "takes the ids of jobs"),
        (("--kind", "nonsense"), 1, "invalid choice"),
        (("delete", "{waiting}"), 1, "invalid choice"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_exit_code(arguments: tuple[str, ...], code: int, words: str) -> None:
    ids = {"waiting": make("a").pk, "failed": make("b", state="failed").pk}
    with pytest.raises(CommandError, match=words) as error:
        said(*(argument.format(**ids) for argument in arguments))
    assert error.value.returncode == code


def test_a_list_is_cut_where_it_is_long() -> None:
    for key in range(62):
        make(str(key), minutes_ago=None, not_before=timezone.now() - MINUTE)
    assert said().splitlines()[60:] == ["… and 2 more: narrow the list, or see --json."]


CODE = [Path(module.__file__).read_text() for module in (outcomes, run, claimed_stream, runner)]
REASON = re.compile(r"""(?:reason=|Fail\(|Wait\([\w.]+, )"(\w+)\"""")
NOW = timezone.now()


def status(**about: Any) -> JobStatus:
    return status_of(Backfill(**{"not_before": NOW, "reason": "", **about}), now=NOW)


def test_every_reason_for_a_wait_or_an_end_has_words() -> None:
    found = {reason for text in CODE for reason in REASON.findall(text)}
    assert {"suspended", "forbidden", "no_installation", "unusable", "database"} <= found
    constants = {outcomes.BUSY, outcomes.BLOCKED, outcomes.SPENT}
    assert {reason for reason in found | constants if reason and reason not in {**WAITS, **FAILS}} == set()


def test_whatever_failed_says_what_to_do() -> None:
    assert [reason for reason, (why, advice) in FAILS.items() if not (why and advice)] == []
    unknown = status(state="failed", reason="something_new")
    assert (unknown.why, "retry" in unknown.advice) == ("something new", True)


@pytest.mark.parametrize(
    ("about", "percent"),
    [
        ({"state": "running", "items": 1, "total": 3}, 33),
        ({"state": "running", "items": 999, "total": 1000}, 99),
        ({"state": "running", "items": 7, "total": 5}, 99),
        ({"state": "running", "items": 0, "total": 0}, 0),
        ({"state": "running", "items": 7, "total": None}, None),
        ({"state": "failed", "items": 1, "total": 4}, 25),
        ({"state": "done", "items": 7, "total": None}, 100),
    ],
)
def test_only_what_is_done_is_read_whole(about: dict[str, Any], percent: int | None) -> None:
    assert percent_of(Backfill(**about)) == percent


def test_the_end_is_as_far_as_the_wait_and_what_is_left_at_the_pace_so_far() -> None:
    walked = {"state": "waiting", "started_at": NOW - timedelta(seconds=50), "items": 100, "total": 400}
    assert status(**walked).eta_s == pytest.approx(150)
    assert status(**walked, not_before=NOW + timedelta(seconds=60)).eta_s == pytest.approx(210)


@pytest.mark.parametrize("state", ["paused", "failed", "cancelled", "done"])
def test_what_does_not_go_on_by_itself_has_no_end_to_tell_and_waits_for_no_time(state: str) -> None:
    later = NOW + timedelta(minutes=1)
    shown = status(state=state, started_at=NOW, items=1, total=4, not_before=later, finished_at=NOW)
    assert (shown.eta_s, shown.waits_until) == (None, None)
