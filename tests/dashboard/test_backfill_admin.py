"""What an operator sees of history in the admin, and does about it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from apps.activity.models import Repository
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill
from tests.api.conftest import API, Cast
from tests.dashboard.test_pages import read, signed_in
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.using import ACME
from tests.integrations.backfill.installed import install, reach
from tests.metrics.steps import WEB, person

pytestmark = pytest.mark.django_db
LIST = "/admin/integrations/backfill/"
START = "/admin/integrations/backfill/start/"


@pytest.fixture
def operator(cast: Cast, settings: Any) -> Client:
    """Somebody who runs an instance whose App reaches two repositories of acme."""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    install(account_id=person("acme"))
    reach("acme/api", API, owner_id=person("acme"))
    reach("acme/web", WEB, owner_id=person("acme"))
    return signed_in(cast.operator)


def begin(*streams: str) -> list[Backfill]:
    return list(start(Repository.objects.filter(pk=API), scope=Scope(streams=streams)).backfills)


def act(client: Client, action: str, rows: list[Backfill]) -> str:
    """What is said after an action on the list."""
    sent = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(LIST, sent, follow=True).content.decode()


def staff(cast: Cast, *permissions: str) -> Client:
    """A viewer who may enter the admin."""
    cast.viewer.is_staff = True
    cast.viewer.save()
    cast.viewer.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return signed_in(cast.viewer)


def test_the_list_says_how_far_each_is_what_it_waits_for_and_until_when(operator: Client) -> None:
    begin("pull_requests")
    Backfill.objects.all().put_off(after=timedelta(minutes=30), reason="spent", total=4000, items=1000, points=41)
    until = Backfill.objects.get().not_before
    page = read(operator, LIST)
    assert "pull_requests of acme/api" in page
    assert "25% (1,000 of 4,000)" in page
    assert 'title="25%"' in page
    assert "GitHub&#x27;s hourly rate limit is used up" in page
    assert f"{until:%Y-%m-%d %H:%M}" in page


def test_a_failed_backfill_shows_githubs_message_advice_and_skipped_items(operator: Client) -> None:
    [row] = begin("releases")
    data = {"error": "Resource not <accessible>", "skipped": [{"what": "release 17", "why": "It is too <large>."}]}
    Backfill.objects.all().end(Backfill.State.FAILED, reason="forbidden", **data)
    page = read(operator, f"{LIST}{row.pk}/change/")
    assert "Give the App the permission" in page
    assert "Resource not &lt;accessible&gt;" in page
    assert "release 17: It is too &lt;large&gt;." in page


@pytest.mark.parametrize("term", ["acme/", str(API), str(ACME)])
def test_backfills_are_found_by_what_people_have_at_hand(operator: Client, term: str) -> None:
    [row] = begin("issues")
    found = operator.get(LIST, {"q": term}).context["cl"].result_list
    assert [one.pk for one in found] == [row.pk]


@pytest.mark.proof
def test_what_is_selected_is_paused_resumed_cancelled_and_retried(operator: Client) -> None:
    rows = begin("issues", "commits")
    for action, state, said in (
        ("pause_selected", "paused", "2 of 2 backfills paused."),
        ("pause_selected", "paused", "0 of 2 backfills paused."),
        ("resume_selected", "waiting", "2 of 2 backfills resumed."),
        ("cancel_selected", "cancelled", "2 of 2 backfills cancelled."),
        ("retry_selected", "cancelled", "The others are in no state to be retried."),
    ):
        assert said in act(operator, action, rows)
        assert set(Backfill.objects.values_list("state", flat=True)) == {state}
    Backfill.objects.filter(pk=rows[0].pk).end(Backfill.State.FAILED, reason="crashed")
    assert "1 of 1 backfills retried." in act(operator, "retry_selected", rows[:1])


def test_a_viewer_can_neither_change_nor_start_a_backfill(cast: Cast, operator: Client) -> None:
    rows = begin("issues")
    client = staff(cast, "view_backfill", "view_repository")
    assert "pause_selected" not in read(client, LIST)
    act(client, "cancel_selected", rows)
    assert Backfill.objects.get().state == "waiting"
    assert client.get(START).status_code == 403
    assert client.get(f"/admin/activity/repository/{API}/backfill/").status_code == 403


def test_rows_are_never_edited(operator: Client) -> None:
    [row] = begin("issues")
    assert operator.post(f"{LIST}{row.pk}/change/", {"state": "done"}).status_code == 403
    assert operator.get(f"{LIST}add/").status_code == 403
    assert operator.post(f"{LIST}{row.pk}/delete/").status_code == 403


def test_each_page_with_history_leads_to_the_form_with_itself_chosen(cast: Cast, operator: Client) -> None:
    pages = {
        reverse("admin:activity_repository_change", args=[API]): f"repository={API}",
        reverse("admin:activity_installation_change", args=[ACME]): f"scope=installation%3A{ACME}",
        reverse("admin:teams_team_change", args=[cast.teams["acme"].pk]): "scope=team%3Aacme",
    }
    for page, chosen in pages.items():
        button = page.replace("/change/", "/backfill/")
        assert button in read(operator, page)
        address = operator.get(button)["Location"]
        assert address == f"/operations/jobs/start/?{chosen}"
        form = read(operator, address)
        assert f'value="{API}"' in form or " selected" in form
    assert operator.get(START)["Location"] == "/operations/jobs/start/"
