"""Safeties of delivery_log."""

from tests.mutations.mutation import Mutation, mutation

MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "the mark moves only after a whole walk",
        "_read_page",
        "if is_whole: _finish(scan, as_of=as_of)",
        "_finish(scan, as_of=as_of)",
        test="test_the_mark_moves_only_when_the_log_was_read_whole",
    ),
    mutation(
        "the mark is an hour before the walk",
        "integrations: _finish",
        "until = (row.began_at or as_of) - MARGIN",
        "until = row.began_at or as_of",
        test="test_a_delivery_that_github_listed_late_is_found_by_the_next_scan",
    ),
    mutation(
        "a GUID is missing unless it is here under the own hook",
        "record_missing",
        "Delivery.objects.filter(hook_id=hook_id, guid__in=found)",
        "Delivery.objects.filter(guid__in=found)",
        test="test_a_delivery_of_another_hook_with_the_same_guid_does_not_count_as_ours",
    ),
    mutation(
        "before the own hook is known nothing is judged",
        "_find_hook",
        "if entries and scan.row.hook_id is None:",
        "if False:",
        test="test_nothing_is_recorded_as_missing_before_the_own_hook_is_known",
    ),
    mutation(
        "a single old entry does not end the walk",
        "_is_past_the_mark",
        "all(entry.delivered_at <= mark for entry in entries)",
        "any(entry.delivered_at <= mark for entry in entries)",
        test="test_an_old_entry_among_new_ones_does_not_end_the_scan",
    ),
    mutation(
        "a log that does not reach down to the mark leaves a hole",
        "delivery_log: _gap",
        "if is_down_there or row.mark >= surely_kept_from:",
        "if True:",
        test="test_a_log_that_does_not_reach_down_to_the_mark_is_a_problem_and_leaves_a_gap",
    ),
    mutation(
        "nothing is covered over what is still missing",
        "_missing_between",
        "around.exclude(state=State.KEPT)",
        "around.none()",
        test="test_coverage_stops_before_a_missing_delivery_until_it_is_here",
    ),
    mutation(
        "a door that is still shut is not stormed",
        "inbox_has_room",
        "not_before__gt=Now()).count() < MOST_UNDER_WAY",
        "not_before__gt=Now()).count() >= 0",
        test="test_a_receiver_that_is_still_away_gets_few_redeliveries_at_once",
    ),
    mutation(
        "an attempt is spent before it is made",
        "MissedDeliveryQuerySet.begin",
        'update(attempts=F("attempts") + 1, not_before=Now() + again_after)',
        'update(attempts=F("attempts"))',
        test="test_an_attempt_is_spent_before_it_is_made",
    ),
    mutation(
        "what comes late counts as arrived when GitHub posted it",
        "_fetch",
        ", received_at=row.delivered_at",
        "",
        test="test_a_delivery_fetched_late_does_not_undo_a_later_one",
    ),
)
