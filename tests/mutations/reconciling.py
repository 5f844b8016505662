"""The safeties of measuring drift and of finding what was deleted."""

from tests.mutations.edits import Mutation, mutation

DELETIONS = "apps/integrations/reconciliation/deletions"
COUNTING = "apps/integrations/drift.py"
REFUSALS = "tests/integrations/reconciliation/deletions/test_refusals.py"
FINDING = "tests/integrations/reconciliation/deletions/test_finding.py"
PARTIAL = "tests/integrations/reconciliation/repositories/test_partial_history.py"
MEASURING = "tests/integrations/reconciliation/drift/test_counting.py"

IN_RECONCILING: tuple[Mutation, ...] = (
    mutation(
        "each suspect is asked for by itself before it is marked as deleted",
        f"{DELETIONS}/confirming.py",
        "if row is not None and looking.is_gone(of, row):",
        "if row is not None:",
        test=f"{REFUSALS}::test_a_suspect_that_github_shows_by_itself_stays",
    ),
    mutation(
        "nothing is gone of a repository that GitHub does not show",
        f"{DELETIONS}/confirming.py",
        "at = looking.confirm_repository() if gone else None",
        "at = count.counted_at if gone else None",
        test=f"{REFUSALS}::test_where_the_repository_goes_out_of_reach_meanwhile_nothing_is_deleted",
    ),
    mutation(
        "a list that does not come to its own count says nothing of what is missing from it",
        f"{DELETIONS}/finding.py",
        'if place["count"] != self.count.theirs:',
        "if False:",
        test=f"{REFUSALS}::test_a_list_that_is_cut_short_deletes_nothing",
    ),
    mutation(
        "where GitHub has others than we, nothing is deleted before they are here",
        f"{DELETIONS}/finding.py",
        "if is_short or len(suspects) > at_most:",
        "if False:",
        test=f"{FINDING}::test_where_github_has_others_nothing_is_deleted_before_they_are_here",
    ),
    mutation(
        "what was never read of a history is not taken for lost",
        f"{DELETIONS}/left_out.py",
        "return None if _is_partly_read(sync, stream=stream) else 0",
        "return 0",
        test=f"{PARTIAL}::test_what_was_never_read_is_not_taken_for_lost_each_time_something_happens",
    ),
    mutation(
        "a mass of deletions is not believed",
        f"{DELETIONS}/finding.py",
        "if self._is_mass(len(suspects)) and not self.believes_mass:",
        "if False:",
        test=f"{REFUSALS}::test_a_mass_is_not_believed_and_somebody_is_told",
    ),
    mutation(
        "null for any other reason than that it was not found is no suspect",
        f"{DELETIONS}/looking.py",
        'errors_below(answer, ("repository", name))} == {"NOT_FOUND"}',
        'errors_below(answer, ("repository", name))} != set()',
        test=f"{REFUSALS}::test_an_issue_that_github_withholds_is_no_suspect",
    ),
    mutation(
        "issues that are switched off are not deleted",
        f"{DELETIONS}/finding.py",
        "if self.of.needs_issues and not self.looking.has_issues:",
        "if False:",
        test=f"{REFUSALS}::test_while_issues_are_switched_off_nothing_is_known_of_them",
    ),
    mutation(
        "an entity that is off counts once in a run",
        COUNTING,
        "ON CONFLICT (repository_sync_id, entity, key) DO NOTHING",
        "ON CONFLICT (repository_sync_id, entity, key) DO UPDATE SET finding = excluded.finding",
        test=f"{MEASURING}::test_what_two_walks_of_a_run_miss_counts_once",
    ),
    mutation(
        "what a walk meets twice is checked once",
        COUNTING,
        "measured.seen - _seen_before(measured.seen, source=source)",
        "measured.seen",
        test=f"{MEASURING}::test_what_a_walk_meets_twice_is_checked_once_and_missing_once",
    ),
    mutation(
        "drift is measured before the facts are recorded",
        "apps/integrations/backfill/pages.py",
        """        if claimed.sync_id is not None:
            count_drift(page.facts, repository_sync_id=claimed.sync_id, source=source)
        record([evidence(source, page.facts)])
""",
        """        record([evidence(source, page.facts)])
        if claimed.sync_id is not None:
            count_drift(page.facts, repository_sync_id=claimed.sync_id, source=source)
""",
        test=f"{MEASURING}::test_where_nothing_was_told_everything_is_missing_and_repaired",
    ),
    mutation(
        "what happened just now has not drifted",
        COUNTING,
        "ON_ITS_WAY = timedelta(minutes=5)",
        "ON_ITS_WAY = timedelta(0)",
        test=f"{MEASURING}::test_what_happened_just_now_has_not_drifted",
    ),
)
