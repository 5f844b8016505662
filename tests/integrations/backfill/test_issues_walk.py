"""The walk through issues."""

import random
from datetime import datetime
from typing import Any

import pytest

from apps.activity.models import Contributor, Issue
from apps.activity.record import record
from apps.demo.shapes import Json, moment
from apps.github.auth import GitHubAccess
from apps.github.responses import Kind
from apps.integrations.reader import RequestFailedError
from apps.integrations.streams.issues import CURSOR_REFUSED
from tests.activity.tables import clear, contents
from tests.fake_github import faults
from tests.fake_github.answering import Answered, Asked
from tests.fake_github.faults import Fault, graphql_errors
from tests.fake_github.generated import BOT, Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.github.times import at
from tests.integrations.backfill.conftest import ABOUT_WEB, Lively
from tests.integrations.backfill.lively import MANY_LABELS
from tests.integrations.backfill.tours import Tour, rows, skipped
from tests.integrations.backfill.trouble import spoil_pages
from tests.integrations.translating import told

pytestmark = pytest.mark.django_db
FULL = "title"
"""What the document of a page asks for, and the lean one does not."""


def tour(worker: GitHubAccess, **changes: Any) -> Tour:
    return Tour(stream="issues", worker=worker, **{**ABOUT_WEB, **changes})


def row(issue: Json, *, repository_id: int = WEB) -> dict[str, Any]:
    """The row that GitHub's issue calls for."""
    times = {
        name: issue[name] and datetime.fromisoformat(issue[name]) for name in ("created_at", "updated_at", "closed_at")
    }
    return {
        **{name: issue[name] for name in ("number", "title", "state", "state_reason")},
        **times,
        "repository_id": repository_id,
        "github_id": issue["id"],
        "author_id": issue["user"] and issue["user"]["id"],
        "labels": sorted(label["name"] for label in issue["labels"]),
        "deleted_at": None,
    }


