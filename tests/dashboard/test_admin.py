"""Every page of the admin opens, for everything that is registered, without asking the database once per row."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from apps.activity.models import Change, Contributor, PullRequest, Repository
from apps.common.admin import ReadOnlyAdmin
from apps.metrics.models import Goal
from apps.monitoring.models import StatusCheck
from apps.notifications.models import Notification
from apps.teams.models import AccountRule, Team, TeamAccess, TeamMember, TeamRepository
from apps.users.models import ApiToken, CustomUser
from tests.api.conftest import API, Cast, make_backfill, make_delivery, make_members
from tests.metrics.steps import PullRequestSteps, record_steps

pytestmark = pytest.mark.django_db
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
LARGEST = 25
LARGEST_PAGE = 400_000


@pytest.fixture
def operator(week: Cast) -> Client:
    make_delivery(1)
    make_backfill()
    make_members(week.teams["acme"], "ana", "ben", "cy")
    TeamRepository.objects.create(team=week.teams["acme"], repository_id=API)
    AccountRule.objects.create(contributor=Contributor.objects.get(login="cy"), account_class="bot")
    Notification.objects.create(user=week.viewer, message="Hello")
    ApiToken.objects.issue(user=week.viewer)
    client = Client()
    client.force_login(week.operator, backend="django.contrib.auth.backends.ModelBackend")
    return client


def opened(client: Client, address: str) -> int:
    """How many queries the page took."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
    assert answer.status_code == 200, address
    assert len(answer.content) <= LARGEST_PAGE, address
    return len(queries)


def pages_of(model: Any) -> list[str]:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model._default_manager.first()
    changelist = reverse(f"{name}_changelist")
    pages = [changelist, f"{changelist}?q=12", f"{changelist}?q=acme/api%233", f"{changelist}?q=ana"]
    return [*pages, reverse(f"{name}_change", args=[row.pk])] if row else pages


@pytest.mark.proof
@pytest.mark.parametrize("app", sorted({model._meta.app_label for model in MODELS}))
def test_every_page_opens_with_a_bounded_number_of_queries(operator: Client, app: str) -> None:
    for model in MODELS:
        for page in pages_of(model) if model._meta.app_label == app else ():
            assert opened(operator, page) <= LARGEST, page


def test_the_first_page_lists_everything_in_the_order_of_use(operator: Client) -> None:
    assert opened(operator, "/admin/") <= LARGEST
    page = operator.get("/admin/").content.decode()
    content = page[page.index("Here are the rows behind them.") :]
    links = [reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in MODELS]
    assert [link for link in links if f'href="{link}"' not in content] == []
    titles = [
        f">{title}</h2>" for title in ("Inbox", "Jobs", "Teams", "Users", "System", "GitHub data", "Derived data")
    ]
    places = [content.index(title) for title in titles]
    assert places == sorted(places)


def test_long_lists_and_a_large_team_stay_small(week: Cast, operator: Client) -> None:
    team = week.teams["acme"]
    people = [Contributor(github_id=90_000 + number, login=f"person-{number}", kind="user") for number in range(60)]
    repositories = [
        Repository(github_id=70_000 + number, full_name=f"acme/repository-{number}") for number in range(60)
    ]
    users = [CustomUser(username=f"user-{number}", email=f"user-{number}@example.com") for number in range(60)]
    for rows in (people, repositories, users):
        type(rows[0]).objects.bulk_create(rows)  # type: ignore[attr-defined]
    TeamMember.objects.bulk_create(TeamMember(team=team, contributor=one) for one in people)
    TeamRepository.objects.bulk_create(TeamRepository(team=team, repository=one) for one in repositories)
    TeamAccess.objects.bulk_create(TeamAccess(team=team, user=one) for one in users)
    Team.objects.bulk_create(Team(name=f"Team {number}", slug=f"team-{number}") for number in range(60))
    Notification.objects.bulk_create(Notification(user=week.viewer, message="m" * 500) for _ in range(60))
    for number in range(2, 62):
        ended = {"state": "dead", "reason": "translator_failed", "finished_at": timezone.now()}
        make_delivery(number, error="e" * 500, **ended)
    lists = ("webhooks_delivery", "users_customuser", "teams_team", "activity_repository", "notifications_notification")
    for name in lists:
        assert opened(operator, reverse(f"admin:{name}_changelist")) <= LARGEST
    opened(operator, reverse("admin:teams_team_change", args=[team.pk]))


