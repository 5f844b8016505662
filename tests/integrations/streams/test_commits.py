"""What is particular to commits, issues and releases; what all streams share stands in test_every_stream.py."""

import random
from datetime import datetime, timedelta

import pytest

from apps.activity.models import Commit, CommitTrailer, Contributor, Issue, Release
from apps.activity.record import record
from apps.demo.shapes import moment
from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind
from apps.integrations.reader import RequestFailedError
from apps.integrations.streams.issues import CURSOR_REFUSED
from apps.integrations.streams.releases import MOST_LISTED
from apps.metrics.models import DerivedCommit
from apps.metrics.recalculation import drain
from tests.activity.tables import clear
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault, graphql_errors
from tests.fake_github.generated import BOT
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import WEB
from tests.github.translation import at, evidence_of
from tests.integrations.streams import samples
from tests.integrations.streams.stream_read import StreamRead, rows, skipped
from tests.integrations.streams.varied_repository import MANY_LABELS, MESSAGES, VariedRepository
from tests.integrations.true_rows import true_rows
from tests.metrics.comparing import assert_equals_rebuild

pytestmark = pytest.mark.django_db


def trailers() -> set[tuple[str, ...]]:
    return set(CommitTrailer.objects.values_list("sha", "token", "value"))


def landings() -> dict[str, datetime]:
    return dict(DerivedCommit.objects.values_list("sha", "landed_at"))


def test_a_headline_is_whole_and_its_trailers_are_there(web: VariedRepository, worker: GitHubAccess) -> None:
    StreamRead.of_web("commits", worker).into_empty_tables()
    assert {each["parent_count"] for each in rows(Commit)} == {0, 1, 2}
    assert MESSAGES[1].partition("\n")[0] in set(Commit.objects.values_list("headline", flat=True))
    assert {(token, value) for _, token, value in trailers()} == {
        ("co-authored-by", "Ben <ben@example.com>"),
        ("reviewed-by", "Cy <cy@example.com>"),
        ("generated-with", "[A Tool](https://example.com)"),
    }


def test_a_bot_that_the_schema_calls_a_user_is_a_bot(web: VariedRepository, worker: GitHubAccess) -> None:
    StreamRead.of_web("commits", worker).into_empty_tables()
    assert Commit.objects.filter(author_id=BOT.id, author_login=BOT.login).exists()
    assert Contributor.objects.values_list("login", "kind").get(pk=BOT.id) == (BOT.login, "bot")


def test_a_known_push_dates_a_commit_whichever_comes_first_and_without_one_its_own_date_does(
    web: VariedRepository, worker: GitHubAccess
) -> None:
    pushes = [sent for sent in web.hooks if sent.event == "push" and sent.payload["ref"] == "refs/heads/main"]
    stream = StreamRead.of_web("commits", worker, size=3)
    known, pages = evidence_of(pushes[::2]), stream.evidence(stream.pages())
    landed = {commit["id"]: sent.at for sent in pushes[::2] for commit in sent.payload["commits"]}
    made = {commit["id"]: datetime.fromisoformat(commit["committer"]["date"]) for commit in web.truth.commits}
    assert landed
    assert len(landed) < len(made)
    chance = random.Random(5)  # noqa: S311  the same mixtures every time
    for _ in range(4):
        clear()
        DerivedCommit.objects.all().delete()
        for piece in chance.sample([*known, *pages], k=len(known) + len(pages)):
            record([piece])
            if chance.random() < 0.5:
                drain(seconds=60)
        assert drain(seconds=60)
        assert landings() == {**made, **landed}
        assert_equals_rebuild()


def test_a_commit_from_the_future_has_landed_by_now(web: VariedRepository, worker: GitHubAccess) -> None:
    newest = web.truth.commits[-1]
    newest["committer"]["date"] = newest["author"]["date"] = "2099-01-01T00:00:00Z"
    StreamRead.of_web("commits", worker).into_empty_tables()
    found = Commit.objects.get(sha=newest["id"])
    assert found.presumed_landed_at is not None
    assert found.presumed_landed_at.year < 2099
    assert found.is_date_clamped


def test_what_is_pushed_meanwhile_moves_nothing(web: VariedRepository, worker: GitHubAccess) -> None:
    before = true_rows(Commit, web.truth)
    pages = []
    for page in StreamRead.of_web("commits", worker, size=3).pages():
        pages.append(page)
        newest = {**web.truth.commits[-1], "id": f"{len(pages):040x}"}
        web.truth.commits.append(newest)
    record(StreamRead.of_web("commits", worker).evidence(pages))
    assert rows(Commit) == before


def test_a_head_that_is_no_more_lets_reading_begin_again(web: VariedRepository, worker: GitHubAccess) -> None:
    stream = StreamRead.of_web("commits", worker, size=3)
    first = stream.read()
    web.truth.commits[-1] = {**web.truth.commits[-1], "id": "f" * 40}
    web.truth.parents["f" * 40] = (web.truth.commits[-2]["id"],)
    record(stream.evidence(stream.pages(first.cursor)))
    assert rows(Commit) == true_rows(Commit, web.truth)


