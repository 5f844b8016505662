"""Safeties of figures."""

from tests.mutations.mutation import Change, Mutation, mutation

MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "a snapshot that is not newer takes no lock",
        "SnapshotMerge.statement",
        'WHERE kept.{stamp} IS NULL OR {self.brings_news("incoming")}',
        "WHERE true",
        test="test_two_transactions_recording_the_same_unchanged_repository_do_not_wait_for_each_other",
    ),
    Mutation(
        "an older snapshot never overwrites a newer one",
        (
            Change(
                "SnapshotMerge.statement",
                'WHERE kept.{stamp} IS NULL OR {self.brings_news("incoming")}',
                "WHERE true",
            ),
            Change("SnapshotMerge.statement", 'WHERE {self.brings_news("excluded")}', "WHERE true"),
        ),
        test="test_any_order_any_repetition_and_any_grouping_ends_in_the_same_tables",
    ),
    mutation(
        "changes are marked in the transaction of their facts",
        "record",
        "append(changes)",
        "from django.db import transaction\ntransaction.on_commit(lambda: append(changes))",
        test="test_a_fact_and_its_change_are_there_together_or_not_at_all",
    ),
    mutation(
        "a change goes only when what follows from it is stored",
        "recalculate_batch",
        "with transaction.atomic(): changes = claim(KNOWN, limit=BATCH, skipped=skipped)",
        "changes = claim(KNOWN, limit=BATCH, skipped=skipped)\nwith transaction.atomic():",
        test="test_a_change_is_gone_only_when_what_follows_from_it_is_stored",
    ),
    mutation(
        "facts are read only under the lock",
        "recalculate",
        "lock(name for noun, keys in wanted for name in noun.locks(keys))",
        "",
        test="test_a_fact_that_arrives_between_the_read_and_the_write_is_not_lost",
        hangs=True,
    ),
    mutation(
        "the log proves nothing of the time after a loss",
        "TrackedRepository._webhooks_missing",
        "for lost_at in self.losses:",
        "for lost_at in ():",
        test="test_a_regained_repository_has_a_gap_until_a_backfill_covers_the_loss",
    ),
    mutation(
        "a loss may be older than the news of it",
        "TrackedRepository._webhooks_missing",
        "yield Period(lost_at - MARGIN,",
        "yield Period(lost_at,",
        test="test_a_regained_repository_has_a_gap_until_a_backfill_covers_the_loss",
    ),
    mutation(
        "the log proves nothing of webhooks that are not sent",
        "TrackedRepository.covered",
        "if not log or stream in self.withheld:",
        "if not log:",
        test="test_a_stream_is_complete_by_the_log_only_where_its_webhooks_are_sent",
    ),
    mutation(
        "the log counts only from where reading began",
        "TrackedRepository.covered",
        "passes = self.passes.get(stream) if not passes: return []",
        "passes = self.passes.get(stream) or [log[0]]",
        test="test_history_that_was_never_read_is_unverified_and_has_no_gaps",
    ),
    mutation(
        "an unprocessed delivery keeps its repository from being complete",
        "TrackedRepository.complete_until",
        "return covered[-1].to_at if self.blocked_at is None else min(covered[-1].to_at, self.blocked_at)",
        "return covered[-1].to_at",
        test="test_a_quarantined_delivery_is_freed_by_a_replay_that_can_use_it",
    ),
    mutation(
        "a delivery that names no repository is not taken for one about none",
        "WebhooksConfig.ready",
        "register_uncertain_periods(pending_without_repository)",
        "",
        test="test_a_pending_delivery_without_repository_makes_all_uncertain_until_a_backfill",
    ),
    mutation(
        "one unverified repository makes its team unverified",
        "Report.of_team",
        "if not known or (reached and len(known) < len(ends)):",
        "if not known:",
        test="test_one_repository_that_was_never_read_makes_its_team_unverified",
    ),
    mutation(
        "a repository that was lost for good does not hold the others back",
        "Report.of_team",
        "reached = [one for one in repositories if one.lost_at is None]",
        "reached = list(repositories)",
        test="test_a_repository_lost_for_good_does_not_hold_others_back",
    ),
)
