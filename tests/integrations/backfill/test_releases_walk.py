"""The walk through releases."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from apps.activity.models import Contributor, Release
from apps.activity.record import record
from apps.demo.shapes import Json, moment
from apps.github.auth import GitHubAccess
from apps.github.responses import Kind
from apps.integrations.reader import RequestFailedError
from apps.integrations.streams.releases import MOST_LISTED
from tests.activity.tables import clear, contents
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.generated import BOT, Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.github.times import at
from tests.integrations.backfill.conftest import ABOUT_WEB, Lively
from tests.integrations.backfill.tours import Tour, rows, skipped
from tests.integrations.backfill.trouble import spoil_pages
from tests.integrations.translating import told

pytestmark = pytest.mark.django_db
FULL = "tagName"
"""What the document of a page asks for, and the lean one does not."""


def tour(worker: GitHubAccess, **changes: Any) -> Tour:
    return Tour(stream="releases", worker=worker, **{**ABOUT_WEB, **changes})


def row(release: Json) -> dict[str, Any]:
    """The row that GitHub's release calls for."""
    return {
        "github_id": release["id"],
        "repository_id": WEB,
        "tag_name": release["tag_name"],
        "name": release["name"] or "",
        "is_draft": release["draft"],
        "is_prerelease": release["prerelease"],
        "author_id": release["author"] and release["author"]["id"],
        "created_at": datetime.fromisoformat(release["created_at"]),
        "published_at": release["published_at"] and datetime.fromisoformat(release["published_at"]),
        "deleted_at": None,
    }


def rows_of(web: Lively) -> list[dict[str, Any]]:
    """All the rows that GitHub's releases call for."""
    found = [row(release) for release in web.truth.releases.values()]
    return sorted(found, key=lambda each: repr(sorted(each.items())))


def publish(web: Lively, count: int, *, first_id: int = 700_000) -> None:
    """Let GitHub have so many releases and no other, an hour apart."""
    pattern = next(iter(web.truth.releases.values()))
    times = [moment(at("01-01", "09:00") + timedelta(hours=number)) for number in range(count)]
    web.truth.releases = {
        first_id + number: {
            **pattern,
            "id": first_id + number,
            "tag_name": f"v2.{number}",
            **dict.fromkeys(("created_at", "published_at", "updated_at"), time),
        }
        for number, time in enumerate(times)
    }


def tags() -> set[str]:
    return set(Release.objects.values_list("tag_name", flat=True))


def test_releases_come_as_they_are_on_github_field_by_field(web: Lively, worker: GitHubAccess) -> None:
    pages = tour(worker).walk()
    assert rows(Release) == rows_of(web)
    flags = {(each["is_draft"], each["is_prerelease"]) for each in rows(Release)}
    assert flags == {(False, False), (True, False), (False, True)}
    assert Release.objects.filter(author=None).exists()
    assert [(page.items, page.total, page.cursor) for page in pages] == [(5, 5, None)]


def test_a_bot_that_the_schema_calls_a_user_is_a_bot(web: Lively, worker: GitHubAccess) -> None:
    tour(worker).walk()
    assert Release.objects.filter(author_id=BOT.id).exists()
    assert Contributor.objects.values_list("login", "kind").get(pk=BOT.id) == (BOT.login, "bot")


def test_webhooks_and_the_walk_tell_the_same_in_any_mixture(web: Lively, worker: GitHubAccess) -> None:
    hooks = told(sent for sent in web.told if sent.event == "release")
    pages = tour(worker, size=2).told(tour(worker, size=2).pages())
    record(hooks)
    assert rows(Release) == rows_of(web)
    clear()
    record([*hooks, *pages])
    expected = contents()
    chance = random.Random(4)  # noqa: S311  the same mixtures every time
    for _ in range(5):
        clear()
        for piece in chance.sample([*hooks, *pages], k=len(hooks) + len(pages)):
            record([piece])
        assert contents() == expected
        assert rows(Release) == rows_of(web)


def test_a_walk_that_is_resumed_from_any_of_its_cursors_ends_in_the_same_rows(
    web: Lively, worker: GitHubAccess
) -> None:
    walk = tour(worker, size=2)
    pages = walk.walk()
    assert len(pages) == 3
    for read, page in enumerate(pages[:-1], start=1):
        clear()
        record(walk.told([*pages[:read], *walk.pages(page.cursor)]))
        assert rows(Release) == rows_of(web)