def by_number(found: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {each["number"]: each for each in found}


def test_issues_come_as_they_are_on_github_field_by_field(web: Lively, worker: GitHubAccess) -> None:
    pages = tour(worker).walk()
    assert by_number(rows(Issue)) == {number: row(issue) for number, issue in web.truth.issues.items()}
    assert {each["state_reason"] for each in rows(Issue)} == {None, "not_planned", "duplicate", "completed", "reopened"}
    assert len(Issue.objects.get(number=3).labels or ()) == MANY_LABELS
    assert Contributor.objects.get(pk=BOT.id).login == BOT.login
    assert [(page.items, page.total, page.cursor) for page in pages] == [(7, 7, None)]
    assert not skipped(pages)


@pytest.mark.proof
def test_webhooks_and_the_walk_tell_the_same_in_any_mixture(web: Lively, worker: GitHubAccess) -> None:
    hooks = told(sent for sent in web.told if sent.event == "issues" or "issue" in sent.payload)
    pages = tour(worker, size=2).told(tour(worker, size=2).pages())
    record(hooks)
    by_webhook = rows(Issue)
    clear()
    record(pages)
    assert rows(Issue) == by_webhook
    clear()
    record([*hooks, *pages])
    expected = contents()
    chance = random.Random(4)  # noqa: S311  the same mixtures every time
    for _ in range(5):
        clear()
        for piece in chance.sample([*hooks, *pages], k=len(hooks) + len(pages)):
            record([piece])
        assert contents() == expected
        assert rows(Issue) == by_webhook


def test_a_walk_that_is_resumed_from_any_of_its_cursors_ends_in_the_same_rows(
    web: Lively, worker: GitHubAccess
) -> None:
    walk = tour(worker, size=2)
    pages = walk.walk()
    expected = rows(Issue)
    assert len(pages) == 4
    for read, page in enumerate(pages[:-1], start=1):
        clear()
        record(walk.told([*pages[:read], *walk.pages(page.cursor)]))
        assert rows(Issue) == expected


@pytest.mark.proof
def test_a_thousand_issues_cost_ten_points(fake: FakeGitHub, worker: GitHubAccess) -> None:
    size = Size(pull_requests=0, issues=1000)
    fake.world.add("web", installation_id=ACME, repository_id=WEB, size=size)
    found = sum(page.items for page in tour(worker).pages())
    assert found == 1000
    assert [call.cost for call in fake.calls("graphql")] == [1] * 10
    assert not fake.calls("core", payer=ACME)


def test_labels_beyond_the_first_page_of_them_cost_one_call_for_a_page_of_issues(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    web.truth.issues[5]["labels"] = web.truth.issues[3]["labels"]
    tour(worker).walk()
    assert [len(Issue.objects.get(number=number).labels or ()) for number in (3, 5)] == [MANY_LABELS] * 2
    assert len(fake.calls("graphql")) == 2


def test_an_issue_that_is_updated_during_the_walk_comes_again_and_no_other_is_lost(
    web: Lively, worker: GitHubAccess
) -> None:
    pages = []
    for page in tour(worker, size=2).pages():
        pages.append(page)
        if len(pages) == 1:
            web.truth.issues[1] |= {"title": "Worse", "updated_at": "2026-03-09T09:00:00Z"}
    record(tour(worker).told(pages))
    assert by_number(rows(Issue)) == {number: row(issue) for number, issue in web.truth.issues.items()}
    assert sum(page.items for page in pages) == 8


def test_since_bounds_what_was_updated_and_until_what_was_created(web: Lively, worker: GitHubAccess) -> None:
    since, until = at("03-02", "12:30"), at("03-02", "15:30")
    tour(worker, since=since, until=until).walk()
    wanted = {
        number
        for number, issue in web.truth.issues.items()
        if issue["updated_at"] >= moment(since) and issue["created_at"] <= moment(until)
    }
    assert set(by_number(rows(Issue))) == wanted == {2, 3, 4, 5}


def test_the_walk_goes_on_where_github_no_longer_takes_its_own_cursor(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    first = tour(worker, size=3).read()
    refused = {"type": CURSOR_REFUSED, "message": "`abc` does not appear to be a valid cursor."}
    fake.spoil(Fault(graphql_errors(refused), faults.graphql))
    record(tour(worker).told([first, *tour(worker, size=3).pages(first.cursor)]))
    assert by_number(rows(Issue)) == {number: row(issue) for number, issue in web.truth.issues.items()}


def test_an_issue_that_no_page_can_show_is_read_alone(fake: FakeGitHub, web: Lively, worker: GitHubAccess) -> None:
    fake.spoil(spoil_pages(FULL, holding="Trouble 4"))
    pages = list(tour(worker, size=4).patient_pages())
    record(tour(worker).told(pages))
    assert by_number(rows(Issue)) == {number: row(issue) for number, issue in web.truth.issues.items()}
    assert not skipped(pages)


def test_an_issue_that_cannot_be_read_alone_either_is_named_and_skipped(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    fake.spoil(spoil_pages(FULL, holding="Trouble 4"))
    fake.spoil(
        Fault(faults.status(410, {"message": "This issue was deleted"}), faults.below(f"/repositories/{WEB}/issues/4"))
    )
    pages = list(tour(worker, size=4).patient_pages())
    assert [(each.what, each.why) for each in skipped(pages)] == [("issue 4", "This issue was deleted")]
    record(tour(worker).told(pages))
    assert set(by_number(rows(Issue))) == {1, 2, 3, 5, 6, 7}


def test_nothing_is_skipped_while_github_is_unwell_altogether(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    fake.spoil(Fault(faults.status(502), faults.rest, times=None))
    with pytest.raises(RequestFailedError):
        tour(worker).skip_item()


def test_an_issue_whose_shape_cannot_be_used_is_named_and_its_neighbours_are_kept(
    web: Lively, worker: GitHubAccess
) -> None:
    web.truth.issues[4]["created_at"] = "9999-01-01T00:00:00Z"
    pages = tour(worker).walk()
    assert [each.what for each in skipped(pages)] == ["issue 4"]
    assert "issue.created_at is a time that has not come" in skipped(pages)[0].why
    assert set(by_number(rows(Issue))) == {1, 2, 3, 5, 6, 7}


def test_an_issue_with_more_labels_than_github_allows_is_skipped_rather_than_cut(
    web: Lively, worker: GitHubAccess
) -> None:
    labels = web.truth.issues[3]["labels"]
    web.truth.issues[3]["labels"] = [{**labels[0], "name": f"label {number}"} for number in range(101)]
    pages = tour(worker).walk()
    assert [(each.what, each.why) for each in skipped(pages)] == [("issue 3", "incomplete: its labels do not end")]
    assert set(by_number(rows(Issue))) == {1, 2, 4, 5, 6, 7}


def test_an_issue_that_github_leaves_out_of_a_page_is_skipped_with_its_words(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    def leave_out(asked: Asked, answer: Answered) -> Answered:
        answer.body["data"]["repository"]["issues"]["nodes"][2] = None
        path = ["repository", "issues", "nodes", 2]
        answer.body["errors"] = [{"type": "FORBIDDEN", "path": path, "message": "Not for you."}]
        return answer

    fake.spoil(Fault(leave_out, faults.graphql, is_instead=False))
    pages = tour(worker).walk()
    assert [each.why for each in skipped(pages)] == ["not_shown: Not for you."]
    assert len(rows(Issue)) == 6


def test_a_name_that_another_repository_has_by_now_is_not_read(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    fake.world.rename(web.truth, "acme/former")
    fake.world.add("web", installation_id=ACME, repository_id=13, size=Size(pull_requests=0, issues=3))
    with pytest.raises(RequestFailedError) as refused:
        tour(worker).read()
    assert refused.value.answer.kind is Kind.GONE
