"""`manage.py backfill`: starts, forecasts, watches and looks after backfills, in words and with exit codes."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rich.console import Console

from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.github.auth import github
from apps.github.rate_limit import Priority, Purpose
from apps.integrations.backfill import console
from apps.integrations.backfill.console import progress_line, progress_view
from apps.integrations.backfill.status import progress_of
from apps.integrations.models import Backfill
from apps.integrations.streams import STREAM_NAMES
from apps.metrics.figures.formatting import NO_VALUE
from apps.teams.models import Team
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, WEB
from tests.integrations.backfill.crossing import breaking_off_a_start_of
from tests.integrations.backfill.installed import ACCOUNT, MONDAY, backfill, install, reach

pytestmark = pytest.mark.django_db
STREAMS = len(STREAM_NAMES)


@pytest.fixture
def connected(fake: FakeGitHub, settings: Any) -> Iterator[FakeGitHub]:
    """The settings of somebody whose GitHub is the fake, with one repository that is reached."""
    settings.GITHUB_API_URL = fake.url
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    github.cache_clear()
    install(listed_at=timezone.now())
    reach()
    yield fake
    github.cache_clear()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("backfill", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def refused(*arguments: str) -> tuple[str, int]:
    """What is said, and the exit code."""
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return str(caught.value), caught.value.returncode


@pytest.mark.django_db(transaction=True)
def test_a_start_that_was_broken_off_for_a_deadlock_is_begun_once_more(connected: FakeGitHub) -> None:
    with breaking_off_a_start_of("issues", "releases", repository_id=API):
        assert run("acme/api", "--streams", "issues,releases") == "2 backfills started, 0 already running.\n"


def test_a_start_says_how_many_backfills_there_are_now(connected: FakeGitHub) -> None:
    assert run("acme/api", "--since", "90d") == "8 backfills started, 0 already running.\n"
    since = Backfill.objects.values_list("since", flat=True).distinct().get()
    assert since is not None
    assert abs(timezone.now() - timedelta(days=90) - since) < timedelta(minutes=1)
    assert run("ACME/api", "--since", "30d") == "0 backfills started, 8 already running.\n"
    assert run("acme/api", "--streams", "issues, releases") == "2 backfills started, 0 already running.\n"


def test_streams_bounds_and_choices_reach_the_rows(connected: FakeGitHub) -> None:
    Team.objects.create(name="acme", slug="acme", account_id=ACCOUNT)
    run("--team", "acme", "--streams", "issues", "--since", "2026-01-01", "--until", "2026-02-01T12:00:00+02:00")
    row = Backfill.objects.get()
    assert (row.repository_id, row.installation_id, row.stream) == (API, ACME, "issues")
    assert (row.since.isoformat(), row.until.isoformat()) == ("2026-01-01T00:00:00+00:00", "2026-02-01T10:00:00+00:00")
    assert "1 backfill started" in run("--installation", str(ACME), "--streams", "releases")
    assert "1 backfill started" in run("--all", "--streams", "commits")


@pytest.mark.parametrize(
    "arguments",
    [
        ("acme",),
        ("acme/api", "--streams", "pulls"),
        ("acme/api", "--since", "yesterday"),
        ("acme/api", "--pause", "--cancel"),
    ],
)
def test_what_cannot_be_read_is_a_matter_of_usage(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)


def test_missing_selection_exits_with_usage_error() -> None:
    assert refused() == ("Say which repositories: OWNER/REPO, --installation ID, --team SLUG or --all.", 2)
    assert refused("--cancel")[1] == 2
    assert refused("--all", "--json") == ("--json goes with --list.", 2)


def test_without_credentials_it_says_what_to_set_and_starts_nothing() -> None:
    install()
    reach()
    words, code = refused("acme/api")
    assert "Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE, or run `manage.py store_private_key`" in words
    assert code == 1
    assert not Backfill.objects.exists()


def test_what_is_not_reached_is_said_and_the_rest_is_started(connected: FakeGitHub) -> None:
    reach("acme/lost", WEB, has_access=False)
    out = StringIO()
    with pytest.raises(CommandError, match="1 repository could not be started") as caught:
        call_command("backfill", "acme/api", "acme/lost", stdout=out)
    assert caught.value.returncode == 1
    assert "Not reached by any installation: acme/lost. Give the App access to it on GitHub." in out.getvalue()
    assert Backfill.objects.count() == STREAMS


def test_a_repository_nobody_heard_of_is_looked_for_where_its_owner_installed_the_app(connected: FakeGitHub) -> None:
    connected.world.add("web", installation_id=ACME, repository_id=WEB)
    output = run("acme/web", "--streams", "issues")
    assert "Listing what installation 7 on acme reaches" in output
    assert "1 backfill started" in output
    assert Backfill.objects.get(repository=WEB, stream="issues").since is None
    words, code = refused("acme/nowhere")
    assert "Nothing is known of acme/nowhere; there are acme/api, acme/web" in words
    assert code == 2
    assert "Nothing is known of unapproved/x. " in refused("unapproved/x")[0]


def test_installations_that_no_webhook_reported_are_found(connected: FakeGitHub) -> None:
    RepositoryAccess.objects.all().delete()
    Installation.objects.all().delete()
    output = run("--all", "--streams", "issues")
    assert "GitHub names 1 installation of the App." in output
    assert "1 backfill started" in output or "8 backfills started" in output
    assert Installation.objects.get().listed_at is not None


def test_a_key_that_github_refuses_is_said(connected: FakeGitHub) -> None:
    connected.spoil(
        Fault(faults.status(401, {"message": "A JSON web token could not be decoded"}), faults.below("/app"))
    )
    assert refused("acme/web") == (
        "GitHub does not say where the App is installed: A JSON web token could not be decoded.",
        1,
    )


def test_a_team_that_is_not_there_is_said() -> None:
    assert refused("--all", "--list", "--team", "nobody") == ("There is no team 'nobody'; there are none yet.", 2)


def test_a_dry_run_starts_nothing_and_says_what_it_would_take(connected: FakeGitHub) -> None:
    output = run("acme/api", "--dry-run", "--streams", "pull_requests,issues,workflow_runs")
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert "stream items calls points work" in lines
    assert "pull_requests 30 3 3 5 s" in lines
    assert "issues 12 1 1 1 s" in lines
    assert "workflow_runs 5 1 1 1 s" in lines
    assert any(line.startswith("in all 47 5 5") for line in lines)
    assert "About 6 s, without waiting for any limit." in lines
    assert "Installation 7: 4,99" in output
    assert "graphql left until" in " ".join(lines)
    assert not Backfill.objects.exists()


def test_a_dry_run_counts_the_wait_for_a_reset(connected: FakeGitHub) -> None:
    connected.limits.leave(ACME, "graphql", remaining=2, resets_in_s=1800)
    output = run("acme/api", "--dry-run", "--streams", "pull_requests")
    assert "About 30 m" in output
    assert "waiting for a limit's reset included" in output


def test_a_dry_run_says_what_could_not_be_counted(connected: FakeGitHub) -> None:
    reach("acme/gone", WEB)
    out = StringIO()
    with pytest.raises(CommandError, match="could not be counted"):
        call_command("backfill", "--all", "--dry-run", "--streams", "issues", stdout=out)
    assert "Not counted: acme/gone: Could not resolve" in " ".join(out.getvalue().split())


def test_backfills_are_paused_resumed_cancelled_and_retried(connected: FakeGitHub) -> None:
    run("acme/api", "--streams", "issues,commits")
    assert run("--pause", "acme/api", "--streams", "issues") == "1 backfill paused.\n"
    assert "1 backfill paused: --resume continues them." in run("acme/api", "--streams", "issues")
    assert run("--resume", "--all") == "1 backfill resumed.\n"
    assert run("--cancel", "--installation", str(ACME)) == "2 backfills cancelled.\n"
    Backfill.objects.filter(stream="issues").update(state="failed")
    assert run("--retry", "acme/api") == "1 failed backfill retried.\n"
    assert Backfill.objects.get(stream="issues").state == "waiting"


def test_the_list_shows_the_newest_backfill_of_each_stream(connected: FakeGitHub) -> None:
    assert run("--list") == "Nothing was ever started there.\n"
    repository = Repository.objects.get()
    backfill(repository, state="cancelled")
    backfill(repository, state="failed", reason="forbidden")
    later = timezone.now() + timedelta(minutes=12, seconds=5)
    backfill(repository, stream="issues", total=1200, items=300, reason="spent", not_before=later, started_at=MONDAY)
    lines = [" ".join(line.split()) for line in run("--list").splitlines()]
    assert len(lines) == 3
    assert lines[:2] == ["acme/api", f"pull_requests {NO_VALUE} failed: forbidden"]
    assert lines[2].startswith("issues 300 of 1,200")
    assert lines[2].endswith("limit is spent, 12 m 04 s") or "12 m 05 s" in lines[2]
    documents = json.loads(run("--list", "--json"))
    assert {(one["repository"], one["stream"], one["state"], one["items"]) for one in documents} == {
        ("acme/api", "pull_requests", "failed", 0),
        ("acme/api", "issues", "waiting", 300),
    }


@pytest.fixture
def finish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return how to have all backfills end while the command waits, without a worker."""

    def when_it_waits(state: str = "done", **about: Any) -> None:
        def sleep(_: float) -> None:
            now = timezone.now()
            Backfill.objects.update(state=state, finished_at=now, items=30, started_at=now, **about)

        monkeypatch.setattr(console, "UNTOUCHED_S", 0)
        monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))

    return when_it_waits


