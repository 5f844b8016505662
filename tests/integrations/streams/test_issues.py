"""Issues; what all streams share stands in test_every_stream.py."""

import pytest

from apps.activity.models import Contributor, Issue
from apps.activity.record import record
from apps.demo.shapes import moment
from apps.github.auth import GitHubAccess
from apps.integrations.streams.issues import CURSOR_REFUSED
from tests.fake_github import faults
from tests.fake_github.answering import Answered, Asked
from tests.fake_github.faults import Fault, graphql_errors
from tests.fake_github.generated import BOT
from tests.fake_github.server import FakeGitHub
from tests.github.times import at
from tests.integrations.streams import samples
from tests.integrations.streams.stream_read import StreamRead, rows, skipped
from tests.integrations.streams.varied_repository import MANY_LABELS, VariedRepository

pytestmark = pytest.mark.django_db


def numbers() -> set[int]:
    return set(Issue.objects.values_list("number", flat=True))


def test_every_reason_many_labels_and_bots_are_among_them(web: VariedRepository, worker: GitHubAccess) -> None:
    StreamRead.of_web("issues", worker).into_empty_tables()
    assert {each["state_reason"] for each in rows(Issue)} == {None, "not_planned", "duplicate", "completed", "reopened"}
    assert len(Issue.objects.get(number=3).labels or ()) == MANY_LABELS
    assert Contributor.objects.get(pk=BOT.id).login == BOT.login


def test_labels_beyond_the_first_page_of_them_cost_one_call_for_a_page_of_issues(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess
) -> None:
    web.truth.issues[5]["labels"] = web.truth.issues[3]["labels"]
    StreamRead.of_web("issues", worker).into_empty_tables()
    assert [len(Issue.objects.get(number=number).labels or ()) for number in (3, 5)] == [MANY_LABELS] * 2
    assert len(fake.calls("graphql")) == 2


def test_an_issue_that_is_updated_meanwhile_comes_again_and_no_other_is_lost(
    web: VariedRepository, worker: GitHubAccess
) -> None:
    pages = []
    for page in StreamRead.of_web("issues", worker, size=2).pages():
        pages.append(page)
        if len(pages) == 1:
            web.truth.issues[1] |= {"title": "Worse", "updated_at": "2026-03-09T09:00:00Z"}
    record(StreamRead.of_web("issues", worker).evidence(pages))
    assert rows(Issue) == samples.issue_rows(web)
    assert sum(page.items for page in pages) == 8


def test_since_bounds_what_was_updated_and_until_what_was_created(web: VariedRepository, worker: GitHubAccess) -> None:
    since, until = at("03-02", "12:30"), at("03-02", "15:30")
    StreamRead.of_web("issues", worker, since=since, until=until).into_empty_tables()
    wanted = {
        number
        for number, issue in web.truth.issues.items()
        if issue["updated_at"] >= moment(since) and issue["created_at"] <= moment(until)
    }
    assert numbers() == wanted == {2, 3, 4, 5}


def test_reading_goes_on_where_github_no_longer_takes_its_own_cursor(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess
) -> None:
    stream = StreamRead.of_web("issues", worker, size=3)
    first = stream.read()
    refused = {"type": CURSOR_REFUSED, "message": "`abc` does not appear to be a valid cursor."}
    fake.spoil(Fault(graphql_errors(refused), faults.graphql))
    record(stream.evidence([first, *stream.pages(first.cursor)]))
    assert rows(Issue) == samples.issue_rows(web)


def test_an_issue_with_more_labels_than_github_allows_is_skipped_rather_than_cut(
    web: VariedRepository, worker: GitHubAccess
) -> None:
    labels = web.truth.issues[3]["labels"]
    web.truth.issues[3]["labels"] = [{**labels[0], "name": f"label {number}"} for number in range(101)]
    pages = StreamRead.of_web("issues", worker).into_empty_tables()
    assert [(each.what, each.why) for each in skipped(pages)] == [("issue 3", "incomplete: its labels do not end")]
    assert numbers() == {1, 2, 4, 5, 6, 7}


def test_an_issue_that_github_leaves_out_of_a_page_is_skipped_with_its_words(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess
) -> None:
    def leave_out(asked: Asked, answer: Answered) -> Answered:
        answer.body["data"]["repository"]["issues"]["nodes"][2] = None
        path = ["repository", "issues", "nodes", 2]
        answer.body["errors"] = [{"type": "FORBIDDEN", "path": path, "message": "Not for you."}]
        return answer

    fake.spoil(Fault(leave_out, faults.graphql, is_instead=False))
    pages = StreamRead.of_web("issues", worker).into_empty_tables()
    assert [each.why for each in skipped(pages)] == ["not_shown: Not for you."]
    assert len(rows(Issue)) == 6
