"""Database settings and timeouts of each kind of process."""

from typing import Any

# Milliseconds. A web request that waits longer has lost its client; a worker's task has 45 s; a person at the command
# line and a migration may take as long as they need.
SESSION_TIMEOUTS = {
    "web": {"statement_timeout": 3_000, "lock_timeout": 2_000, "idle_in_transaction_session_timeout": 10_000},
    "worker": {"statement_timeout": 30_000, "lock_timeout": 10_000, "idle_in_transaction_session_timeout": 60_000},
}
SESSION_TIMEOUTS["beat"] = SESSION_TIMEOUTS["worker"]

# A server that has gone without a word is noticed within seconds, not after the kernel's two hours.
NETWORK_TIMEOUTS = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5_000,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}


def connection(address: dict[str, Any], *, role: str) -> dict[str, Any]:
    """Return Django's database settings: persistent connections, checked before use, with timeouts."""
    session = {"synchronous_commit": "on"} | SESSION_TIMEOUTS.get(role, {})
    network = NETWORK_TIMEOUTS if role in SESSION_TIMEOUTS else {"connect_timeout": 10}
    given = address.get("OPTIONS", {})
    return address | {
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        "OPTIONS": {
            **network,
            "prepare_threshold": 1,  # for the statements of ours that ask for it: apps/common/db.py
            "application_name": f"tformance {role}",
            **given,
            "options": " ".join(
                [*(f"-c {name}={value}" for name, value in session.items()), *filter(None, [given.get("options")])]
            ),
        },
    }
