"""Named places at which a test lets a process die, to show that whatever it leaves behind is recovered.

In production CRASH_AT is unset and `failpoint` does nothing. A name in it kills every process that comes to that
point. A folder in it (an absolute path) kills, once, whoever first comes to a point that has a file of its name there.
"""

import os
from pathlib import Path

POINTS = frozenset(
    {
        "door.before_insert",
        "door.after_commit",
        "ring.before_publish",
        "ring.after_publish",
        "dispatch.after_mark",
        "claim.after_commit",
        "suspect.after_commit",
        "process.before_transaction",
        "record.half_way",
        "process.before_finish",
        "process.before_commit",
        "process.after_commit",
        "recalculate.after_claim",
        "recalculate.before_commit",
        "recalculate.after_commit",
    }
)
READING_POINTS = frozenset(
    {
        "backfill.after_claim",
        "backfill.after_page",
        "record.half_way",
        "backfill.before_commit",
        "backfill.after_commit",
    }
)
"""Those that a walk through GitHub's history comes to."""
SCAN_POINTS = frozenset(
    {
        "sweep.after_claim",
        "sweep.after_page",
        "sweep.before_commit",
        "sweep.after_fetch",
        "sweep.after_receipt",
        "sweep.after_asking",
    }
)
"""Those that a sweep of GitHub's log of deliveries comes to."""
SYNC_POINTS = frozenset(
    {"sync.after_claim", "sync.after_probe", "sync.before_commit", "sync.after_commit", "sync.after_walks"}
)
"""Those that the reconciliation of a repository comes to."""
RUN_POINTS = frozenset(
    {
        "run.after_claim",
        "run.before_commit",
        "run.before_part",
        "run.before_verdict",
    }
)
"""Those that a run of reconciliation comes to, from its claim to the verdict that its teams are told."""
EXIT_CODE = 137
CHOSEN = os.environ.get("CRASH_AT", "")


def _die_if_chosen(name: str) -> None:
    if name == CHOSEN:
        os._exit(EXIT_CODE)
    if not CHOSEN.startswith("/"):
        return
    try:
        (Path(CHOSEN) / name).unlink()  # only one process succeeds
    except FileNotFoundError:
        return
    os._exit(EXIT_CODE)


def _go_on(name: str) -> None:
    return


failpoint = _die_if_chosen if CHOSEN else _go_on
