"""The safeties of telling up to when figures are complete."""

from tests.mutations.edits import Mutation, mutation

COMPLETENESS = "tests/metrics/completeness"
TRACKED, REPORTS = "apps/metrics/completeness/tracked.py", "apps/metrics/completeness/reports.py"

IN_TELLING_WHAT_IS_COMPLETE: tuple[Mutation, ...] = (
    mutation(
        "the log proves nothing of the time after a loss",
        TRACKED,
        "        for lost_at in self.losses:\n",
        "        for lost_at in ():\n",
        test=f"{COMPLETENESS}/test_losses.py::test_what_comes_back_has_a_gap_until_it_is_read_since_the_loss",
    ),
    mutation(
        "a loss is believed to be older than the news of it",
        TRACKED,
        "yield Stretch(lost_at - MARGIN, ",
        "yield Stretch(lost_at, ",
        test=f"{COMPLETENESS}/test_losses.py::test_what_comes_back_has_a_gap_until_it_is_read_since_the_loss",
    ),
    mutation(
        "the log proves nothing of webhooks that are not sent",
        TRACKED,
        "if log and stream not in self.untold else ()",
        "if log else ()",
        test=f"{COMPLETENESS}/test_untold.py::test_a_stream_is_complete_by_the_log_only_where_its_webhooks_are_sent",
    ),
    mutation(
        "the log counts only from where reading began",
        TRACKED,
        "        passes = self.passes.get(stream)\n        if not passes:\n            return []\n",
        "        passes = self.passes.get(stream) or [log[0]]\n",
        test=f"{COMPLETENESS}/test_coverage.py::test_what_was_never_read_is_not_provable_and_has_no_gaps",
    ),
    mutation(
        "a delivery without effect holds its repository back",
        TRACKED,
        "return covered[-1].to_at if self.held_at is None else min(covered[-1].to_at, self.held_at)",
        "return covered[-1].to_at",
        test=f"{COMPLETENESS}/test_deliveries.py::test_a_quarantined_delivery_is_freed_by_a_replay_that_can_use_it",
    ),
    mutation(
        "a delivery that names no repository is not taken for one about none",
        "apps/webhooks/apps.py",
        "        casts_doubt(between_nameless_ones)\n",
        "",
        test=f"{COMPLETENESS}/test_deliveries.py::test_one_that_names_nothing_puts_everything_in_doubt_and_nothing_for_ever",
    ),
    mutation(
        "one repository that is not provable keeps its team from being provable",
        REPORTS,
        "if not known or (holding and len(known) < len(ends)):",
        "if not known:",
        test=f"{COMPLETENESS}/test_coverage.py::test_one_repository_that_was_never_read_keeps_all_from_being_provable",
    ),
    mutation(
        "what was lost for good holds nobody back",
        REPORTS,
        "holding = [one for one in repositories if one.lost_at is None]",
        "holding = list(repositories)",
        test=f"{COMPLETENESS}/test_losses.py::test_one_that_is_lost_for_good_holds_the_others_back_no_more",
    ),
)
