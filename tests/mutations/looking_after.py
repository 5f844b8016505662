"""The safeties of the App's life on accounts, of what is told of it, and of what doctor says."""

from tests.mutations.edits import Mutation, mutation

DOCTOR = "tests/monitoring/doctor"
SETTLING = "tests/integrations/installations/test_settling.py"

IN_LOOKING_AFTER: tuple[Mutation, ...] = (
    mutation(
        "what no webhook told is seen by a listing within a day",
        "apps/integrations/installations.py",
        "is_unsettled | is_signalled | is_old,",
        "is_unsettled | is_signalled,",
        test=f"{SETTLING}::test_what_no_webhook_told_is_seen_by_the_listing_of_the_day",
    ),
    mutation(
        "a listing outweighs what was told of an account's name within its hour",
        "apps/github/objects/installations.py",
        "renamed_profile(account, at=as_of,",
        "renamed_profile(account, at=as_of.replace(minute=0, second=0, microsecond=0),",
        test=f"{SETTLING}::test_a_name_told_too_late_yields_to_the_listing_of_the_same_hour",
    ),
    mutation(
        "what accounts do not grant is found by the watch",
        "apps/monitoring/status.py",
        "        **permission_problems(),\n",
        "",
        test="tests/monitoring/test_status.py::test_what_is_wrong_with_reading_github_is_found_and_told",
    ),
    mutation(
        "doctor asks nothing of a stranger's account",
        "apps/monitoring/doctor/installations.py",
        'readable_installations().select_related("account")',
        'Installation.objects.select_related("account")',
        test="tests/integrations/installations/test_strangers.py::test_nothing_of_a_stranger_is_fetched",
    ),
    mutation(
        "what hangs costs doctor its time and no more",
        "apps/monitoring/doctor/examination.py",
        "    thread.join(seconds)\n",
        "    thread.join()\n",
        test=f"{DOCTOR}/test_examination.py::test_what_hangs_costs_its_time_and_no_more",
        waits_for_ever=True,
    ),
    mutation(
        "doctor shows no secret",
        "apps/monitoring/doctor/showing.py",
        "        words = words.replace(secret, HIDDEN)\n",
        "        len(secret)\n",
        test=f"{DOCTOR}/test_command.py::test_no_secret_is_shown",
    ),
    mutation(
        "each worker says that it listens",
        "tformance/celery.py",
        'app.steps["consumer"].add("apps.monitoring.presence:Presence")\n',
        "",
        test="tests/webhooks/test_worker.py::test_a_worker_says_that_it_listens_and_that_it_stops",
    ),
    mutation(
        "tokens that are still of use stay",
        "apps/monitoring/cleaning.py",
        "ApiToken.objects.filter(expires_at__lt=ended)",
        "ApiToken.objects.exclude(expires_at__gt=ended)",
        test="tests/monitoring/test_cleaning.py::test_tokens_go_a_month_after_their_end_and_lasting_ones_stay",
    ),
)
