"""Safeties of delivery_log."""

from tests.mutations.mutation import Mutation, mutation

MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "the mark moves only after a whole walk",
        "_read_page",
        "if is_whole: _finish(scan, as_of=as_of)",
        "_finish(turn, as_of=as_of)",
        test="test_the_mark_moves_only_when_the_log_was_walked_whole",
    ),
    mutation(
        "the mark is an hour before the walk",
        "integrations: _finish",
        "until = (row.began_at or as_of) - MARGIN",
        "until = row.began_at or as_of",
        test="test_what_failed_within_the_hour_before_a_walk_and_was_shown_late_is_found",
    ),
    mutation(
        "a GUID is missing unless it is here under the own hook",
        "note_missing",
        "Delivery.objects.filter(hook_id=hook_id, guid__in=found)",
        "Delivery.objects.filter(guid__in=found)",
        test="test_the_guid_of_another_hook_does_not_stand_for_ours",
    ),
    mutation(
        "before the own hook is known nothing is judged",
        "_learn_hook",
        "if entries and scan.row.hook_id is None:",
        "if False:",
        test="test_before_the_own_hook_is_known_nothing_is_judged",
    ),
    mutation(
        "a single old entry does not end the walk",
        "_is_behind_the_mark",
        "all(entry.delivered_at <= mark for entry in entries)",
        "any(entry.delivered_at <= mark for entry in entries)",
        test="test_an_old_entry_among_new_ones_does_not_end_the_walk",
    ),
    mutation(
        "a log that does not reach down to the mark leaves a hole",
        "_hole",
        "if is_down_there or row.mark >= surely_kept_from:",
        "if True:",
        test="test_where_the_log_no_longer_reaches_down_to_the_mark_somebody_is_told_and_the_hole_is_not_covered",
    ),
    mutation(
        "nothing is covered over what is still missing",
        "_in_the_way",
        "around.exclude(state=MissedDelivery.State.KEPT)",
        "around.none()",
        test="test_nothing_is_covered_over_what_is_still_missing_until_it_is_here",
    ),
    mutation(
        "a door that is still shut is not stormed",
        "inbox_has_room",
        "not_before__gt=Now()).count() < MOST_UNDER_WAY",
        "not_before__gt=Now()).count() >= 0",
        test="test_a_door_that_is_still_shut_is_not_stormed",
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
        test="test_a_signal_fetched_late_does_not_undo_what_came_after_it",
    ),
)
