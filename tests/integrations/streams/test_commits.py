"""Commits of the default branch; what all streams share stands in test_every_stream.py."""

import random
from datetime import datetime

import pytest

from apps.activity.models import Commit, CommitTrailer, Contributor
from apps.activity.record import record
from apps.demo.shapes import moment
from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind
from apps.integrations.reader import RequestFailedError
from apps.metrics.models import DerivedCommit
from apps.metrics.recalculation import drain
from tests.activity.tables import clear
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.generated import BOT
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import WEB
from tests.github.translation import evidence_of
from tests.integrations.streams.stream_read import StreamRead, rows
from tests.integrations.streams.varied_repository import MESSAGES, VariedRepository
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
