"""History on the page of jobs: what is read, what waits, what failed and what to do, for those whose it is."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.activity.models import Repository
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill
from apps.integrations.models.backfills import BackfillQuerySet
from apps.integrations.streams import STREAM_NAMES
from apps.users.models import CustomUser
from tests.api.conftest import API, SECRETS, UMBRELLA, Cast
from tests.dashboard.test_pages import read, signed_in
from tests.integrations.backfill.installed import install, reach
from tests.metrics.steps import WEB, person

pytestmark = pytest.mark.django_db
State = Backfill.State
PAGE, CHANGE, START = "/operations/jobs/", "/operations/jobs/change-history/", "/operations/jobs/start/"


@pytest.fixture
def reached(cast: Cast) -> Cast:
    """The cast; the App reaches two repositories of acme and one of umbrella's."""
    install(account_id=person("acme"))
    reach("acme/api", API, owner_id=person("acme"))
    reach("acme/web", WEB, owner_id=person("acme"))
    install(8, login="umbrella", account_id=UMBRELLA)
    reach("umbrella/secrets", SECRETS, installation_id=8, owner_id=UMBRELLA)
    return cast


def begin(repository_id: int = API, *streams: str, **scope: Any) -> list[Backfill]:
    chosen = Scope(streams=streams or STREAM_NAMES, **scope)
    return list(start(Repository.objects.filter(pk=repository_id), scope=chosen).backfills)


def rows_of(stream: str) -> BackfillQuerySet:
    return Backfill.objects.filter(repository=API, stream=stream)


def test_anonymous_users_are_sent_to_sign_in(cast: Cast) -> None:
    answer = Client().get(PAGE)
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={PAGE}")


def test_each_stream_shows_its_progress_and_what_it_waits_for(reached: Cast) -> None:
    begin(API, since=timezone.now() - timedelta(days=90))
    now = timezone.now()
    read_so_far = {"total": 4000, "items": 1000, "calls": 40, "points": 41, "started_at": now}
    rows_of("pull_requests").update(state="running", lease_until=now, **read_so_far)
    rows_of("issues").put_off(after=timedelta(minutes=30), reason="spent", started_at=now, total=10, items=5)
    page = read(signed_in(reached.viewer), PAGE)
    assert 'max="100" value="25" aria-label="Pull requests">25%</progress>' in page
    assert "1,000 of 4,000" in page
    assert "since " in page
    assert "41 points in 40 calls" in page
    assert "GitHub&#x27;s hourly rate limit is used up" in page
    assert f"{now + timedelta(minutes=30):%H:%M} UTC" in page
    assert "Queued: issue comments, review comments" in page
    assert "7 waiting" in page


def test_a_failed_stream_says_why_and_what_to_do_and_names_skipped_items(reached: Cast) -> None:
    begin(API, "deployments", "releases")
    rows_of("deployments").end(State.FAILED, reason="forbidden", error="Resource not <accessible>")
    rows_of("releases").end(State.DONE, skipped=[{"what": "release 17", "why": "It is too <large>."}])
    page = read(signed_in(reached.viewer), PAGE)
    assert "GitHub does not let the App read this. <q>Resource not &lt;accessible&gt;</q>" in page
    assert "<strong>Give the App the permission" in page
    assert "release 17: It is too &lt;large&gt;." in page


def test_a_stream_that_this_version_does_not_know_comes_last(reached: Cast) -> None:
    begin(API, "issues")
    rows_of("issues").update(stream="discussions")
    assert "discussions" in read(signed_in(reached.viewer), PAGE).lower()


def test_only_the_newest_backfill_of_a_stream_is_shown(reached: Cast) -> None:
    begin(API, "issues")
    rows_of("issues").end(State.FAILED, reason="crashed")
    begin(API, "issues")
    page = read(signed_in(reached.viewer), PAGE)
    assert "Its worker died" not in page
    assert "1 waiting" in page
    assert "No failed job" in read(signed_in(reached.viewer), f"{PAGE}?show=failed")


def test_unfinished_backfills_come_first_then_the_newest(reached: Cast) -> None:
    begin(API, "issues")
    begin(WEB, "issues")
    client = signed_in(reached.viewer)
    page = read(client, PAGE)
    assert page.index("acme/web") < page.index("acme/api")
    Backfill.objects.filter(repository=WEB).cancel()
    page = read(client, PAGE)
    assert page.index("acme/api") < page.index("acme/web")
    assert "acme/web" not in read(client, f"{PAGE}?show=waiting")
    read(client, f"{PAGE}?show=nonsense", status=404)


def test_a_user_sees_only_backfills_of_their_teams(reached: Cast) -> None:
    begin(API)
    begin(SECRETS)
    assert "umbrella" not in read(signed_in(reached.viewer), PAGE)
    assert "acme" not in read(signed_in(reached.stranger), PAGE)
    everything = read(signed_in(reached.operator), PAGE)
    assert "acme/api" in everything
    assert "umbrella/secrets" in everything


