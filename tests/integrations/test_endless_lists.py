"""A GitHub whose lists never end is asked a bounded number of times, and the failure says so."""

import logging
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.db.models.functions import Now

from apps.github.auth import GitHubAccess
from apps.github.client import MOST_LISTED
from apps.github.responses import ResponseKind
from apps.integrations import discovery
from apps.integrations.backfill import run
from apps.integrations.listed_installations import list_installation
from apps.integrations.models import Backfill
from apps.jobs.claims import claim
from apps.jobs.models import Job
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, read
from tests.integrations.backfill.installed import backfill, install, installed, reach
from tests.integrations.backfill.workers import BackfillWorkers

MOST_LIES = 120
"""Then the fake's list ends after all, so that a backfill that trusts it comes to an end too."""
pytestmark = pytest.mark.django_db(transaction=True)


def goes_on(fake: FakeGitHub, path: str) -> None:
    """Every page of this list leads to another one, with the same on it."""
    numbers = count(2)

    def change(asked: Asked, answer: Answered) -> Answered:
        answer.headers["link"] = f'<{fake.url}{asked.path}?per_page=100&page={next(numbers)}>; rel="next"'
        return answer

    fake.spoil(Fault(change, lambda asked: asked.path.endswith(path), times=None, is_instead=False))


@pytest.fixture(autouse=True)
def credentials(settings: Any) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()


def test_installations_without_end_are_given_up_and_the_job_and_the_log_say_so(
    fake: FakeGitHub, worker: GitHubAccess, caplog: pytest.LogCaptureFixture
) -> None:
    goes_on(fake, "/app/installations")
    discovery.plan()
    job = claim(Job.objects.get(kind="find_installations").pk, task_id="")
    assert job is not None
    with caplog.at_level(logging.WARNING):
        discovery.find_for(job, access=worker)
    assert len(fake.log) == 2
    job.refresh_from_db()
    (said,) = [line for line in caplog.records if line.message == "installations_not_found"]
    assert "continues after 1 installations" in job.error == said.error


def test_repositories_of_an_installation_without_end_are_a_failure_with_words(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    installed(fake)
    goes_on(fake, "/installation/repositories")
    list_installation(ACME, access=worker)
    assert "continues after 1 of 1 repositories" in Job.objects.get(kind="list_installation").error
    assert len([call for call in fake.log if call.path == "/installation/repositories"]) == 1


@pytest.mark.parametrize("size", [1, 100])
def test_no_list_of_rest_goes_on_beyond_what_any_list_holds(fake: FakeGitHub, worker: GitHubAccess, size: int) -> None:
    def change(asked: Asked, answer: Answered) -> Answered:
        page = MOST_LISTED // size + 1
        answer.headers["link"] = f'<{fake.url}{asked.path}?per_page={size}&page={page}>; rel="next"'
        return answer

    fake.spoil(Fault(change, faults.rest, times=None, is_instead=False))
    answer = read(worker, "/repos/acme/api/pulls", per_page=size)
    assert (answer.kind, answer.message) == (ResponseKind.REJECTED, "next page: the list continues after 200,000 items")


def advance_to_the_end(workers: BackfillWorkers, row: Backfill) -> Backfill:
    for _ in range(20):
        Backfill.objects.filter(state="waiting").update(not_before=Now())
        if workers.advance(row).state in {"failed", "done"}:
            return row
    raise AssertionError(f"it goes on: {row.state} {row.reason}")


def same_cursor() -> faults.Change:
    """Every page leads to the page behind the first one."""
    return lambda asked, answer: _going_on(answer, cursor=asked.document["variables"].get("after"))


def cursors_in_a_circle() -> faults.Change:
    """The last page leads to the page behind the first one."""
    first: list[str] = []

    def change(asked: Asked, answer: Answered) -> Answered:
        shown = _shown(answer)["pageInfo"]["endCursor"]
        first.append(shown)
        return _going_on(answer, cursor=None if shown else first[0])

    return change


def _going_on(answer: Answered, *, cursor: str | None) -> Answered:
    """The page, which goes on at this cursor, or else at its own."""
    shown = _shown(answer)["pageInfo"]
    shown |= {"hasNextPage": True, "endCursor": cursor or shown["endCursor"]}
    return answer


def _shown(answer: Answered) -> Any:
    return answer.body["data"]["repository"]["pullRequests"]


def shows_pull_requests(asked: Asked) -> bool:
    return asked.is_graphql and "pullRequests(" in asked.document["query"] and "first" in asked.document["variables"]


@pytest.mark.parametrize("change", [same_cursor, cursors_in_a_circle])
def test_pages_of_graphql_without_end_fail_in_words(
    fake: FakeGitHub, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch, change: Callable[[], faults.Change]
) -> None:
    monkeypatch.setattr(run, "SPARE_ITEMS", 100)
    install()
    fake.spoil(Fault(change(), shows_pull_requests, times=MOST_LIES, is_instead=False))
    row = advance_to_the_end(BackfillWorkers(access=worker), backfill(reach()))
    assert (row.state, "endless_list" in row.error) == ("failed", True)
    assert len(fake.calls("graphql")) < MOST_LIES
