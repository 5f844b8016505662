"""Named points at which a test kills the process, to show that its unfinished work is recovered.

In production CRASH_AT is unset and `failpoint` does nothing. If it is a name, every process that reaches that point is
killed. If it is a folder (an absolute path), the first process that reaches a point with a file of its name is killed.
"""

import os
from pathlib import Path

POINTS = frozenset(
    {
        "receiver.before_insert",
        "receiver.after_commit",
        "wakeup.before_publish",
        "wakeup.after_publish",
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
"""The points of a backfill."""
SCAN_POINTS = frozenset(
    {
        "scan.after_claim",
        "scan.after_page",
        "scan.before_commit",
        "scan.after_fetch",
        "scan.after_receipt",
        "scan.after_asking",
    }
)
"""The points of a delivery log scan."""
SYNC_POINTS = frozenset(
    {"sync.after_claim", "sync.after_probe", "sync.before_commit", "sync.after_commit", "sync.after_backfills"}
)
"""The points of the reconciliation of a repository."""
RUN_POINTS = frozenset(
    {
        "run.after_claim",
        "run.before_commit",
        "run.before_team",
        "run.before_result",
    }
)
"""The points of a reconciliation run."""
MESSAGE_POINTS = frozenset({"digest.before_commit", "message.after_send"})
"""The points of writing a digest and of sending a message."""
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
