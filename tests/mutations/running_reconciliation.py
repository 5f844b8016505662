"""The safeties of runs of reconciliation."""

from tests.mutations.edits import Mutation, mutation

RUNS, MODELS = "apps/integrations/reconciliation/runs", "apps/integrations/models/syncs.py"
NIGHTS, FREQUENCIES, VERDICTS, LOOKING_AFTER = (
    f"tests/integrations/reconciliation/runs/test_{name}.py"
    for name in ("nights", "frequencies", "verdicts", "looking_after")
)

IN_RUNNING_RECONCILIATION: tuple[Mutation, ...] = (
    mutation(
        "a night has one row however many beats ask for it",
        f"{RUNS}/opening.py",
        'sync_id=f"nightly:{night.key}"',
        'sync_id=f"nightly:{night.key}:{database_time()}"',
        test=f"{NIGHTS}::test_a_night_that_is_over_is_not_opened_again",
    ),
    mutation(
        "the lease of a claimed night runs out",
        MODELS,
        "            | Q(status=SyncLog.Status.RUNNING, lease_until__lt=Now())\n",
        "",
        test=f"{NIGHTS}::test_a_worker_that_died_after_its_claim_does_not_lose_the_night",
    ),
    mutation(
        "while somebody holds a night nobody else claims it",
        MODELS,
        "Q(status=SyncLog.Status.RUNNING, lease_until__lt=Now())",
        "Q(status=SyncLog.Status.RUNNING, lease_until__isnull=False)",
        test=f"{NIGHTS}::test_a_worker_that_died_after_its_claim_does_not_lose_the_night",
    ),
    mutation(
        "whoever lost the claim of a run spreads nothing",
        MODELS,
        "return self.filter(status=SyncLog.Status.RUNNING, claim_number=claim_number, lease_until__isnull=False)",
        "return self.filter(status=SyncLog.Status.RUNNING, lease_until__isnull=False)",
        test=f"{NIGHTS}::test_whoever_lost_the_claim_spreads_nothing",
    ),
    mutation(
        "nights before there was anybody to compare for are not made up",
        f"{RUNS}/opening.py",
        "synced_teams().filter(created_at__lte=night.due_at).exists()",
        "synced_teams().exists()",
        test=f"{NIGHTS}::test_a_new_instance_makes_up_for_no_night_before_it",
    ),
    mutation(
        "a part whose message was lost is told of again",
        f"{RUNS}/bell.py",
        "Q(rung_at=None) | Q(rung_at__lt=Now() - AGAIN)",
        "Q(rung_at=None)",
        test=f"{NIGHTS}::test_a_part_whose_message_was_lost_is_told_of_again",
    ),
    mutation(
        "a verdict whose message was lost is told again",
        f"{RUNS}/concluding.py",
        "OR part.rung_at < statement_timestamp() - make_interval(secs => %(again_s)s)",
        "OR %(again_s)s < 0",
        test=f"{VERDICTS}::test_a_message_or_callback_that_was_lost_is_sent_again",
    ),
    mutation(
        "a callback does not say what the rows do not",
        f"{RUNS}/verdicts.py",
        "        if bool(words) is not (status == TeamSync.Status.FAILED):\n            return False\n",
        "",
        test=f"{VERDICTS}::test_a_callback_that_comes_twice_or_for_another_reason_changes_nothing",
    ),
    mutation(
        "admins are told once per streak",
        f"{RUNS}/verdicts.py",
        "if words and not had_failed:",
        "if words:",
        test=f"{VERDICTS}::test_admins_are_told_once_per_streak",
    ),
    mutation(
        "off means off",
        f"{RUNS}/opening.py",
        ".exclude(sync_frequency=Team.SyncFrequency.OFF)",
        "",
        test=f"{FREQUENCIES}::test_off_means_off",
    ),
    mutation(
        "a run that takes a day gives up for the next",
        f"{RUNS}/concluding.py",
        "    give_up_old()\n    note_spread()",
        "    note_spread()",
        test=f"{NIGHTS}::test_a_night_that_takes_a_day_gives_up_so_that_the_next_may_begin",
    ),
    mutation(
        "the last run of a team is kept, however old",
        f"{RUNS}/pruning.py",
        "SyncLog.objects.filter(~Exists(last_of_teams), finished_at__lt",
        "SyncLog.objects.filter(finished_at__lt",
        test=f"{LOOKING_AFTER}::test_runs_are_forgotten_after_90_days_but_for_the_last_of_each_team",
    ),
    mutation(
        "a run of another team's is not shown where both track a repository",
        MODELS,
        "Q(Exists(parts) | Exists(repositories), team=None)",
        "Q(Exists(parts) | Exists(repositories))",
        test="tests/api/test_syncs.py::test_another_teams_own_run_is_not_there_even_where_both_track_a_repository",
    ),
)
