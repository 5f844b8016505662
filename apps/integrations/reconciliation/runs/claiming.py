"""Taking a run in hand: one guarded UPDATE, which commits before anything else is done."""

from apps.crash_points import crash_point
from apps.integrations.models import SyncLog


def claim(sync_id: str) -> SyncLog | None:
    """The run, if it was to be claimed and is ours now until its lease runs out.

    Whoever dies after this loses nothing: the run is due again when the lease has run out.
    """
    before = SyncLog.objects.due().filter(sync_id=sync_id).first()
    if before is None:
        return None
    if not SyncLog.objects.filter(pk=before.pk, claim_number=before.claim_number).claim():
        return None
    crash_point("run.after_claim")
    before.claim_number += 1
    return before
