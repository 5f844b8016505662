"""Every page, and every part of one that htmx loads, and a database in which each has something to show."""

from collections.abc import Collection
from typing import Any

import pytest
from django.utils import timezone

from apps.activity.models import Provenance, PullRequest
from apps.dashboard.team_sections import SECTIONS
from apps.integrations.models import SyncLog
from apps.metrics.figures import FigureQuery, Window
from apps.metrics.hourly_figures import keep_figures
from apps.metrics.models import DerivedDeployment
from apps.notifications.models import Channel, Notification, Topic
from apps.teams.models import Invitation, Team, TeamAccess, TeamRepository
from apps.users.models import ApiToken, CustomUser
from apps.webhooks.models import Delivery
from tests.api.conftest import API, Cast, make_delivery, make_drift
from tests.metrics.steps import instant

WEEK = "from=2026-03-02&to=2026-03-09"
LIST = f"/teams/acme/figures/cycle_time/?{WEEK}"
PAGES = {
    "front": ("/", f"/?{WEEK}&sort=-cycle_time", "/?repository=acme/api"),
    "team": ("/teams/acme/", *(f"/teams/acme/?{WEEK}&section={each}" for each in SECTIONS if each != "overview")),
    "entities": (
        LIST,
        f"{LIST}&ordering=-value&search=c",
        f"{LIST}&excluded=bot",
        f"{LIST}&bucket=2026-03-05..2026-03-06",
    ),
    "new-team": ("/new-team/",),
    "team-settings": ("/teams/acme/settings/",),
    "changes": ("/teams/acme/changes/?since=2026-03-07", "/teams/acme/changes/"),
    "deployment": ("/deployments/{deployment}/",),
    "now": ("/now/", "/now/?team=acme&repository=acme/api", "/now/?show=all&bots=include", "/now/?reviewer=ben"),
    "pull-request": tuple(
        f"/pull-requests/{{pull_request}}/?show={each}" for each in ("overview", "sources", "figures")
    ),
    "inbox": (
        "/operations/deliveries/",
        "/operations/deliveries/?repository=acme/api&state=dead",
        "/operations/deliveries/?q=boom",
    ),
    "replay-matching": ("/operations/deliveries/replay/?state=dead",),
    "delivery": ("/operations/deliveries/{delivery}/",),
    "delivery-content": ("/operations/deliveries/{delivery}/body/",),
    "jobs": tuple(f"/operations/jobs/?show={each}" for each in ("all", "failed", "running", "waiting", "paused")),
    "start-history": ("/operations/jobs/start/", "/operations/jobs/start/?repository=acme/api"),
    "reconciliation": ("/operations/reconciliation/",),
    "reconciliation-run": ("/operations/reconciliation/{run}/",),
    "completeness": ("/operations/reconciliation/repositories/", "/operations/reconciliation/repositories/?q=acme"),
    "health": ("/operations/health/",),
    "digest": ("/teams/acme/digest/", "/teams/acme/digest/?week=2026-03-02"),
    "digest-stuck": ("/teams/acme/digest/stuck/",),
    "digest-text": ("/teams/acme/digest/text/?week=2026-03-02",),
    "team-notifications": ("/teams/acme/notifications/",),
    "notifications": ("/notifications/",),
    "notes": ("/notes/",),
    "people": ("/people/", "/people/?team=acme"),
    "users": ("/people/users/", "/people/users/?search=user1"),
    "account": ("/account/",),
    "setup": ("/setup/",),
    "setup-production": ("/setup/production/",),
    "api-description": ("/api/v1/docs/", "/api/v1/docs/?tag=figures"),
}
ELSEWHERE = {
    "operations": "leads to the inbox",
    "health-checks": "asks GitHub and the engines, when its button is pressed",
    "invitation": "leads to accept-invitation",
    "accept-invitation": "is for who opened a link",
    "unsubscribe": "is for who has a mail",
    "app-registered": "is where GitHub leads back to",
}
"""Pages that need something else, or ask others than the database."""


@pytest.fixture
def world(week: Cast, jobs: dict[str, int]) -> dict[str, Any]:
    """The week of fixture A, with something on every page."""
    for number in range(60):
        make_delivery(number, state="dead", reason=f"r{number % 30}", error="e" * 500, finished_at=timezone.now())
    for _ in range(25):
        make_drift()
    users = CustomUser.objects.bulk_create(CustomUser(username=f"user{number}", password="!") for number in range(120))
    TeamAccess.objects.bulk_create(TeamAccess(team=week.teams["acme"], user=user) for user in users)
    for number in range(60):
        Invitation.objects.issue(team=week.teams["acme"], role="viewer", by=week.admin)
        ApiToken.objects.issue(user=week.operator, label=f"Token {number}")
        Notification.objects.create(user=week.operator, message="Something happened. " * 5)
        team = Team.objects.create(name=f"Team {number:02}", slug=f"team-{number}")
        TeamRepository.objects.create(team=team, repository_id=API)
    channel = Channel(team=week.teams["acme"], name="#figures", kind="slack", topics=list(Topic))
    channel.url = "https://hooks.slack.com/services/T1/B2/secret"
    channel.save()
    window = Window.last(30, time_zone="UTC", now=instant("03-07 12:00"))
    keep_figures(FigureQuery(team=week.teams["acme"], window=window, as_of=instant("03-07 12:00")))
    delivery = Delivery.objects.earliest("pk")
    found = PullRequest.objects.get(repository_id=API, number=1)
    Provenance.objects.create(entity="pull_request", key=f"{API}:1", source="delivery", source_key=str(delivery.pk))
    return {
        "deployment": DerivedDeployment.objects.filter(succeeded_at=instant("03-05 17:00")).values("pk")[0]["pk"],
        "pull_request": found.pk,
        "delivery": delivery.pk,
        "run": SyncLog.objects.earliest("pk").pk,
    }


PARTS = ("delivery-content", "digest-text")
"""Parts of pages: what htmx loads, and the text of a mail."""


def every_address(world: dict[str, Any], *, but: Collection[str] = ()) -> list[str]:
    """Return the addresses of the pages, without those of the named ones."""
    return [each.format(**world) for name, addresses in PAGES.items() if name not in but for each in addresses]
