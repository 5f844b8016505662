"""The same mistake has the same exit code everywhere: 2 for what was asked wrongly."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, get_commands, load_command_class

from apps.activity.models import Repository
from apps.teams.models import Team
from apps.users.models import CustomUser
from tests.api.conftest import make_delivery

pytestmark = [pytest.mark.django_db, pytest.mark.proof]
USAGE = 2
OUR_COMMANDS = {name: str(app) for name, app in get_commands().items() if str(app).startswith(("apps.", "tformance"))}
PROGRAMS = ("tformance.local", "tformance.local engines", "tformance.backup")


def exit_code(name: str, *arguments: str) -> int:
    """Do what `manage.py NAME …` does, in this process."""
    command = load_command_class(OUR_COMMANDS[name], name)
    command._called_from_command_line = True
    try:
        options = vars(command.create_parser("manage.py", name).parse_args(arguments))
        command.execute(*options.pop("args", ()), **options)
    except CommandError as error:
        return int(error.returncode)
    except SystemExit as error:
        return int(error.code or 0)
    return 0


@pytest.mark.parametrize("name", sorted(OUR_COMMANDS))
def test_an_unknown_option_of_any_command_is_a_mistake_of_usage(name: str) -> None:
    assert exit_code(name, "--nonsense") == USAGE


@pytest.mark.parametrize(
    "line",
    [
        "backfill",
        "backfill --json",
        "backfill nonsense",
        "backfill --list --team nobody",
        "backfill --all --streams nonsense",
        "figures",
        "figures nobody",
        "rebuild_figures --team nobody",
        "rebuild_figures --repository acme/nothing",
        "jobs nonsense",
        "jobs retry",
        "jobs retry 1",
        "jobs --kind nonsense",
        "reconcile",
        "reconcile --all --json",
        "replay",
        "replay nonsense",
        "replay --repository acme/nothing",
        "replay --state nonsense",
        "replay --since nonsense",
        "store_private_key 7 /nonsense.pem",
        "token",
        "token nobody",
        "token ana --days 0",
        "demo --patience 0",
        "notify nobody",
        "notify instance --stuck-days 5",
        "notify acme --stuck-days 0",
        "notify acme --stuck-days 99999",
        "notify acme --test 9",
        "send_digest",
        "send_digest nobody",
        "invite nobody",
        "team_access nobody",
        "team_access ana",
        "production nobody",
        "register_app",
        "forward_webhooks nonsense",
    ],
)
def test_a_mistake_in_what_a_command_is_asked_is_one_of_usage(line: str) -> None:
    CustomUser.objects.create_user("ana")
    Team.objects.create(name="Acme", slug="acme")
    assert exit_code(*line.split()) == USAGE


@pytest.mark.parametrize(
    "line",
    [
        *(f"{program}{rest}" for program in PROGRAMS for rest in ("", " nonsense", " --nonsense")),
        "tformance.local only worker --queues nonsense",
        "tformance.local only worker --queues live --concurrency 0",
        "tformance.local only web --port nonsense",
        "tformance.local with",
        "tformance.local engines remove",
        "tformance.backup restore /nonsense.dump",
    ],
)
def test_a_mistake_in_what_a_program_is_asked_is_one_of_usage(line: str) -> None:
    ended = subprocess.run([sys.executable, "-m", *line.split()], cwd=Path.cwd(), capture_output=True, check=False)
    assert ended.returncode == USAGE, ended.stderr.decode()


def test_a_repository_to_replay_is_named_as_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    make_delivery(1, repository_id=11)
    Repository.objects.create(github_id=11, full_name="acme/api")
    for name in ("11", "acme/api", "Acme/API"):
        assert exit_code("replay", "--repository", name, "--dry-run") == 0
        assert capsys.readouterr().out == "1 delivery would be replayed.\n"