def test_since_and_until_bound_when_a_commit_was_made(web: VariedRepository, worker: GitHubAccess) -> None:
    times = sorted(commit["committer"]["date"] for commit in web.truth.commits)
    since, until = (datetime.fromisoformat(times[place]) for place in (2, 6))
    StreamRead.of_web("commits", worker, since=since, until=until).into_empty_tables()
    made = {moment(found) for found in Commit.objects.values_list("committed_at", flat=True) if found}
    assert made == {time for time in times if moment(since) <= time <= moment(until)}


def test_an_empty_repository_has_no_commits(fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess) -> None:
    web.truth.commits.clear()
    (page,) = StreamRead.of_web("commits", worker).into_empty_tables()
    assert (page.items, page.total, page.facts) == (0, 0, ())
    assert StreamRead.of_web("commits", worker).skip_item() == page


def test_commits_that_we_may_not_see_are_no_empty_repository(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess
) -> None:
    error = {"type": "FORBIDDEN", "path": ["repository", "object"], "message": "Resource not accessible by integration"}
    fake.spoil(
        Fault(faults.graphql_errors(error, data={"repository": {"databaseId": WEB, "object": None}}), faults.graphql)
    )
    with pytest.raises(RequestFailedError) as refused:
        StreamRead.of_web("commits", worker).read()
    assert refused.value.answer.kind is ResponseKind.FORBIDDEN


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
    assert rows(Issue) == true_rows(Issue, web.truth)
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
    assert rows(Issue) == true_rows(Issue, web.truth)


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


def tags() -> set[str]:
    return set(Release.objects.values_list("tag_name", flat=True))


def test_drafts_prereleases_and_ghosts_are_among_them(web: VariedRepository, worker: GitHubAccess) -> None:
    StreamRead.of_web("releases", worker).into_empty_tables()
    flags = {(each["is_draft"], each["is_prerelease"]) for each in rows(Release)}
    assert flags == {(False, False), (True, False), (False, True)}
    assert Release.objects.filter(author=None).exists()


def test_a_bot_that_published_a_release_is_a_bot(web: VariedRepository, worker: GitHubAccess) -> None:
    StreamRead.of_web("releases", worker).into_empty_tables()
    assert Release.objects.filter(author_id=BOT.id).exists()
    assert Contributor.objects.values_list("login", "kind").get(pk=BOT.id) == (BOT.login, "bot")


def test_a_release_that_is_published_meanwhile_moves_no_page(web: VariedRepository, worker: GitHubAccess) -> None:
    samples.publish(web, 6)
    pages = []
    for page in StreamRead.of_web("releases", worker, size=2).pages():
        pages.append(page)
        web.truth.releases[800_000 + len(pages)] = {
            **web.truth.releases[700_000],
            "id": 800_000 + len(pages),
            **dict.fromkeys(("created_at", "published_at", "updated_at"), "2026-05-01T09:00:00Z"),
        }
    record(StreamRead.of_web("releases", worker).evidence(pages))
    assert tags() == {f"v2.{number}" for number in range(6)}


def test_with_since_reading_ends_with_a_page_that_is_older_as_a_whole(
    web: VariedRepository, worker: GitHubAccess
) -> None:
    samples.publish(web, 20)
    web.truth.releases[700_013]["updated_at"] = "2026-05-01T09:00:00Z"
    stream = StreamRead.of_web("releases", worker, size=2, since=at("01-01", "09:00") + timedelta(hours=16))
    pages = stream.into_empty_tables()
    assert [page.items for page in pages] == [2, 2, 2], "the third page holds what is just older"
    assert tags() == {f"v2.{number}" for number in range(14, 20)}
    web.truth.releases[700_015]["updated_at"] = "2026-05-01T09:00:00Z"
    assert len(list(stream.pages())) == 5


def test_until_leaves_out_what_was_created_later(web: VariedRepository, worker: GitHubAccess) -> None:
    samples.publish(web, 6)
    StreamRead.of_web("releases", worker, until=at("01-01", "11:30")).into_empty_tables()
    assert tags() == {"v2.0", "v2.1", "v2.2"}


def test_reading_ends_where_github_lists_no_more(web: VariedRepository, worker: GitHubAccess) -> None:
    samples.publish(web, 6)
    first = StreamRead.of_web("releases", worker, size=2).read()
    assert first.cursor is not None
    _, _, after = first.cursor.partition(" ")
    last = StreamRead.of_web("releases", worker, size=100).read(f"{MOST_LISTED - 3} {after}")
    assert (last.items, last.cursor) == (3, None)
    assert [each.what for each in last.skipped] == ["releases before the newest 10000"]
