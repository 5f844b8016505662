"""Whatever is asked of the API, it answers as its own description says, and never with another team's data."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from apps.activity.models import Contributor, Installation, PullRequest, Repository
from apps.github.auth import github
from apps.teams.models import Team, TeamMember
from apps.users.models import ApiToken, CustomUser
from apps.webhooks.models import Delivery
from tests.api.conftest import API, SECRETS, UMBRELLA, Cast, make_backfill, make_delivery, make_drift
from tests.fake_github.identities import app_pem
from tests.shared_rows import shared_rows

pytestmark = pytest.mark.django_db
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MARKER = "umbrella-tells-nobody"

described = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(public=True))  # type: ignore[no-untyped-call]
described.app = get_wsgi_application()
OPERATIONS = {found.ok().label: found.ok() for found in described.get_all_operations()}


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """The end of a request leaves the test's transaction alone, as with Django's own client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def an_app(settings: Any) -> Iterator[None]:
    """Credentials, and nobody who answers at GitHub's address: whatever is asked there has no answer."""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = 1, app_pem()
    settings.GITHUB_API_URL = "http://127.0.0.1:9"
    github.cache_clear()
    yield
    github.cache_clear()


@pytest.fixture
@shared_rows
def planted(week: Cast) -> dict[str, list[Any]]:
    """Everything of umbrella's carries the marker; what can stand in an address of theirs and of acme's."""
    Team.objects.filter(slug="umbrella").update(name=MARKER, production_environments=[MARKER])
    Contributor.objects.filter(pk=UMBRELLA).update(login=MARKER)
    Repository.objects.filter(pk=SECRETS).update(full_name=f"{MARKER}/secrets")
    Installation.objects.create(github_id=70, account_id=UMBRELLA)
    author = Contributor.objects.create(github_id=901, login=f"{MARKER}-author", kind="user")
    PullRequest.objects.create(
        repository_id=SECRETS, number=1, title=MARKER, author=author, labels=[MARKER], head_ref=MARKER
    )
    shown = {"error": MARKER, "skipped": [{"what": MARKER, "why": MARKER}]}
    backfills = [make_backfill(), make_backfill(SECRETS, **shown)]
    drifts = [make_drift(), make_drift(SECRETS, stream=MARKER)]
    their_member = TeamMember.objects.create(team=week.teams["umbrella"], contributor=author)
    of_nobody = {"repository_id": None, "installation_id": 70, "reason": MARKER}
    theirs = [make_delivery(90, repository_id=SECRETS, error=MARKER), make_delivery(91, **of_nobody)]
    ours = make_delivery(1, state="processed", finished_at=timezone.now())
    our_member = TeamMember.objects.create(
        team=week.teams["acme"], contributor=Contributor.objects.get(login="cy"), until_at=timezone.now()
    )
    repositories = [API, SECRETS]
    return {
        "slug": ["acme", "umbrella"],
        "team": ["acme", "umbrella"],
        "id": [ours.pk, *(one.pk for one in theirs), our_member.pk, their_member.pk, *(one.pk for one in backfills)]
        + [one.pk for one in drifts],
        "repository_id": repositories,
        "github_id": repositories,
        "repository": ["acme/api", f"{MARKER[:8]}", *map(str, repositories)],
        "installation": [70, *(one.installation_id for one in backfills)],
        "everything": [True],
        "streams": [["pull_requests", "issues"]],
        "contributor_id": [author.pk, our_member.contributor_id],
        "login": ["cy"],
        "number": [1],
        "key": ["cycle_time", "prs_merged", "commits"],
        "limit": [1, 500],
        "window": ["7d"],
    }


@st.composite
def requests(draw: st.DrawFn, operation: Any, known: dict[str, list[Any]]) -> Any:
    """A request as the description has it, or as it has it not; often about things that are there."""
    case = draw(operation.as_strategy(generation_mode=draw(st.sampled_from(GenerationMode))))
    for place in (case.path_parameters, case.query, case.body):
        for name in [name for name in place if name in known] if isinstance(place, dict) else ():
            if draw(st.integers(0, 3)):
                place[name] = draw(st.sampled_from(known[name]))
    return case


def ask(case: Any, *, user: CustomUser | None) -> Any:
    """The answer, which is as the description says."""
    case.headers = {name: value for name, value in (case.headers or {}).items() if name.lower() != "authorization"}
    case.cookies = {}
    if user is not None:
        case.headers["Authorization"] = f"Bearer {ApiToken.objects.issue(user=user)[1]}"
    response = case.call()
    case.validate_response(response, checks=CHECKS)
    return response


TRIED = {"derandomize": True, "database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.parametrize("label", OPERATIONS)
@settings(max_examples=2, **TRIED)
@given(data=st.data())
def test_every_answer_is_as_described_and_without_another_teams_data(
    week: Cast, planted: dict[str, list[Any]], label: str, data: Any
) -> None:
    assert_as_described(data.draw(requests(OPERATIONS[label], planted)), week)


@pytest.mark.proof
@pytest.mark.parametrize("label", OPERATIONS)
@settings(max_examples=20, **TRIED)
@given(data=st.data())
def test_many_more_answers_are_as_described(week: Cast, planted: dict[str, list[Any]], label: str, data: Any) -> None:
    assert_as_described(data.draw(requests(OPERATIONS[label], planted)), week)


def assert_as_described(case: Any, week: Cast) -> None:
    assert ask(case, user=None).status_code in (401, 404)
    assert MARKER not in ask(case, user=week.admin).text
    ask(case, user=week.operator)


def test_the_unread_badge_is_per_user(week: Cast, planted: dict[str, list[Any]]) -> None:
    """Else its absence would say nothing."""
    client = week.client(week.stranger)
    lists = (
        "teams",
        "repositories",
        "pull-requests",
        "deliveries",
        "backfills",
        "jobs",
        "drift",
        "teams/umbrella/members",
    )
    shown = [client.get(f"/api/v1/{name}/").content.decode() for name in lists]
    assert all(MARKER in one for one in shown)
    assert Delivery.objects.filter(error=MARKER).exists()
