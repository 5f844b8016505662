"""Ending claims: the states of many deliveries in one UPDATE, fenced by their claim numbers."""

from collections.abc import Sequence

from apps.common import db
from apps.webhooks.errors import LostClaim
from apps.webhooks.models import Delivery
from apps.webhooks.translate import Verdict

_FINISH = """
UPDATE webhooks_delivery d
SET state = v.state, reason = v.reason, error = v.error, finished_at = statement_timestamp(),
    attempts = d.attempts + 1, is_sanitised = v.is_sanitised,
    action = CASE WHEN v.is_parsed THEN v.action ELSE d.action END,
    installation_id = CASE WHEN v.is_parsed THEN v.installation_id ELSE d.installation_id END,
    repository_id = CASE WHEN v.is_parsed THEN v.repository_id ELSE d.repository_id END,
    is_replayed_body = EXISTS (
        SELECT FROM webhooks_delivery earlier
        WHERE earlier.body_sha256 = d.body_sha256 AND earlier.id < d.id
          -- not by an index: a hook has posted most of the table
          AND earlier.hook_id IS NOT DISTINCT FROM d.hook_id
    ),
    lease_until = NULL, leased_by = '', is_claimed_alone = false
FROM unnest(
    %s::bigint[], %s::int[], %s::text[], %s::text[], %s::text[], %s::bool[], %s::bool[], %s::text[], %s::bigint[],
    %s::bigint[]
) AS v (id, claim_number, state, reason, error, is_sanitised, is_parsed, action, installation_id, repository_id)
WHERE d.id = v.id AND d.claim_number = v.claim_number AND d.state = 'running'
RETURNING d.id
"""


def hold(verdict: Verdict) -> None:
    """Make sure, until the caller's transaction ends, that the claim of a delivery holds; else raise LostClaim."""
    claimed = verdict.claimed
    held = Delivery.objects.filter(id=claimed.id).held(claim_number=claimed.claim_number)
    if not held.select_for_update(no_key=True).exists():
        raise LostClaim(frozenset({claimed.id}))


def finish(verdicts: Sequence[Verdict]) -> None:
    """Give deliveries their last states in the caller's transaction, or raise LostClaim, which must undo it."""
    ordered = sorted(verdicts, key=lambda verdict: verdict.claimed.id)  # one order of locks for everybody
    columns = [list(column) for column in zip(*map(_row, ordered), strict=True)]
    finished = {row[0] for row in db.run(_FINISH, columns)}
    lost = {verdict.claimed.id for verdict in verdicts} - finished
    if lost:
        raise LostClaim(frozenset(lost))


def _row(verdict: Verdict) -> tuple[object, ...]:
    routing = verdict.routing
    return (
        verdict.claimed.id,
        verdict.claimed.claim_number,
        verdict.state.value,
        verdict.reason,
        verdict.error,
        verdict.is_sanitised,
        routing is not None,
        routing.action if routing else "",
        routing.installation_id if routing else None,
        routing.repository_id if routing else None,
    )
