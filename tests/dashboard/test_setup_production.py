"""Choosing what counts as production: seen, previewed and saved, by operators alone, on the page or by command."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.metrics.models import DerivedDeployment
from apps.teams.models import DeploymentSource, Team
from tests.api.conftest import Cast

pytestmark = pytest.mark.django_db
URL = "/setup/production/"


@pytest.fixture
def operator(week: Cast) -> Client:
    client = Client()
    client.force_login(week.operator)
    return client


def environment(team: Team) -> str:
    rows = DerivedDeployment.objects.filter(repository__owner=team.account, is_production=True)
    return rows.values_list("environment", flat=True)[0]


def choose(client: Client, team: Team, **given: str) -> str:
    answer = client.post(URL, {"team": team.slug, "about": "environments", **given}, follow=True)
    assert answer.status_code == 200
    page: str = answer.content.decode()
    return page


def test_the_page_shows_where_the_team_deploys_to(operator: Client, week: Cast) -> None:
    page = operator.get(URL, {"team": "acme"}).content.decode()
    assert environment(week.teams["acme"]) in page
    assert ">production</span>" in page


def test_a_preview_saves_nothing_and_shows_figures_before_and_after(operator: Client, week: Cast) -> None:
    page = choose(operator, week.teams["acme"], environments="nowhere-*", step="preview")
    assert "Nothing is saved yet" in page
    assert "Deployments" in page.partition("Preview of the last")[2]
    assert Team.objects.get(slug="acme").production_environments == []


def test_a_choice_is_saved_and_can_be_taken_back(operator: Client, week: Cast) -> None:
    page = choose(operator, week.teams["acme"], environments="live, prod*, live", step="save")
    assert "Saved for" in page
    assert Team.objects.get(slug="acme").production_environments == ["live", "prod*"]
    choose(operator, week.teams["acme"], environments="", step="save")
    assert Team.objects.get(slug="acme").production_environments == []


def test_runs_of_a_workflow_can_count_as_deployments(operator: Client, week: Cast) -> None:
    given = {"about": "source", "kind": "workflow_runs", "pattern": "^deploy$"}
    assert "Nothing is saved yet" in choose(operator, week.teams["acme"], **given, step="preview")
    assert not DeploymentSource.objects.exists()
    for _ in range(2):
        choose(operator, week.teams["acme"], **given, step="save")
    rule = DeploymentSource.objects.get()
    assert (rule.account, rule.kind, rule.pattern) == (week.teams["acme"].account, "workflow_runs", "^deploy$")


@pytest.mark.parametrize(
    "given",
    [
        {"about": "source", "kind": "workflow_runs", "pattern": "("},
        {"about": "source", "kind": "magic", "pattern": "x"},
        {"about": "source", "kind": "merges", "pattern": ""},
    ],
)
@pytest.mark.parametrize("step", ["preview", "save"])
def test_what_is_wrong_is_said_and_not_saved(operator: Client, week: Cast, given: dict[str, str], step: str) -> None:
    answer = operator.post(URL, {"team": "acme", "step": step, **given})
    assert (answer.status_code, 'role="alert"' in answer.content.decode()) == (400, True)
    assert not DeploymentSource.objects.exists()


def test_only_operators_choose(week: Cast) -> None:
    client = Client()
    client.force_login(week.admin)
    assert client.get(URL).status_code == 404
    assert client.post(URL, {"team": "acme", "environments": "x", "step": "save"}).status_code == 404


def test_an_unknown_team_is_404(operator: Client) -> None:
    assert operator.get(URL, {"team": "nobody"}).status_code == 404


def test_the_command_does_the_same(week: Cast) -> None:
    said = StringIO()
    call_command("production", "acme", "--environment", "live", stdout=said)
    call_command("production", "acme", "--source", "merges", "--pattern", "^main$", stdout=said)
    assert Team.objects.get(slug="acme").production_environments == ["live"]
    assert DeploymentSource.objects.get().kind == "merges"
    call_command("production", "acme", "--by-name", stdout=said)
    assert Team.objects.get(slug="acme").production_environments == []
    assert "GitHub or their name calls production" in said.getvalue()
    with pytest.raises(CommandError, match="no team"):
        call_command("production", "nobody")
    with pytest.raises(CommandError, match="not a regular expression"):
        call_command("production", "acme", "--source", "merges", "--pattern", "(")
