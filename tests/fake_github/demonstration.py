"""`make demo-backfill`: a tformance of its own whose GitHub is the fake one, and the history of an organisation read.

Everything lives in a folder that is thrown away. What GitHub answers is real in shape, limits and faults: a page now
and then is too heavy, and once everybody has to wait for a secondary limit.
"""

import signal
import subprocess
import sys
from datetime import UTC, datetime

from apps.demo.deliveries import Sender
from apps.demo.scenario import Scenario
from apps.demo.shapes.repositories import RepositoryIdentity
from benchmarks.end_to_end import wait_until_fresh
from benchmarks.stack import Stack, stack
from tests.fake_github.faults import Fault, Matches, graphql, secondary, slow, too_heavy
from tests.fake_github.generated import BEGINNING, Size, acme
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tformance.local import programs
from tformance.local.console import StopRequestedError, fact, say, step, stoppable
from tformance.local.state import CHECKOUT, read_private_json

REPOSITORIES = {"api": 400, "web": 250, "docs": 40}
INSTALLATION, FIRST_REPOSITORY = 7, 11
ANSWER_S = 0.15
"""GitHub itself takes about 3 s for a page of 25 pull requests."""
SECONDARY_S = 5


def main() -> int:
    with stoppable():
        try:
            return demonstrate()
        except StopRequestedError:
            say("\nStopped. Nothing is left.")
            return 0


def demonstrate() -> int:
    """Backfill the fake's organisation before everybody's eyes; the exit code of `manage.py backfill --wait`."""
    with FakeGitHub() as github, stack(apply_migrations=False) as running:
        populate(github)
        running.environment.update(
            GITHUB_API_URL=github.url, GITHUB_APP_ID=str(APP_ID), GITHUB_APP_PRIVATE_KEY=app_pem(), BACKFILL_DAYS="3650"
        )
        with step("database and static files"):
            running.manage("prepare", "--verbosity", "0")
        with running.web() as port, running.running(*programs.workers(), programs.beat()):
            announce(running, port=port)
            install(running, port=port)
            code = backfill(running)
            show(running, github)
            if sys.stdin.isatty():
                say("Ctrl-C ends it and throws everything away.")
                signal.pause()
            return code


def populate(github: FakeGitHub) -> None:
    """An organisation with three repositories, and what goes wrong while they are read."""
    github.world.install(INSTALLATION)
    for place, (name, count) in enumerate(REPOSITORIES.items()):
        size = Size(pull_requests=count, issues=count // 4, releases=12, deployments=count // 10, runs=count)
        github.world.add(
            name, installation_id=INSTALLATION, repository_id=FIRST_REPOSITORY + place, size=size, seed=place + 1
        )
    github.spoil(Fault(secondary(retry_after_s=SECONDARY_S), matches=after(github, graphql, calls=12)))
    github.spoil(Fault(too_heavy(), matches=after(github, graphql, calls=20), times=2))
    github.spoil(Fault(slow(ANSWER_S), matches=graphql, times=None, is_instead=False))


def after(github: FakeGitHub, matches: Matches, *, calls: int) -> Matches:
    """From this number of GraphQL calls on."""
    return lambda asked: matches(asked) and len(github.calls("graphql")) >= calls


def install(running: Stack, *, port: int) -> None:
    """The App comes to the organisation: GitHub says so by webhook."""
    now = datetime.now(UTC).replace(microsecond=0)
    scenario = Scenario("demonstration", owner=acme(), installation_id=INSTALLATION)
    scenario.install(
        now,
        *(
            RepositoryIdentity(
                FIRST_REPOSITORY + place, name, acme(), created_at=BEGINNING, updated_at=BEGINNING, pushed_at=BEGINNING
            )
            for place, name in enumerate(REPOSITORIES)
        ),
    )
    with step("the App is installed on acme"), Sender(f"http://127.0.0.1:{port}", secret=running.secret) as sender:
        for sent in scenario.deliveries():
            sender.send(sent)
        wait_until_fresh(running)


def announce(running: Stack, *, port: int) -> None:
    admin = read_private_json(running.var / "admin.json")
    fact("address", f"http://127.0.0.1:{port}/")
    fact("sign in", f"{admin['username']} / {admin['password']}")


def backfill(running: Stack) -> int:
    """What an operator types, on this terminal."""
    arguments = ("backfill", "--installation", str(INSTALLATION), "--wait")
    say(f"\n$ manage.py {' '.join(arguments)}")
    command = (sys.executable, str(CHECKOUT / "manage.py"), *arguments)
    environment = running.environment | {"TFORMANCE_ROLE": "command"}
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode


def show(running: Stack, github: FakeGitHub) -> None:
    """What it came to, and what it cost."""
    wait_until_fresh(running)
    say("\n$ manage.py figures acme --window 730d")
    say(running.manage("figures", "acme", "--window", "730d"))
    fact("GraphQL", f"{len(github.calls('graphql'))} calls")
    fact("REST", f"{len(github.calls('core', payer=INSTALLATION))} calls")


if __name__ == "__main__":
    sys.exit(main())