def test_waiting_ends_when_all_is_done(connected: FakeGitHub, finish: Callable[..., None]) -> None:
    finish()
    output = run("acme/api", "--streams", "issues", "--wait").splitlines()
    assert output[1].endswith("1 waiting (1 of unknown size); 0 items; 0 points")
    assert console.NO_WORKER in output
    assert output[-1] == "Done: 30 items read, 0 points spent."


def test_waiting_for_what_fails_says_what_failed(connected: FakeGitHub, finish: Callable[..., None]) -> None:
    finish("failed", reason="forbidden", error="Resource not accessible")
    out = StringIO()
    with pytest.raises(CommandError, match="1 backfill did not finish; --retry continues failed ones"):
        call_command("backfill", "acme/api", "--streams", "issues", "--wait", stdout=out)
    assert "issues of acme/api: failed forbidden Resource not accessible" in out.getvalue()


def test_what_was_left_out_is_said(connected: FakeGitHub, finish: Callable[..., None]) -> None:
    finish(skipped=[{"what": "pull request 17", "why": "HTTP 502"}])
    output = run("acme/api", "--streams", "pull_requests", "--wait")
    assert "pull_requests of acme/api: pull request 17 was left out: HTTP 502" in output


def test_ctrl_c_leaves_the_backfill_running(connected: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console.time, "sleep", interrupt)
    out = StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("backfill", "acme/api", "--wait", stdout=out)
    assert caught.value.code == 130
    assert "The backfill continues." in out.getvalue()
    assert Backfill.objects.unfinished().count() == STREAMS