def test_only_users_who_may_start_a_backfill_see_how(cast: Cast) -> None:
    assert "manage.py backfill OWNER/REPO" in read(signed_in(cast.operator), PAGE)
    assert f'href="{START}"' in read(signed_in(cast.admin), PAGE)
    viewer = read(signed_in(cast.viewer), PAGE)
    assert START not in viewer
    assert "An admin of your team can load more." in viewer
    assert "manage.py" not in viewer
    assert "You have no access to a team yet" in read(signed_in(CustomUser.objects.create_user("new")), PAGE)


@pytest.mark.proof
def test_an_admin_pauses_resumes_and_cancels_from_the_page(reached: Cast) -> None:
    begin(API, "issues", "commits")
    client = signed_in(reached.admin)
    for change, states in (("pause", {"paused"}), ("resume", {"waiting"}), ("cancel", {"cancelled"})):
        assert f'value="{change}"' in read(client, PAGE)
        answer = client.post(f"{CHANGE}?show=all", {"repository": API, "change": change}, follow=True)
        assert answer.redirect_chain == [(f"{PAGE}?show=all", 302)]
        assert "acme/api: 2 backfills" in answer.content.decode()
        assert set(Backfill.objects.values_list("state", flat=True)) == states
    assert 'name="change"' not in read(client, PAGE)


def test_failed_backfills_are_retried_from_the_page(reached: Cast) -> None:
    begin(API, "issues")
    rows_of("issues").end(State.FAILED, reason="unanswered", cursor="there")
    signed_in(reached.admin).post(CHANGE, {"repository": API, "change": "retry"})
    row = Backfill.objects.get()
    assert (row.state, row.cursor) == ("waiting", "there")


@pytest.mark.parametrize(
    ("who", "sent", "status"),
    [
        ("viewer", {"repository": API, "change": "cancel"}, 403),
        ("stranger", {"repository": API, "change": "cancel"}, 404),
        ("admin", {"repository": SECRETS, "change": "cancel"}, 404),
        ("admin", {"repository": "acme/api", "change": "cancel"}, 404),
        ("admin", {"repository": API, "change": "delete"}, 404),
        ("admin", {}, 404),
    ],
)
def test_only_admins_change_backfills(reached: Cast, who: str, sent: dict[str, Any], status: int) -> None:
    begin(API)
    begin(SECRETS)
    assert signed_in(getattr(reached, who)).post(CHANGE, sent).status_code == status
    assert set(Backfill.objects.values_list("state", flat=True)) == {"waiting"}


def test_a_change_needs_a_signed_in_user_and_a_csrf_token(reached: Cast) -> None:
    begin(API)
    sent = {"repository": API, "change": "cancel"}
    assert Client().post(CHANGE, sent).headers["Location"].startswith("/accounts/login/")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(reached.admin, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(CHANGE, sent).status_code == 403
    assert strict.get(CHANGE).status_code == 405


def test_a_viewer_gets_no_buttons(reached: Cast) -> None:
    begin(API)
    assert 'name="change"' not in read(signed_in(reached.viewer), PAGE)


def test_one_stream_is_changed_from_the_page(reached: Cast) -> None:
    begin(API, "issues", "commits")
    rows_of("issues").update(started_at=timezone.now())
    row, client = rows_of("issues").get(), signed_in(reached.admin)
    assert 'aria-label="Pause issues of acme/api"' in read(client, PAGE)
    client.post("/operations/jobs/change/", {"job": row.pk, "change": "pause"})
    assert dict(Backfill.objects.values_list("stream", "state")) == {"issues": "paused", "commits": "waiting"}


def test_an_operator_sees_that_no_worker_runs_backfills(reached: Cast) -> None:
    begin(API)
    words = "no worker has taken any for minutes"
    assert words not in read(signed_in(reached.operator), PAGE)
    Backfill.objects.update(not_before=timezone.now() - timedelta(minutes=10))
    assert words in read(signed_in(reached.operator), PAGE)
    assert words not in read(signed_in(reached.viewer), PAGE)
    rows_of("issues").update(advanced_at=timezone.now())
    assert words not in read(signed_in(reached.operator), PAGE)


@pytest.mark.proof
def test_repositories_come_in_pages_and_cost_the_same_queries_however_many(reached: Cast) -> None:
    client = signed_in(reached.viewer)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(PAGE)
        return len(captured)

    begin(API)
    before = queries()
    for number in range(1000, 1021):
        reach(f"acme/r{number}", number, owner_id=person("acme"))
        begin(number)
    assert queries() == before <= 12
    page = read(client, f"{PAGE}?show=waiting")
    assert page.count('class="board history"') == 10
    assert "show=waiting&amp;page=2" in page
    assert read(client, f"{PAGE}?page=3").count('class="board history"') == 2
