"""The safeties of walking through history."""

from tests.mutations.edits import Mutation, mutation

BACKFILL = "apps/integrations/backfill"
TESTS = "tests/integrations/backfill"

IN_WALKING_HISTORY: tuple[Mutation, ...] = (
    mutation(
        "the fence of a page: who lost the claim keeps nothing",
        "apps/integrations/models/backfills.py",
        "return self.filter(state=Backfill.State.RUNNING, claim_number=claim_number)",
        "return self.filter(state=Backfill.State.RUNNING)",
        test=f"{TESTS}/test_advancing.py::test_a_worker_whose_claim_was_taken_over_writes_nothing",
    ),
    mutation(
        "the fence holds the facts of the page too",
        f"{BACKFILL}/keeping.py",
        "with watchdog.limit(seconds=LONGEST_WAIT_S), transaction.atomic():",
        "with watchdog.limit(seconds=LONGEST_WAIT_S):",
        test=f"{TESTS}/test_advancing.py::test_a_walk_that_is_stopped_while_a_page_is_read_keeps_nothing_of_it",
    ),
    mutation(
        "the lease of a walk runs out",
        f"{BACKFILL}/claiming.py",
        "(lease_until < statement_timestamp() OR (",
        "(false OR (",
        test=f"{TESTS}/test_claiming.py::test_a_walk_whose_lease_ran_out_is_taken_over_and_that_is_a_failure",
    ),
    mutation(
        "a redelivered message takes over the walk that its task held",
        f"{BACKFILL}/claiming.py",
        "OR (%(is_redelivered)s AND leased_by = %(task_id)s)",
        "OR (false AND %(is_redelivered)s AND leased_by = %(task_id)s)",
        test=f"{TESTS}/test_claiming.py"
        "::test_only_its_own_message_redelivered_takes_a_walk_over_before_the_lease_runs_out",
    ),
    mutation(
        "no walk is claimed before its time",
        f"{BACKFILL}/claiming.py",
        "(state = 'waiting' AND not_before <= statement_timestamp())",
        "(state = 'waiting')",
        test=f"{TESTS}/test_claiming.py::test_a_walk_is_not_claimed_before_its_time",
    ),
    mutation(
        "a page that kills its workers gets smaller",
        f"{BACKFILL}/outcomes.py",
        "progress.attempts < enough else _lighter(progress)",
        "progress.attempts < enough else progress",
        test=f"{TESTS}/test_outcomes.py::test_a_page_that_kills_its_workers_gets_smaller",
    ),
    mutation(
        "two walks of an installation are at work, and no more",
        f"{BACKFILL}/bell.py",
        "LIMIT greatest(0, %(at_once)s - places.taken)",
        "LIMIT greatest(0, 50 * %(at_once)s - places.taken)",
        test=f"{TESTS}/test_bell.py::test_two_of_each_installation_are_told_of_those_first_that_advanced_longest_ago",
    ),
    mutation(
        "what one walk was told of a limit the others need not find out",
        f"{BACKFILL}/following.py",
        "if changed and reason in {SPENT, *FOR_ALL}",
        "if not changed and reason in {SPENT, *FOR_ALL}",
        test=f"{TESTS}/test_limits.py::test_what_one_walk_was_told_of_a_limit_the_others_need_not_find_out",
    ),
    mutation(
        "a page is not broken off by another's turn",
        "apps/github/lua/take.lua",
        "goes_on and 0 or turn(subject)",
        "turn(subject)",
        test="tests/integrations/test_budget.py::test_what_goes_on_with_its_turn_comes_before_others_that_wait",
    ),
    mutation(
        "parents that a push lets presume yield to those that the API shows",
        "apps/metrics/derivation/commits.py",
        "coalesce(parent_count, presumed_parent_count) > 1",
        "greatest(parent_count, presumed_parent_count) > 1",
        test="tests/integrations/test_merges.py::test_proven_parents_replace_presumed_ones_in_any_order_of_arrival",
    ),
)
