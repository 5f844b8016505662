"""After the faults: everything heals, the inbox drains, and the reckoning is made in a process of its own."""

import json
import subprocess
import sys

from tests.rig.engines import REFERENCE
from tests.rig.github import Ledger
from tests.rig.machine import Rig
from tests.rig.reckoning import Reckoning
from tformance.local.processes import wait_until
from tformance.local.state import CHECKOUT

UNFINISHED = """
SELECT (SELECT count(*) FROM webhooks_delivery WHERE state IN ('received', 'running', 'failed'))
     + (SELECT count(*) FROM activity_change)
"""


def unfinished(rig: Rig) -> int:
    """How many deliveries and changes wait for something to be done."""
    return int(str(rig.engines.rows(UNFINISHED)[0][0]))


def settle(rig: Rig, *, seconds: float) -> bool:
    """Whether the inbox and the changes are worked off within so many seconds."""
    return wait_until(lambda: unfinished(rig) == 0, seconds=seconds)


def reckon(rig: Rig, ledger: Ledger) -> Reckoning:
    """Hold the ledger against the rig's database."""
    rig.engines.make_reference()
    path = rig.var / "ledger.json"
    path.write_text(json.dumps(ledger.acknowledged))
    environment = rig.engines.environment(database=REFERENCE) | {"RIG_DATABASE_URL": rig.engines.dsn()}
    command = [sys.executable, "-m", "tests.rig.reckoning", str(path)]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, f"The reckoning failed:\n{done.stderr}"
    return Reckoning(**json.loads(done.stdout))


def check_figures(rig: Rig) -> str:
    """Empty if a rebuild would change no derived row; else what it would change."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), "rebuild_figures", "--check"]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=rig.engines.environment(), capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
