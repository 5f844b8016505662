"""Releases; what all streams share stands in test_every_stream.py."""

from datetime import timedelta

import pytest

from apps.activity.models import Contributor, Release
from apps.activity.record import record
from apps.github.auth import GitHubAccess
from apps.integrations.streams.releases import MOST_LISTED
from tests.fake_github.generated import BOT
from tests.github.times import at
from tests.integrations.streams import samples
from tests.integrations.streams.stream_read import StreamRead, rows
from tests.integrations.streams.varied_repository import VariedRepository

pytestmark = pytest.mark.django_db


def tags() -> set[str]:
    return set(Release.objects.values_list("tag_name", flat=True))


def test_drafts_prereleases_and_ghosts_are_among_them(web: VariedRepository, worker: GitHubAccess) -> None:
    StreamRead.of_web("releases", worker).into_empty_tables()
    flags = {(each["is_draft"], each["is_prerelease"]) for each in rows(Release)}
    assert flags == {(False, False), (True, False), (False, True)}
    assert Release.objects.filter(author=None).exists()


def test_a_bot_that_the_schema_calls_a_user_is_a_bot(web: VariedRepository, worker: GitHubAccess) -> None:
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