def shown(height: int = 40) -> list[str]:
    """The live display at 80 columns."""
    rows = list(Backfill.objects.select_related("repository"))
    screen = Console(file=StringIO(), width=80, height=height, markup=False, force_terminal=False)
    with screen.capture() as captured:
        screen.print(progress_view(rows, progress_of(rows), now=timezone.now(), height=height))
    return captured.get().splitlines()


def test_the_live_display_fits_80_columns_and_shows_what_happens_first(connected: FakeGitHub) -> None:
    now = timezone.now()
    repository = reach("acme/a-repository-with-quite-a-long-name-for-a-table", WEB)
    running = {"state": "running", "lease_until": now + timedelta(minutes=1), "started_at": now - timedelta(minutes=5)}
    backfill(repository, **running, items=1250, total=4000, points=50, calls=52, installation_id=ACME)
    backfill(repository, stream="issues")
    backfill(Repository.objects.get(pk=API), state="failed", reason="forbidden")
    github().graphql(
        "query { rateLimit { cost } }",
        {},
        installation_id=ACME,
        purpose=Purpose(priority=Priority.LIVE, subject="a test"),
    )
    lines = shown()
    assert all(len(line.rstrip()) <= 80 for line in lines)
    assert [" ".join(line.split()) for line in lines[:5]] == [
        "acme/a-repository-with-quite-a-long-name-for-a-table",
        "pull_requests 1,250 of 4,000 ━━╸ reading",
        f"issues {NO_VALUE} waits",
        "acme/api",
        f"pull_requests {NO_VALUE} failed: forbidden",
    ]
    output = "\n".join(lines)
    assert "1 running, 1 failed, 1 waiting (1 of unknown size)" in output
    assert "1,250 of 4,000 items, 4.2/s, at least 11 m" in output
    assert "50 points spent in 52 calls" in output
    assert "installation 7: 4,999 of 5,000 graphql left until" in output


def test_a_long_table_is_cut_to_the_height_of_the_terminal(connected: FakeGitHub) -> None:
    for number in range(100, 140):
        backfill(reach(f"acme/r{number}", number))
    lines = shown(height=24)
    assert len(lines) <= 24
    assert any("… and 33 more repositories" in line for line in lines)


def test_a_wait_for_a_limit_says_until_when(connected: FakeGitHub) -> None:
    until = timezone.now() + timedelta(minutes=20, seconds=1)
    backfill(Repository.objects.get(), reason="spent", not_before=until)
    assert f"nothing may be read for 20 m 01 s, until {until:%H:%M} UTC" in "\n".join(shown())
    rows = list(Backfill.objects.all())
    assert "until" in progress_line(progress_of(rows), now=timezone.now())
