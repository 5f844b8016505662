"""The safeties of listing installations, and of starting walks through history."""

from tests.mutations.edits import Mutation, mutation

BACKFILL = "tests/integrations/backfill"
STARTING, LISTING = f"{BACKFILL}/test_starting.py", f"{BACKFILL}/test_listing.py"
STARTED, ERRAND = "apps/integrations/backfill/start.py", "apps/integrations/installations.py"
LOSSES = f"{BACKFILL}/test_listing_losses.py"
REACHED = f"{BACKFILL}/test_newly_reached.py"

IN_STARTING_WALKS: tuple[Mutation, ...] = (
    mutation(
        "whoever walks what is widened loses its claim",
        STARTED,
        "claim_number = kept.claim_number + 1, ",
        "",
        test=f"{STARTING}::test_a_wider_start_widens_the_walk_and_lets_it_begin_again",
    ),
    mutation(
        "what was started anew since is not retried",
        STARTED,
        "            ~Exists(later), pk__in",
        "            pk__in",
        test=f"{STARTING}::test_what_was_started_anew_since_is_not_retried",
    ),
    mutation(
        "starts and retries come one after the other",
        STARTED,
        'cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])',
        "pass",
        test=f"{STARTING}::test_a_retry_that_meets_a_start_waits_for_it",
    ),
    mutation(
        "nothing of a stranger's account is read",
        "apps/integrations/access.py",
        ', account__in=accepted_accounts().values("pk")',
        "",
        test=f"{STARTING}::test_nothing_of_a_strangers_account_is_read_before_somebody_approves",
    ),
    mutation(
        "a list that does not add up is not believed",
        ERRAND,
        "if len(listed) != self.total:",
        "if not listed:",
        test=f"{LISTING}::test_a_list_that_does_not_add_up_says_nothing_of_what_is_missing",
    ),
    mutation(
        "a worker that lost its listing keeps nothing of it",
        ERRAND,
        "            raise LostListing\n\n    def reading",
        "            return\n\n    def reading",
        test=f"{LISTING}::test_a_worker_that_lost_its_claim_keeps_nothing",
    ),
    mutation(
        "only its own App is told that an installation is gone",
        ERRAND,
        "answer.kind is Kind.GONE and self.is_ours()",
        "answer.kind is Kind.GONE",
        test=f"{LISTING}::test_with_the_id_of_another_app_nothing_is_taken_for_removed",
    ),
    mutation(
        "a listing and the walks that follow from it are one transaction",
        ERRAND,
        "            read_history_of(listed)",
        "        read_history_of(listed)",
        test=f"{REACHED}::test_a_kill_between_the_list_and_its_walks_leaves_neither",
    ),
    mutation(
        "a list whose total changes is not believed",
        ERRAND,
        "if self.total not in {None, total}:",
        "if False:",
        test=f"{LOSSES}::test_a_list_whose_total_changes_while_it_is_read_is_read_again",
    ),
    mutation(
        "what one reading did not show is not lost yet",
        ERRAND,
        "if not self.are_lost(missing, deadline_s=deadline_s):",
        "if False:",
        test=f"{LOSSES}::test_a_repository_that_slipped_between_two_pages_keeps_its_access",
    ),
    mutation(
        "a walk begun before a loss begins again",
        STARTED,
        "    OR kept.started_at <= %(lost_at)s::timestamptz\n",
        "",
        test=f"{REACHED}::test_a_walk_begun_before_the_loss_begins_again_and_one_that_did_not_begin_goes_on",
    ),
)
