"""Safety by safety: remove one, and show that a test fails."""

from tests.mutations import (
    accounts,
    backfill,
    delivery_log,
    figures,
    github,
    jobs,
    local,
    monitoring,
    reconciliation,
    refresh,
    webhooks,
    workers,
)

MUTATIONS = tuple(
    one
    for safeties in (
        webhooks,
        workers,
        figures,
        github,
        jobs,
        backfill,
        reconciliation,
        delivery_log,
        refresh,
        accounts,
        monitoring,
        local,
    )
    for one in safeties.MUTATIONS
)
