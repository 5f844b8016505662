"""The safeties against deliveries that take long, that are large, or whose rows somebody else holds."""

from tests.mutations.edits import Mutation, mutation

CLAIMING = "apps/webhooks/claims.py"
BATCHES = "apps/webhooks/worker.py"
SLOW = "tests/webhooks/test_slow_deliveries.py"
LOCKS = "tests/webhooks/test_locks.py"
LARGE = "tests/webhooks/test_large_deliveries.py"

IN_SLOW_DELIVERIES: tuple[Mutation, ...] = (
    mutation(
        "a slow delivery joins no batch",
        CLAIMING,
        '_DUE = f"{_WAITS} AND NOT is_slow"',
        "_DUE = _WAITS",
        test=f"{SLOW}::test_one_that_ran_out_of_time_never_joins_a_batch_again",
    ),
    mutation(
        "one slow delivery is processed at a time",
        CLAIMING,
        "      AND NOT EXISTS (SELECT FROM webhooks_delivery WHERE state = 'running' AND is_slow)\n",
        "",
        test=f"{SLOW}::test_one_at_a_time_is_processed_among_all_workers",
    ),
    mutation(
        "of two workers that look for a slow delivery at once one claims",
        CLAIMING,
        "            if not cursor.fetchone()[0]:\n",
        "            if not cursor.fetchone():\n",
        test=f"{SLOW}::test_of_two_workers_that_look_at_once_one_claims",
    ),
    mutation(
        "others go before a slow delivery",
        CLAIMING,
        "           OR NOT EXISTS (SELECT FROM webhooks_delivery WHERE {_DUE}))",
        "           OR true)",
        test=f"{SLOW}::test_others_that_are_due_go_first_but_for_a_minute_at_most",
    ),
    mutation(
        "a slow delivery has its turn after a minute",
        CLAIMING,
        "(not_before <= statement_timestamp() - make_interval(secs => %(patience)s)",
        "(false",
        test=f"{SLOW}::test_others_that_are_due_go_first_but_for_a_minute_at_most",
    ),
    mutation(
        "the dispatcher has slow deliveries processed",
        "apps/webhooks/dispatch.py",
        "        messages += ring.ring_for_slow()\n",
        "        pass\n",
        test=f"{SLOW}::test_the_dispatcher_has_the_next_slow_one_processed_unless_one_is",
    ),
    mutation(
        "a lost lock is no delivery's fault",
        "apps/webhooks/retry.py",
        "    return sqlstate_of(error) in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED)\n",
        "    return False\n",
        test=f"{LOCKS}::test_whoever_needs_a_row_that_is_held_waits_and_the_others_take_effect",
    ),
    mutation(
        "time that ran out in waiting for a lock is no delivery's fault",
        BATCHES,
        "    if _is_waiting_for_a_lock(backend_pid):\n",
        "    if backend_pid is None:\n",
        test=f"{LOCKS}::test_time_that_ran_out_in_waiting_for_a_lock_is_nobodys_fault",
    ),
    mutation(
        "a transaction has not too many facts",
        BATCHES,
        "        if group and facts + len(verdict.facts) > MOST_FACTS:\n",
        "        if group and facts < 0:\n",
        test=f"{LARGE}::test_deliveries_share_a_transaction_up_to_its_number_of_facts",
    ),
    mutation(
        "each part of a large delivery is recorded under its claim",
        BATCHES,
        "                    hold(remaining[0])\n",
        "",
        test=f"{LARGE}::test_a_worker_that_lost_its_claim_records_no_further_part",
    ),
)
