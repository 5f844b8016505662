"""A rebuild changes nothing, and its check says so, or says what it would change."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.activity.models import Change
from apps.metrics.models import DerivedClosing, DerivedCommit, DerivedDeployment, DerivedPullRequest, DerivedReview
from apps.metrics.rebuild import mark_outdated
from apps.metrics.recalculation import drain
from apps.teams.models import Team
from tests.metrics import fixture_a
from tests.metrics.comparing import derived_tables
from tests.metrics.tales import API, WEB, PullRequestTale, instant, repository, tell, tell_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def _fixture_a(teams: dict[str, Team]) -> None:
    tell_all(fixture_a.steps())


def check(*arguments: str) -> tuple[int, str]:
    """The exit code, and what was printed."""
    out = StringIO()
    try:
        call_command("rebuild_figures", "--check", *arguments, stdout=out, stderr=StringIO())
    except SystemExit as leaving:
        return int(str(leaving.code)), out.getvalue()
    return 0, out.getvalue()


@pytest.mark.usefixtures("_fixture_a")
def test_the_check_finds_nothing_where_nothing_is_wrong() -> None:
    assert check() == (0, "difference: 0 (the figures equal a full rebuild)\n")


@pytest.mark.usefixtures("_fixture_a")
def test_the_check_processes_waiting_changes_first() -> None:
    tell(*PullRequestTale(7, "ana").opened("03-06 10:00").steps[0])
    assert Change.objects.exists()
    assert check()[0] == 0


@pytest.mark.usefixtures("_fixture_a")
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
    assert f"acme/api ({API}): 6\n" in said
    assert "difference: 6\n" in said
    assert derived_tables() == broken, "a check changes nothing"
    call_command("rebuild_figures", stdout=StringIO(), stderr=StringIO())
    assert derived_tables() == right
    assert check()[0] == 0


@pytest.mark.usefixtures("_fixture_a")
@pytest.mark.parametrize("chosen", [("--repository", "acme/web"), ("--repository", str(WEB)), ("--team", "web")])
def test_only_the_named_repositories_are_checked(chosen: tuple[str, str]) -> None:
    web = PullRequestTale(1, "ana", repository_id=WEB).opened("03-02 10:00")
    tell_all([(*web.steps[0][1:], repository(WEB, full_name="acme/web"))])
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


@pytest.mark.usefixtures("_fixture_a")
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
