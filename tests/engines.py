"""The suite's PostgreSQL and Redis: started for the first process that needs them, stopped by the last.

Engines live in a TFORMANCE_VAR of their own. Every pytest process, xdist worker or not, takes a free slot, and with it
a database and a Redis database that nobody else uses: two runs at once do not meet.
"""

import atexit
import json
import os
from contextlib import ExitStack
from pathlib import Path

from tformance.local.engines import Engines, needs_postgres, needs_redis
from tformance.local.redis_server import DATABASES
from tformance.local.state import ensure_secrets, local_settings, take_free_slot, var_folder

WEBHOOK_SECRET = "a-webhook-secret-for-tests-only-0123456789"
ORIGIN = "TFORMANCE_TEST_ORIGIN"
CHOSEN = ("DATABASE_URL", "REDIS_URL", "TFORMANCE_VAR")


def use_engines() -> None:
    """Point this process at engines of the suite, unless its environment names servers."""
    _forget_what_another_process_chose()
    os.environ["TFORMANCE_ENV_FILE"] = os.devnull  # the settings of this checkout are not those of its tests
    var = var_folder() / "test"
    if needs_postgres() or needs_redis():
        _borrow(var)
    ensure_secrets(var)
    slot = take_free_slot(var / "slots", count=DATABASES)
    known = local_settings(var)
    if needs_postgres():
        os.environ["DATABASE_URL"] = f"{known['DATABASE_URL'].rpartition('/')[0]}/tformance_{slot}"
    if needs_redis():
        os.environ["REDIS_URL"] = f"{known['REDIS_URL'].rpartition('/')[0]}/{slot}"
    os.environ |= {
        "TFORMANCE_VAR": str(var),
        "SECRET_KEY": known["SECRET_KEY"],
        "FERNET_KEYS": known["FERNET_KEYS"],
        "GITHUB_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "DJANGO_SETTINGS_MODULE": "tformance.settings",
    }


def _forget_what_another_process_chose() -> None:
    """An xdist worker inherits its controller's environment, and with it the controller's slot."""
    if origin := os.environ.get(ORIGIN):
        for name in CHOSEN:
            os.environ.pop(name, None)
        os.environ |= json.loads(origin)
    else:
        os.environ[ORIGIN] = json.dumps({name: os.environ[name] for name in CHOSEN if name in os.environ})


def _borrow(var: Path) -> None:
    """Until the interpreter ends, not only until the last test: plugins close their connections late."""
    stack = ExitStack()
    stack.enter_context(Engines(var=var, durable=False).in_use())
    atexit.register(stack.close)
