"""A rebuild and its check, figures at the command line, and the tasks that compute them."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.activity.models import Change
from apps.metrics import tasks
from apps.metrics.figures import FIGURES
from apps.metrics.figures.formatting import NO_VALUE
from apps.metrics.models import DerivedClosing, DerivedCommit, DerivedDeployment, DerivedPullRequest, DerivedReview
from apps.metrics.rebuild import mark_outdated
from apps.metrics.recalculation import drain
from apps.teams.models import Team
from tests.metrics.comparing import derived_tables
from tests.metrics.steps import API, WEB, PullRequestSteps, instant, record_facts, record_steps, repository

pytestmark = pytest.mark.django_db


def check(*arguments: str) -> tuple[int, str]:
    """The exit code, and what was printed."""
    out = StringIO()
    try:
        call_command("rebuild_figures", "--check", *arguments, stdout=out, stderr=StringIO())
    except SystemExit as leaving:
        return int(str(leaving.code)), out.getvalue()
    return 0, out.getvalue()


@pytest.mark.usefixtures("worked_example")
def test_the_check_finds_nothing_where_nothing_is_wrong() -> None:
    assert check() == (0, "difference: 0 (the figures equal a full rebuild)\n")


@pytest.mark.usefixtures("worked_example")
def test_the_check_processes_waiting_changes_first() -> None:
    record_facts(*PullRequestSteps(7, "ana").opened("03-06 10:00").steps[0])
    assert Change.objects.exists()
    assert check()[0] == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("worked_example")
def test_several_repositories_can_be_rebuilt_at_once() -> None:
    right = derived_tables()
    DerivedPullRequest.objects.all().delete()
    DerivedCommit.objects.all().delete()
    call_command("rebuild_figures", "--at-once", "3", stdout=StringIO(), stderr=StringIO())
    assert derived_tables() == right


@pytest.mark.usefixtures("worked_example")
def test_the_check_names_each_difference_and_a_rebuild_fixes_it() -> None:
    right = derived_tables()
    DerivedPullRequest.objects.filter(number=1).update(cycle_seconds=1)
    DerivedPullRequest.objects.filter(number=2).delete()
    DerivedClosing.objects.create(
        repository_id=API, number=6, is_bot_author=False, closed_at=instant("03-05 18:31"), author_id=2
    )
    DerivedReview.objects.filter(number=6).delete()
    DerivedCommit.objects.filter(sha="merge-3").update(is_merge=True)
    DerivedDeployment.objects.filter(last_deployment_id=102).update(succeeded_at=None)
    broken = derived_tables()
    code, said = check()
    assert code == 1
    assert f"derived pull request {API}:1: cycle_seconds is 1, should be 72000" in said
    assert f"derived pull request {API}:2: missing" in said
    assert f"derived closing {API}:6:" in said
    assert "should not exist" in said
    assert "derived review" in said
    assert "is_merge is True, should be None" in said
    assert "succeeded_at is None, should be 2026-03-03 12:00:00+00:00" in said
    assert f"derived shipment {API}:2::production: " in said, "without the deployment, the next one shipped it"
    assert f"acme/api ({API}): 8\n" in said
    assert "difference: 8\n" in said
    assert derived_tables() == broken, "a check changes nothing"
    call_command("rebuild_figures", stdout=StringIO(), stderr=StringIO())
    assert derived_tables() == right
    assert check()[0] == 0


@pytest.mark.usefixtures("worked_example")
@pytest.mark.parametrize("chosen", [("--repository", "acme/web"), ("--repository", str(WEB)), ("--team", "web")])
def test_only_the_named_repositories_are_checked(chosen: tuple[str, str]) -> None:
    web = PullRequestSteps(1, "ana", repository_id=WEB).opened("03-02 10:00")
    record_steps([(*web.steps[0][1:], repository(WEB, full_name="acme/web"))])
    team = Team.objects.create(name="Web", slug="web")
    team.tracked.create(repository_id=WEB)
    DerivedPullRequest.objects.filter(repository_id=API, number=1).update(cycle_seconds=1)
    assert check(*chosen) == (0, "difference: 0 (the figures equal a full rebuild)\n")
    assert check("--repository", "acme/api")[0] == 1


def test_an_unknown_repository_or_team_is_refused() -> None:
    with pytest.raises(CommandError, match="no repository 'acme/nowhere'"):
        check("--repository", "acme/nowhere")
    with pytest.raises(CommandError, match="no team 'nobody'"):
        check("--team", "nobody")


@pytest.mark.usefixtures("worked_example")
def test_rows_of_older_rules_are_derived_anew() -> None:
    right = derived_tables()
    for model in (DerivedPullRequest, DerivedCommit, DerivedDeployment):
        model.objects.update(rules_version=0)
    DerivedPullRequest.objects.update(review_rounds=5)
    mark_outdated()
    assert drain(seconds=60)
    assert derived_tables() == right
    mark_outdated()
    assert not Change.objects.exists()


WEEK = ("--from", "2026-03-02", "--to", "2026-03-09")


def figures(*arguments: str) -> str:
    out = StringIO()
    call_command("figures", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def account_team(worked_example: dict[str, Team]) -> Team:
    return worked_example["acme"]


def test_without_a_team_the_command_lists_the_teams(teams: dict[str, Team]) -> None:
    slugs = ", ".join(sorted(team.slug for team in teams.values()))
    with pytest.raises(CommandError, match=f"^Which team. Teams: {slugs}[.]$") as refusal:
        figures()
    assert refusal.value.returncode == 2


def test_a_table_for_people(account_team: Team) -> None:
    lines = figures(account_team.slug, *WEEK).splitlines()
    assert lines[0] == "acme: 2026-03-02 up to 2026-03-09, UTC"
    assert lines[1].startswith("Live from webhooks only. Connect the App's private key (GITHUB_APP_ID")
    assert len(lines) == 3 + len(FIGURES)
    [cycle_time] = [line for line in lines if line.startswith("Cycle time")]
    assert " ".join(cycle_time.split()) == "Cycle time 7 h 00 m 5 11 h 03 m 20 h 00 m 23 h 36 m"
    [frequency] = [line for line in lines if line.startswith("Deployment frequency")]
    assert frequency.split()[2:6] == ["0.57", "per", "day", "4"]
    [merged] = [line for line in lines if line.startswith("Pull requests merged")]
    assert merged.split()[3:7] == ["5", "pull", "requests", "5"]
    [age] = [line for line in lines if line.startswith("Age")]
    assert age.split()[-5:] == [NO_VALUE, "0", NO_VALUE, NO_VALUE, NO_VALUE]


def test_a_document_for_machines(account_team: Team) -> None:
    document = json.loads(figures(str(account_team.pk), *WEEK, "--json", "--bots", "include"))
    assert (document["team"], document["window"]["start"], document["window"]["end"]) == (
        "acme",
        "2026-03-02",
        "2026-03-09",
    )
    by_key = {figure["figure"]: figure for figure in document["figures"]}
    assert list(by_key) == list(FIGURES)
    assert by_key["prs_merged"]["value"] == 6


def test_a_series_is_a_line_of_bars(account_team: Team) -> None:
    lines = figures("acme", *WEEK, "--granularity", "day", "--figure", "prs_merged").splitlines()
    assert lines[-1].endswith("  \N{LOWER ONE EIGHTH BLOCK}▅▁▇▁▁▁"), lines  # none, 2, none, 3, none
    document = json.loads(figures("acme", *WEEK, "--granularity", "day", "--figure", "prs_merged", "--json"))
    assert [point["value"] for point in document["figures"][0]["series"]] == [0, 2, 0, 3, 0, 0, 0]


def test_figures_are_chosen_by_name(account_team: Team) -> None:
    document = json.loads(figures("acme", *WEEK, "--json", "--figure", "reviews", "--figure", "commits"))
    assert [figure["figure"] for figure in document["figures"]] == ["reviews", "commits"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody",), "There is no team 'nobody'. Teams: acme, alpha, beta, platform."),
        (("acme", "--figure", "velocity"), "no figure 'velocity'. Figures: commits, prs_opened"),
        (("acme", "--window", "a week"), "a number of days like 7d or 90d"),
        (("acme", "--from", "2026-03-02"), "must be used together"),
        (("acme", "--from", "2026-03-02", "--to", "2026-03-02"), "must end after it starts"),
        (("acme", "--from", "Monday", "--to", "2026-03-02"), "not a date like 2026-03-02"),
    ],
)
def test_a_wrong_argument_says_what_is_accepted(
    teams: dict[str, Team], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        figures(*arguments)


def test_without_any_team_the_command_says_where_teams_come_from() -> None:
    with pytest.raises(CommandError, match="one is created when the App is installed"):
        figures("acme")


def test_the_task_gives_the_figures_of_a_team(account_team: Team) -> None:
    found: dict[str, Any] = tasks.calculate_metrics(account_team.pk)
    assert found["team"] == "acme"
    assert [figure["figure"] for figure in found["figures"]] == list(FIGURES)
    assert json.loads(json.dumps(found)) == found


def test_the_task_recalculates_what_has_changed() -> None:
    record_facts(*PullRequestSteps(1, "ana").opened("03-02 10:00").steps[0])
    tasks.recalculate_stale()
    assert DerivedPullRequest.objects.count() == 1


@pytest.mark.parametrize("key", list(FIGURES))
def test_every_figure_has_a_definition_and_rules(key: str) -> None:
    figure = FIGURES[key]
    assert figure.key == key
    assert figure.definition.endswith(".")
    assert figure.definition.count(". ") == 0, "one sentence"
    assert figure.rules
    assert all(rule.endswith(".") for rule in figure.rules)
