"""The safeties of comparing repositories with GitHub."""

from tests.mutations.edits import Mutation, mutation

PACKAGE = "apps/integrations/reconciliation/repositories"
TESTS = "tests/integrations/reconciliation/repositories"
DECIDING, LIMITS, OPEN, PLACES, REPAIRS, TASKS = (
    f"{TESTS}/test_{name}.py" for name in ("deciding", "limits", "open_pull_requests", "places", "repairs", "tasks")
)

IN_RECONCILING_REPOSITORIES: tuple[Mutation, ...] = (
    mutation(
        "a run that a person starts looks at what changes without a trace, wherever it is",
        f"{PACKAGE}/reading.py",
        "is_thorough or needs_rereading(",
        "needs_rereading(",
        test="tests/integrations/reconciliation/test_by_hand.py"
        "::test_an_open_pull_request_that_changed_without_moving_is_read_again",
    ),
    mutation(
        "a run that a person starts looks for deletions though nothing differs",
        f"{PACKAGE}/looking.py",
        "Q(is_thorough=True) | Q(believes_deletions=True)",
        "Q(believes_deletions=True)",
        test="tests/integrations/reconciliation/test_by_hand.py"
        "::test_comments_deleted_on_github_are_found_by_whoever_asks",
    ),
    mutation(
        "quiet needs the same mark, not only as many as there were",
        f"{PACKAGE}/deciding.py",
        "is_same = told.mark == here.kept.mark and here.ours == here.kept.ours",
        "is_same = here.ours == here.kept.ours",
        test=f"{REPAIRS}::test_a_lost_update_under_a_newer_one_that_arrived_is_found",
    ),
    mutation(
        "runs are asked for once a week though none is known",
        f"{PACKAGE}/reading.py",
        "        if listed:\n            look.decisions",
        "        if False:\n            look.decisions",
        test=f"{REPAIRS}::test_runs_that_no_push_began_are_found_within_a_week_though_we_know_of_none",
    ),
    mutation(
        "a repository that its workers do not survive is given up",
        f"{PACKAGE}/probing.py",
        "if attempts >= MOST_ATTEMPTS:",
        "if False:",
        test=f"{TESTS}/test_killers.py::test_others_are_compared_though_workers_die_of_one",
    ),
    mutation(
        "quiet needs as many here as there were",
        f"{PACKAGE}/deciding.py",
        "told.mark == here.kept.mark and here.ours == here.kept.ours",
        "told.mark == here.kept.mark",
        test=f"{REPAIRS}::test_an_issue_that_we_lost_ourselves_is_missed_by_its_count_and_read_again",
    ),
    mutation(
        "marks move only after whole walks",
        f"{PACKAGE}/counting.py",
        "for stream, walk in self.walks.items() if walk.state == done and not walk.skipped]",
        "for stream, walk in self.walks.items() if done]",
        test=f"{TASKS}::test_a_walk_that_failed_fails_its_repository_and_moves_no_mark",
    ),
    mutation(
        "what is missing although all that changed was read is looked for in all of the history",
        f"{PACKAGE}/counting.py",
        "if not is_all and (stream in short",
        "if False and (stream in short",
        test=f"{REPAIRS}::test_an_issue_that_we_lost_ourselves_is_missed_by_its_count_and_read_again",
    ),
    mutation(
        "one probe of an installation at a time",
        f"{PACKAGE}/claiming.py",
        "          AND other.lease_until >= statement_timestamp()\n",
        "          AND other.lease_until < statement_timestamp()\n",
        test=f"{LIMITS}::test_while_one_worker_probes_another_asks_for_nothing_and_a_dead_one_is_succeeded",
    ),
    mutation(
        "a limit is waited for by all repositories of the installation",
        f"{PACKAGE}/following.py",
        "            if follows.reason in {SPENT, *FOR_ALL}:\n",
        "            if follows.reason == SPENT:\n",
        test=f"{LIMITS}::test_a_limit_is_waited_for_by_all_of_the_installation",
    ),
    mutation(
        "a repository that took another one's name is not taken for it",
        "apps/github/probes.py",
        'or found.get("databaseId") != place.repository_id',
        "",
        test=f"{PLACES}::test_where_another_repository_has_the_name_it_is_found_by_its_id",
    ),
    mutation(
        "nothing of an account that was not accepted is asked",
        f"{PACKAGE}/probing.py",
        "            elif by is None:\n",
        "            elif by is None and one.id < 0:\n",
        test=f"{PLACES}::test_nothing_of_a_strangers_account_is_asked",
    ),
    mutation(
        "open pull requests are looked at wherever something differs",
        f"{PACKAGE}/reading.py",
        "looked = [look for look in looks if look.walked_since is not None or PULL_REQUESTS in look.turns]",
        "looked = [look for look in looks if PULL_REQUESTS in look.turns]",
        test=f"{OPEN}::test_it_is_found_at_once_where_something_else_differs",
    ),
    mutation(
        "deployments that are not over are read again",
        f"{PACKAGE}/deciding.py",
        "    if stream == DEPLOYMENTS and here.open_since is not None:\n",
        "    if stream == DEPLOYMENTS and is_turn and here.open_since is not None:\n",
        test=f"{DECIDING}::test_deployments_that_are_not_over_are_read_every_night_for_a_week_and_weekly_for_a_month",
    ),
    mutation(
        "a walk that goes on already is waited for",
        f"{PACKAGE}/deciding.py",
        "    if here.is_walked:\n        return Follow()\n",
        "",
        test=f"{DECIDING}::test_what_is_being_read_comes_first_and_what_is_paused_is_left_alone",
    ),
    mutation(
        "whoever counts waits for a turn under the name that the bell knows",
        f"{PACKAGE}/asking.py",
        "subject=subject_of(installation_id)",
        'subject="counting"',
        test=f"{TASKS}::test_whoever_is_to_count_waits_for_the_same_turn",
    ),
)