def test_a_thousand_releases_cost_ten_points(fake: FakeGitHub, web: Lively, worker: GitHubAccess) -> None:
    publish(web, 1000)
    assert sum(page.items for page in tour(worker).pages()) == 1000
    assert [call.cost for call in fake.calls("graphql")] == [1] * 10
    assert not fake.calls("core", payer=ACME)


def test_a_release_that_is_published_during_the_walk_moves_nothing(web: Lively, worker: GitHubAccess) -> None:
    publish(web, 6)
    pages = []
    for page in tour(worker, size=2).pages():
        pages.append(page)
        web.truth.releases[800_000 + len(pages)] = {
            **web.truth.releases[700_000],
            "id": 800_000 + len(pages),
            **dict.fromkeys(("created_at", "published_at", "updated_at"), "2026-05-01T09:00:00Z"),
        }
    record(tour(worker).told(pages))
    assert tags() == {f"v2.{number}" for number in range(6)}


def test_with_since_the_walk_ends_with_a_page_that_is_older_as_a_whole(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    publish(web, 20)
    web.truth.releases[700_013]["updated_at"] = "2026-05-01T09:00:00Z"
    pages = tour(worker, size=2, since=at("01-01", "09:00") + timedelta(hours=16)).walk()
    assert [page.items for page in pages] == [2, 2, 2], "the third page holds what is just older"
    assert tags() == {f"v2.{number}" for number in range(14, 20)}
    web.truth.releases[700_015]["updated_at"] = "2026-05-01T09:00:00Z"
    assert len(list(tour(worker, size=2, since=at("01-01", "09:00") + timedelta(hours=16)).pages())) == 5


def test_until_leaves_out_what_was_created_later(web: Lively, worker: GitHubAccess) -> None:
    publish(web, 6)
    tour(worker, until=at("01-01", "11:30")).walk()
    assert tags() == {"v2.0", "v2.1", "v2.2"}


def test_the_walk_ends_where_github_lists_no_more(web: Lively, worker: GitHubAccess) -> None:
    publish(web, 6)
    first = tour(worker, size=2).read()
    assert first.cursor is not None
    _, _, after = first.cursor.partition(" ")
    last = tour(worker, size=100).read(f"{MOST_LISTED - 3} {after}")
    assert (last.items, last.cursor) == (3, None)
    assert [each.what for each in last.skipped] == ["releases before the newest 10000"]


def test_a_release_that_no_page_can_show_is_read_alone(fake: FakeGitHub, web: Lively, worker: GitHubAccess) -> None:
    publish(web, 6)
    fake.spoil(spoil_pages(FULL, holding="v2.3"))
    pages = list(tour(worker, size=4).patient_pages())
    record(tour(worker).told(pages))
    assert rows(Release) == rows_of(web)
    assert not skipped(pages)


def test_a_release_that_cannot_be_read_alone_either_is_named_and_skipped(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    publish(web, 6)
    fake.spoil(spoil_pages(FULL, holding="v2.3"))
    fake.spoil(Fault(faults.status(502), faults.below(f"/repositories/{WEB}/releases/"), times=None))
    pages = list(tour(worker, size=4).patient_pages())
    assert [(each.what, each.why) for each in skipped(pages)] == [("release 700003", "HTTP 502")]
    record(tour(worker).told(pages))
    assert tags() == {"v2.0", "v2.1", "v2.2", "v2.4", "v2.5"}


def test_a_release_whose_shape_cannot_be_used_is_named_and_its_neighbours_are_kept(
    web: Lively, worker: GitHubAccess
) -> None:
    publish(web, 3)
    web.truth.releases[700_001]["created_at"] = "9999-01-01T00:00:00Z"
    pages = tour(worker).walk()
    assert [each.what for each in skipped(pages)] == ["release 700001"]
    assert tags() == {"v2.0", "v2.2"}


def test_a_name_that_another_repository_has_by_now_is_not_read(
    fake: FakeGitHub, web: Lively, worker: GitHubAccess
) -> None:
    fake.world.rename(web.truth, "acme/former")
    fake.world.add("web", installation_id=ACME, repository_id=13, size=Size(pull_requests=0, releases=3))
    with pytest.raises(RequestFailedError) as refused:
        tour(worker).read()
    assert refused.value.answer.kind is Kind.GONE