@pytest.mark.proof
def test_every_model_that_can_be_added_has_a_form_that_opens(week: Cast, operator: Client) -> None:
    request = operator.get("/admin/").wsgi_request
    addable = [model for model in MODELS if admin.site._registry[model].has_add_permission(request)]
    assert {Team, AccountRule, ApiToken} <= set(addable)
    for model in addable:
        assert opened(operator, reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")) <= LARGEST


def test_a_list_costs_the_same_queries_however_long(operator: Client) -> None:
    address = reverse("admin:activity_pullrequest_changelist")
    before = opened(operator, address)
    record_steps(
        [step for number in (11, 12, 13) for step in PullRequestSteps(number, "ben").opened("03-07 09:00").steps]
    )
    assert opened(operator, address) == before


def test_every_admin_page_uses_the_theme() -> None:
    assert [model for model, page in admin.site._registry.items() if not isinstance(page, ModelAdmin)] == []


def test_facts_and_what_is_derived_are_never_edited(week: Cast, operator: Client) -> None:
    pages = [
        admin.site._registry[model]
        for model in MODELS
        if model._meta.app_label in {"activity", "metrics", "integrations"} and model is not Goal
    ]
    assert len(pages) > 20
    assert [page for page in pages if not isinstance(page, ReadOnlyAdmin)] == []
    row = PullRequest.objects.earliest("pk")
    address = reverse("admin:activity_pullrequest_change", args=[row.pk])
    assert operator.post(address, {"title": "Other"}).status_code == 403


@pytest.mark.parametrize(
    ("term", "numbers"),
    [
        ("acme/api#3", {3}),
        ("#3", {3}),
        ("3", {3}),
        ("ANA", {1}),
        ("merge-5", {5}),
        ("umbrella/secrets#3", set()),
        ("9" * 4301, set()),
    ],
)
def test_pull_requests_are_found_by_what_people_have_at_hand(operator: Client, term: str, numbers: set[int]) -> None:
    answer = operator.get(reverse("admin:activity_pullrequest_changelist"), {"q": term})
    assert {row.number for row in answer.context["cl"].result_list} == numbers


def test_contributors_complete_themselves(operator: Client) -> None:
    answer = operator.get(
        reverse("admin:autocomplete"),
        {"term": "an", "app_label": "teams", "model_name": "teammember", "field_name": "contributor"},
    )
    assert [found["text"] for found in answer.json()["results"]] == ["ana"]


def test_a_team_edited_here_is_a_change_that_figures_follow(week: Cast, operator: Client) -> None:
    team = week.teams["acme"]
    Change.objects.all().delete()
    form = {"name": "Acme", "slug": "acme", "time_zone": "Europe/Berlin", "production_environments": "live"}
    inlines = {
        f"{prefix}-{field}": 0
        for prefix in ("members", "tracked", "accesses")
        for field in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    address = reverse("admin:teams_team_change", args=[team.pk])
    hours = {"working_days": "1,2,3,4,5", "working_from": "09:00", "working_until": "17:00"}
    about = {"is_approved": "on", "sync_frequency": "daily", **hours}
    answer = operator.post(address, {**form, **inlines, **about})
    assert answer.status_code == 302, answer.content
    assert Change.objects.filter(kind="team", key=str(team.pk)).exists()


def test_a_token_made_here_is_shown_once(week: Cast, operator: Client) -> None:
    answer = operator.post(reverse("admin:users_apitoken_add"), {"user": week.viewer.pk, "label": "sheet"}, follow=True)
    token = ApiToken.objects.get(label="sheet")
    assert token.shown in answer.content.decode()
    again = operator.get(reverse("admin:users_apitoken_change", args=[token.pk])).content.decode()
    secret = answer.content.decode().split("<code>")[1].split("</code>")[0]
    assert secret not in again


def test_a_secret_that_is_shown_once_is_in_no_cookie(week: Cast, operator: Client) -> None:
    answer = operator.post(reverse("admin:users_apitoken_add"), {"user": week.viewer.pk, "label": "sheet"})
    assert answer.status_code == 302
    assert ApiToken.objects.get(label="sheet").shown not in answer.cookies.output()
    assert "messages" not in operator.cookies


def test_staff_make_tokens_for_themselves_alone(week: Cast) -> None:
    week.viewer.is_staff = True
    week.viewer.save()
    week.viewer.user_permissions.set(Permission.objects.filter(codename__in=("add_apitoken", "view_customuser")))
    client = Client()
    client.force_login(week.viewer, backend="django.contrib.auth.backends.ModelBackend")
    made = [
        client.post(reverse("admin:users_apitoken_add"), {"user": user.pk}) for user in (week.operator, week.viewer)
    ]
    assert [answer.status_code for answer in made] == [200, 302]
    assert list(ApiToken.objects.values_list("user", flat=True)) == [week.viewer.pk]


def test_a_user_who_is_not_staff_is_rejected(week: Cast) -> None:
    client = Client()
    client.force_login(week.admin, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/admin/").status_code == 302


def test_the_field_for_a_webhook_secret_is_visible(operator: Client) -> None:
    page = operator.get(reverse("admin:webhooks_webhooksecret_add")).content.decode()
    field = next(line for line in page.split("<input") if 'name="value"' in line)
    assert 'type="password"' in field
    assert "border" in field


def test_before_the_first_check_the_page_says_when_it_comes(operator: Client) -> None:
    address = reverse("admin:monitoring_statuscheck_changelist")
    assert "every 15 minutes" in operator.get(address).content.decode()
    StatusCheck.objects.create()
    assert "every 15 minutes" not in operator.get(address).content.decode()
