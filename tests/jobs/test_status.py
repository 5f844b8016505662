"""The state of a job in words: nothing that happens to it is left unsaid."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.integrations import outcomes
from apps.integrations.backfill import claimed_stream, run
from apps.integrations.models import Backfill
from apps.jobs import runner
from apps.jobs.status import FAILS, WAITS, JobStatus, percent_of, status_of

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
