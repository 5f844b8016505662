"""History is loaded from the page: what it would take first, then the start, for those who may."""

from typing import Any

import pytest

from apps.integrations.models import Backfill
from apps.integrations.streams import STREAM_NAMES
from tests.api.conftest import API, Cast, connected, reached, with_umbrella
from tests.dashboard.test_pages import read, signed_in
from tests.fake_github.using import ACME

__all__ = ["connected", "reached", "with_umbrella"]

pytestmark = pytest.mark.django_db
PAGE = "/operations/jobs/start/"
ALL: dict[str, Any] = {"streams": list(STREAM_NAMES)}


def test_the_form_offers_what_the_user_may_choose(with_umbrella: Cast) -> None:
    operator = read(signed_in(with_umbrella.operator), f"{PAGE}?repository=acme/api")
    for shown in ("everything", "team:umbrella", f"installation:{ACME}", '<option value="umbrella/secrets">'):
        assert shown in operator, shown
    assert 'name="repository" value="acme/api"' in operator
    admin = read(signed_in(with_umbrella.admin), PAGE)
    assert "team:acme" in admin
    assert "umbrella" not in admin
    assert 'value="everything"' not in admin
    read(signed_in(with_umbrella.viewer), PAGE, status=403)
    assert (
        signed_in(with_umbrella.viewer).post(PAGE, {"repository": "acme/api", **ALL, "start": "1"}).status_code == 403
    )


def test_what_it_would_take_comes_before_the_start(connected: Cast) -> None:
    client = signed_in(connected.admin)
    assert 'name="start"' not in read(client, PAGE)
    answer = client.post(PAGE, {"repository": "acme/api", "streams": ["pull_requests"], "forecast": "1"})
    page = answer.content.decode()
    assert [(each.stream, each.items, each.cost.calls) for each in answer.context["forecast"].streams] == [
        ("pull_requests", 30, 3)
    ]
    assert "without waiting for any limit" in page
    assert 'name="start"' in page
    assert 'value="acme/api"' in page
    assert not Backfill.objects.exists()


def test_a_start_leads_to_the_jobs(reached: Cast) -> None:
    client = signed_in(reached.admin)
    sent = {"repository": "acme/api", "streams": ["issues"], "since": "2026-03-02", "until": "2026-04-01", "start": "1"}
    answer = client.post(PAGE, sent, follow=True)
    assert answer.redirect_chain == [("/operations/jobs/", 302)]
    assert "1 backfill started." in answer.content.decode()
    row = Backfill.objects.get()
    assert (row.repository_id, f"{row.since:%F %T}", f"{row.until:%F %T}") == (
        API,
        "2026-03-02 00:00:00",
        "2026-04-01 00:00:00",
    )
    assert "0 backfills started; 1 was already running." in client.post(PAGE, sent, follow=True).content.decode()
    Backfill.objects.all().pause()
    assert "1 of them are paused" in client.post(PAGE, sent, follow=True).content.decode()


@pytest.mark.parametrize(
    ("scope", "count"), [("everything", 2), ("team:acme", 1), (f"installation:{ACME}", 1), ("team:umbrella", 1)]
)
def test_every_choice_is_started(with_umbrella: Cast, scope: str, count: int) -> None:
    signed_in(with_umbrella.operator).post(PAGE, {"scope": scope, "streams": ["issues"], "start": "1"})
    assert Backfill.objects.count() == count


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (ALL, 400, "Choose one: a repository"),
        ({"repository": "acme/api", "scope": "team:acme", **ALL}, 400, "Choose one: a repository"),
        ({"repository": "acme/api"}, 400, "Streams: "),
        ({"repository": "acme/api", **ALL, "since": "2026-04-01", "until": "2026-03-01"}, 400, "Until: "),
        ({"repository": "acme/api", **ALL, "since": "2999-01-01"}, 400, "Since: Nothing was updated since"),
        ({"repository": "acme/api", **ALL, "since": "soon"}, 400, "Since: "),
        ({"scope": "installation:x", **ALL}, 400, "Installation: "),
        ({"repository": "umbrella/secrets", **ALL}, 404, "There is no repository umbrella/secrets that you may see."),
        ({"scope": "team:umbrella", **ALL}, 404, "There is no team umbrella that you may see."),
        ({"scope": "everything", **ALL}, 403, "Only operators may have everything read."),
    ],
)
def test_an_invalid_choice_says_what_is_wrong(
    with_umbrella: Cast, sent: dict[str, Any], status: int, words: str
) -> None:
    answer = signed_in(with_umbrella.admin).post(PAGE, {**sent, "start": "1"})
    assert answer.status_code == status
    assert words in answer.content.decode()
    assert not Backfill.objects.exists()


def test_without_credentials_nothing_is_started(reached: Cast, settings: Any) -> None:
    settings.GITHUB_APP_ID = 0
    answer = signed_in(reached.admin).post(PAGE, {"repository": "acme/api", **ALL, "start": "1"})
    assert answer.status_code == 409
    assert "GitHub cannot be asked" in answer.content.decode()
    assert not Backfill.objects.exists()
