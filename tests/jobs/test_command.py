"""The command `jobs`: what it lists and changes, and with which exit code."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.jobs.models import Job
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
        (("retry", "{waiting}"), 1, "It did not fail"),
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
