"""Previews of rules: what they would do is what they then do, and nothing is saved."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.activity.models import Change
from apps.metrics import rule_previews
from apps.metrics.figures import FigureQuery, Window, read_figures
from apps.metrics.models import DerivedDeployment
from apps.metrics.recalculation import drain
from apps.metrics.rule_previews import KINDS
from apps.teams.models import AccountRule, DeploymentSource, HotfixRule, IncidentRule, ServiceRule
from tests.api.conftest import UMBRELLA, Cast
from tests.metrics.comparing import derived_tables
from tests.metrics.steps import API, WEB, PullRequestSteps, person, profile, record_steps, repository
from tests.metrics.test_fixture_g import workflow_run
from tests.metrics.test_incidents import issue
from tests.shared_rows import shared_rows

pytestmark = pytest.mark.django_db

PREVIEWS = "/api/v1/teams/acme/previews/"
WINDOW = "3660d"
Body = dict[str, Any]


@pytest.fixture
@shared_rows
def busy_week(week: Cast) -> Cast:
    """The week of fixture A, with workflow runs, an incident and a hotfix, and what is of another repository."""
    hotfix = PullRequestSteps(7, "ana", branch="urgent/7").opened("03-06 11:00", head="g1").merged("03-06 12:00")
    elsewhere = PullRequestSteps(1, "dependabot[bot]", repository_id=WEB).opened("03-06 11:00")
    record_steps(
        [
            *hotfix.steps,
            *elsewhere.steps,
            workflow_run(1, "deploy", concluded="03-03 10:00"),
            workflow_run(2, "tests", concluded="03-03 10:00"),
            issue(9, "03-05 18:00", closed="03-05 19:30", cause="#5"),
            (repository(WEB, full_name="acme/web"), profile("ben")),
        ]
    )
    return week


def send(cast: Cast, body: Body, *, by: str = "admin") -> Any:
    return cast.client(getattr(cast, by)).post(PREVIEWS, {"window": WINDOW, **body}, format="json")


def values_now(cast: Cast) -> dict[str, Any]:
    cast.teams["acme"].refresh_from_db()
    query = FigureQuery(team=cast.teams["acme"], window=Window.named(WINDOW, time_zone="UTC"))
    return {one.figure: {"value": one.value, "n": one.n} for one in read_figures(query)}


def choose_production(cast: Cast) -> None:
    cast.teams["acme"].production_environments = ["stag*"]
    cast.teams["acme"].save()


CASES: tuple[tuple[Body, Callable[[Cast], Any], list[Body], str], ...] = (
    (
        {"kind": "deployment_source", "source": "workflow_runs", "pattern": "^deploy$"},
        lambda _: DeploymentSource.objects.create(kind="workflow_runs", pattern="^deploy$"),
        [{"name": "deploy", "n": 1}],
        "deployments",
    ),
    (
        {"kind": "hotfix", "field": "branch", "pattern": "^urgent", "repository": "acme/api"},
        lambda _: HotfixRule.objects.create(pattern="^urgent", repository_id=API),
        [{"name": "urgent/7", "n": 1}],
        "",
    ),
    (
        {"kind": "incident", "field": "label", "pattern": "incident"},
        lambda _: IncidentRule.objects.create(pattern="incident"),
        [{"name": "incident", "n": 1}],
        "incidents",
    ),
    (
        {"kind": "account", "login": "Ana", "account_class": "bot"},
        lambda _: AccountRule.objects.create(contributor_id=person("ana"), account_class="bot"),
        [{"name": "pull requests", "n": 2}, {"name": "reviews", "n": 2}, {"name": "commits", "n": 4}],
        "prs_merged",
    ),
    (
        {"kind": "service", "field": "environment", "pattern": "^(stag)ing", "service": r"\1"},
        lambda _: ServiceRule.objects.create(pattern="^(stag)ing", service=r"\1"),
        [{"name": "staging", "n": 1}],
        "",
    ),
    (
        {"kind": "production", "environments": ["stag*"]},
        choose_production,
        [{"name": "staging", "n": 1}],
        "deployments",
    ),
)


@pytest.mark.parametrize(("body", "apply", "matches", "changed"), CASES, ids=[body["kind"] for body, *_ in CASES])
def test_a_preview_says_what_the_rule_then_does_and_saves_nothing(
    busy_week: Cast, body: Body, apply: Callable[[Cast], Any], matches: list[Body], changed: str
) -> None:
    before, tables = values_now(busy_week), derived_tables()
    answer = send(busy_week, body)
    assert answer.status_code == 200, answer.json()
    found = answer.json()
    assert (derived_tables(), values_now(busy_week)) == (tables, before)
    assert not Change.objects.exists()
    assert not any(model._default_manager.exists() for model in KINDS.values())
    assert found["matches"] == matches
    assert found["matching"] == sum(one["n"] for one in matches)
    assert {one["figure"]: one["before"] for one in found["figures"]} == before
    apply(busy_week)
    assert drain(seconds=60)
    assert {one["figure"]: one["after"] for one in found["figures"]} == values_now(busy_week)
    assert not changed or changed in {one["figure"] for one in found["figures"] if one["is_changed"]}
    if body["kind"] == "production":
        assert found["moved"]["derived deployment"] == 7
    else:
        rows = {name: set(map(repr, rows)) for name, rows in derived_tables().items()}
        was = {name: set(map(repr, rows)) for name, rows in tables.items()}
        assert bool(found["moved"]) is (rows != was)


@pytest.mark.parametrize(("body", "apply"), [case[:2] for case in CASES], ids=[body["kind"] for body, *_ in CASES])
def test_a_preview_of_a_removal_says_what_it_then_does_and_removes_nothing(
    busy_week: Cast, body: Body, apply: Callable[[Cast], Any]
) -> None:
    without, saved = values_now(busy_week), apply(busy_week)
    assert drain(seconds=60)
    before, tables = values_now(busy_week), derived_tables()
    asked: Body = {"environments": []} if body["kind"] == "production" else {"replaces": saved.pk}
    answer = send(busy_week, {"kind": body["kind"], **asked})
    assert answer.status_code == 200, answer.json()
    found = answer.json()
    assert (derived_tables(), values_now(busy_week)) == (tables, before)
    assert body["kind"] == "production" or type(saved).objects.get() == saved
    assert found["matching"] > 0
    assert {one["figure"]: one["before"] for one in found["figures"]} == before
    assert {one["figure"]: one["after"] for one in found["figures"]} == without
    if body["kind"] != "production":
        saved.delete()
        assert drain(seconds=60)
        assert values_now(busy_week) == without


def test_a_preview_of_a_replacement_is_without_the_old_rule_and_with_the_new_one(busy_week: Cast) -> None:
    rule = DeploymentSource.objects.create(kind="workflow_runs", pattern="^deploy$")
    assert drain(seconds=60)
    body = {"kind": "deployment_source", "source": "workflow_runs", "pattern": "^tests$", "replaces": rule.pk}
    found = send(busy_week, body).json()
    assert found["matches"] == [{"name": "tests", "n": 1}]
    rule.pattern = "^tests$"
    rule.save()
    assert drain(seconds=60)
    assert {one["figure"]: one["after"] for one in found["figures"]} == values_now(busy_week)


def test_a_rule_of_another_team_is_not_replaced_and_those_of_this_one_are_named(busy_week: Cast) -> None:
    theirs = HotfixRule.objects.create(pattern="^secret", account_id=UMBRELLA)
    ours = HotfixRule.objects.create(pattern="^urgent", account_id=person("acme"))
    answer = send(busy_week, {"kind": "hotfix", "replaces": theirs.pk})
    [words] = answer.json()["fields"]["replaces"]
    assert (answer.status_code, f"{ours.pk} (branch ^urgent)" in words, "secret" in words) == (400, True, False)
    assert send(busy_week, {"kind": "hotfix", "replaces": ours.pk}).status_code == 200


def test_a_preview_derives_nothing_of_other_repositories(busy_week: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set[int]()
    recalculate = rule_previews.recalculate

    def watched(found: Any, **options: Any) -> None:
        seen.update(scope[0] for scope in (*found.pull_requests, *found.commits))
        recalculate(found, **options)

    monkeypatch.setattr(rule_previews, "recalculate", watched)
    team = busy_week.teams["beta"]  # tracks acme/api alone
    client = busy_week.client(busy_week.operator)
    body = {"kind": "account", "login": "dependabot[bot]", "account_class": "human"}
    assert client.post(f"/api/v1/teams/{team.slug}/previews/", body, format="json").status_code == 200
    assert seen == {API}


def test_a_rule_that_concerns_too_much_is_refused(busy_week: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_previews, "MOST_CHANGES", 3)
    answer = send(busy_week, CASES[0][0])
    assert (answer.status_code, answer.json()["code"]) == (409, "too_much_to_preview")
    assert "more than 3" in answer.json()["detail"]
    assert not DeploymentSource.objects.exists()
    assert not Change.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "service", "pattern": "(", "service": "a"}, "pattern"),
        ({"kind": "service", "pattern": "a", "service": r"\2"}, "service"),
        ({"kind": "hotfix", "field": "colour", "pattern": "a"}, "field"),
        ({"kind": "hotfix", "pattern": "a", "service": "api"}, "service"),
        ({"kind": "deployment_source", "pattern": "a"}, "source"),
        ({"kind": "account", "login": "nobody", "account_class": "bot"}, "login"),
        ({"kind": "incident", "repository": "acme/secrets"}, "repository"),
        ({"kind": "incident", "window": "long"}, "window"),
        ({"kind": "colour"}, "kind"),
        ({"kind": "incident", "replaces": 9}, "replaces"),
        ({"kind": "production", "replaces": 9}, "replaces"),
    ],
)
def test_a_rule_that_could_not_be_saved_is_refused(busy_week: Cast, body: Body, field: str) -> None:
    answer = send(busy_week, body)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


def test_only_admins_preview(busy_week: Cast) -> None:
    statuses = {by: send(busy_week, CASES[1][0], by=by).status_code for by in ("viewer", "stranger", "operator")}
    assert statuses == {"viewer": 403, "stranger": 404, "operator": 200}


def run(*arguments: str, capsys: Any) -> str:
    call_command("preview_rules", *arguments)
    return str(capsys.readouterr().out)


def test_the_command_shows_the_same(busy_week: Cast, capsys: Any) -> None:
    asked = ("acme", "deployment_source", "--source", "workflow_runs", "--pattern", "^deploy$", "--window", WINDOW)
    shown = run(*asked, capsys=capsys)
    assert shown.startswith("1 match\n  deploy: 1\nwould change: ")
    assert any(line.startswith("Deployments ") and line.endswith("*") for line in shown.splitlines())
    assert json.loads(run(*asked, "--json", capsys=capsys)) == send(busy_week, CASES[0][0]).json()
    assert DerivedDeployment.objects.filter(source="workflow_runs").count() == 0


def test_the_command_shows_what_a_removal_would_change(busy_week: Cast, capsys: Any) -> None:
    rule = DeploymentSource.objects.create(kind="workflow_runs", pattern="^deploy$")
    assert drain(seconds=60)
    shown = run("acme", "deployment_source", "--replaces", str(rule.pk), "--window", WINDOW, capsys=capsys)
    assert shown.startswith("1 match\n  deploy: 1\nwould change: ")
    assert any(line.startswith("Deployments ") and line.endswith("*") for line in shown.splitlines())
    assert DeploymentSource.objects.get() == rule


@pytest.mark.parametrize(
    ("arguments", "returncode", "words"),
    [
        ((), 2, "Which team"),
        (("acme",), 2, "Which kind"),
        (("acme", "hotfix", "--service", "a"), 2, "has no service"),
        (("acme", "hotfix", "--pattern", "("), 2, "pattern: "),
        (("acme", "hotfix", "--replaces", "9"), 2, "replaces: "),
        (("acme", "hotfix", "--repository", "acme/none"), 2, "does not track"),
        (("acme", "hotfix"), 1, "more than 0"),
    ],
)
def test_the_command_says_what_is_wrong(
    busy_week: Cast, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], returncode: int, words: str
) -> None:
    monkeypatch.setattr(rule_previews, "MOST_CHANGES", 0)
    with pytest.raises(CommandError, match=words) as raised:
        call_command("preview_rules", *arguments)
    assert raised.value.returncode == returncode
