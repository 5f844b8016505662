"""What an operator sees of history in the admin, and does about it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.activity.models import Installation, Repository
from apps.github.auth import github
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill
from apps.integrations.streams import STREAM_NAMES
from apps.teams.models import Team
from tests.api.conftest import API, Cast
from tests.dashboard.test_pages import read, signed_in
from tests.fake_github.generated import Size
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, forget_everything
from tests.integrations.backfill.installed import install, reach
from tests.metrics.steps import WEB, person

pytestmark = pytest.mark.django_db
LIST = "/admin/integrations/backfill/"
START = "/admin/integrations/backfill/start/"
ALL = {"streams": STREAM_NAMES}


@pytest.fixture
def operator(cast: Cast, settings: Any) -> Client:
    """Somebody who runs an instance whose App reaches two repositories of acme."""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    install(account_id=person("acme"))
    reach("acme/api", API, owner_id=person("acme"))
    reach("acme/web", WEB, owner_id=person("acme"))
    return signed_in(cast.operator)


@pytest.fixture
def connected(operator: Client, settings: Any) -> Iterator[Client]:
    """As that, with a GitHub that answers."""
    forget_everything()
    with FakeGitHub() as fake:
        fake.world.install(ACME)
        fake.world.add("api", installation_id=ACME, repository_id=API, size=Size(pull_requests=30, issues=12, runs=5))
        settings.GITHUB_API_URL = fake.url
        github.cache_clear()
        yield operator
    github.cache_clear()
    forget_everything()


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
    assert client.post(START, {"repositories": [API], **ALL, "start": "1"}).status_code == 403
    assert "read_history" not in read(client, "/admin/activity/repository/")
    assert client.get(f"/admin/activity/repository/{API}/backfill/").status_code == 403


def test_rows_are_never_edited(operator: Client) -> None:
    [row] = begin("issues")
    assert operator.post(f"{LIST}{row.pk}/change/", {"state": "done"}).status_code == 403
    assert operator.get(f"{LIST}add/").status_code == 403
    assert operator.post(f"{LIST}{row.pk}/delete/").status_code == 403


@pytest.mark.parametrize(
    ("choice", "repositories"),
    [
        ({"repositories": [API]}, {API}),
        ({"repositories": [API, WEB]}, {API, WEB}),
        ({"installations": [ACME]}, {API, WEB}),
        ({"everything": "on"}, {API, WEB}),
        ({"repositories": [WEB], "teams": ["beta"]}, {API, WEB}),
    ],
)
def test_every_choice_of_repositories_is_started(
    operator: Client, choice: dict[str, Any], repositories: set[int]
) -> None:
    if "teams" in choice:
        choice = {**choice, "teams": [Team.objects.get(slug="beta").pk]}
    sent = {**choice, "streams": ["issues"], "since": "2026-03-02", "until": "2026-04-01", "start": "1"}
    answer = operator.post(START, sent, follow=True)
    assert answer.redirect_chain == [(LIST, 302)]
    assert f"{len(repositories)} backfills started; 0 were already running." in answer.content.decode()
    assert set(Backfill.objects.values_list("repository", flat=True)) == repositories
    row = Backfill.objects.earliest("pk")
    assert (row.stream, f"{row.since:%F %T}", f"{row.until:%F %T}") == (
        "issues",
        "2026-03-02 00:00:00",
        "2026-04-01 00:00:00",
    )


def test_what_it_would_take_is_shown_before_anything_is_started(connected: Client) -> None:
    page = connected.post(START, {"repositories": [API], "streams": ["pull_requests"], "forecast": "1"})
    words = page.content.decode()
    assert "What it would take" in words
    assert [(each.stream, each.items, each.cost.calls) for each in page.context["forecast"].streams] == [
        ("pull_requests", 30, 3)
    ]
    assert "without waiting for any limit" in words
    assert f'<option value="{API}" selected' in words, "what was chosen is still chosen"
    assert not Backfill.objects.exists()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (ALL, "Choose repositories, installations, teams, or everything."),
        ({"repositories": [API]}, "This field is required."),
        ({"repositories": [4711], **ALL}, "Select a valid choice."),
        ({"repositories": [API], **ALL, "since": "2026-04-01", "until": "2026-03-01"}, "since must be earlier"),
        ({"repositories": [API], **ALL, "since": "1969-01-01"}, "from 1970 on"),
        ({"repositories": [API], **ALL, "since": "2999-01-01"}, "a day to come"),
        ({"repositories": [API], **ALL, "since": "soon"}, "Enter a valid date."),
    ],
)
def test_the_form_explains_an_invalid_choice(operator: Client, sent: dict[str, Any], words: str) -> None:
    answer = operator.post(START, {**sent, "start": "1"})
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Backfill.objects.exists()


def test_nothing_starts_without_access_or_credentials(operator: Client, settings: Any) -> None:
    Installation.objects.update(suspended_at=timezone.now())
    sent = {"repositories": [API], **ALL, "start": "1"}
    assert "No installation of the App reaches acme/api" in operator.post(START, sent).content.decode()
    settings.GITHUB_APP_ID = 0
    assert "GitHub cannot be asked" in operator.post(START, sent).content.decode()
    assert not Backfill.objects.exists()


@pytest.mark.parametrize(
    ("model", "pk", "target"),
    [("activity_repository", API, "repositories"), ("activity_installation", ACME, "installations")],
)
def test_pages_with_history_link_to_the_form(operator: Client, model: str, pk: int, target: str) -> None:
    sent = {"action": "read_history", "_selected_action": [pk]}
    from_the_list = operator.post(reverse(f"admin:{model}_changelist"), sent)
    detail = reverse(f"admin:{model}_change", args=[pk])
    button = detail.replace("/change/", "/backfill/")
    assert button in read(operator, detail)
    for answer in (from_the_list, operator.get(button)):
        assert answer["Location"] == f"{START}?{target}={pk}"
        assert f'<option value="{pk}" selected' in read(operator, answer["Location"])


def test_a_team_leads_to_the_form_too(cast: Cast, operator: Client) -> None:
    pk = cast.teams["acme"].pk
    answer = operator.post("/admin/teams/team/", {"action": "read_history", "_selected_action": [pk]})
    assert answer["Location"] == f"{START}?teams={pk}"
    assert f'<option value="{pk}" selected' in read(operator, answer["Location"])


def test_more_than_an_address_carries_is_not_chosen_one_by_one(operator: Client) -> None:
    for number in range(1000, 1300):
        Repository.objects.create(github_id=number, full_name=f"acme/r{number}")
    sent = {"action": "read_history", "_selected_action": [API], "select_across": "1"}
    answer = operator.post("/admin/activity/repository/", sent, follow=True)
    assert "Choose at most 300" in answer.content.decode()


def test_the_form_offers_the_period_that_is_loaded_automatically(operator: Client, settings: Any) -> None:
    by_itself = Scope(since=timezone.now() - timedelta(days=settings.BACKFILL_DAYS))
    start(Repository.objects.filter(pk=API), scope=by_itself)
    page = operator.get(START, {"repositories": API})
    offered = {"repositories": [API], **ALL, "since": page.context["form"]["since"].value()}
    words = operator.post(START, {**offered, "start": "1"}, follow=True).content.decode()
    assert "0 backfills started; 8 were already running." in words


def test_an_address_that_names_nothing_opens_an_empty_form(operator: Client) -> None:
    form = operator.get(f"{START}?repositories=x,{'9' * 99},-1&teams=,").context["form"]
    assert (form["repositories"].value(), form["teams"].value()) == ([], [])
