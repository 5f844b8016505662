"""The safeties, each with what takes it away and the test that must then fail."""

from tests.mutations.answering import IN_ANSWERING
from tests.mutations.edits import Edit, Mutation, mutation
from tests.mutations.enriching import IN_ENRICHING
from tests.mutations.large_bodies import IN_LARGE_BODIES
from tests.mutations.looking_after import IN_LOOKING_AFTER
from tests.mutations.reading_github import IN_READING_GITHUB
from tests.mutations.reconciling import IN_RECONCILING
from tests.mutations.reconciling_repositories import IN_RECONCILING_REPOSITORIES
from tests.mutations.running_locally import IN_RUNNING_LOCALLY
from tests.mutations.running_reconciliation import IN_RUNNING_RECONCILIATION
from tests.mutations.signing_in import IN_SIGNING_IN
from tests.mutations.slow_deliveries import IN_SLOW_DELIVERIES
from tests.mutations.starting_walks import IN_STARTING_WALKS
from tests.mutations.sweeping_deliveries import IN_SWEEPING_DELIVERIES
from tests.mutations.telling_what_is_complete import IN_TELLING_WHAT_IS_COMPLETE
from tests.mutations.walking_deployments import IN_WALKING_DEPLOYMENTS
from tests.mutations.walking_history import IN_WALKING_HISTORY
from tests.mutations.walking_pull_requests import IN_WALKING_PULL_REQUESTS

WEBHOOKS = "tests/webhooks"
CLAIMING = f"{WEBHOOKS}/test_claiming.py"
RETENTION = f"{WEBHOOKS}/test_retention.py"
STEPS = "tests/faults/test_transactions.py"
SETTINGS = "tests/runtime/test_celery_settings.py"

IN_THE_LETTERBOX = (
    mutation(
        "the fence: a worker that lost its claim finishes nothing",
        "apps/webhooks/finish.py",
        "WHERE d.id = v.id AND d.claim_number = v.claim_number AND d.state = 'running'",
        "WHERE d.id = v.id AND d.state = 'running'",
        test=f"{CLAIMING}::test_a_worker_that_lost_its_claim_writes_nothing",
    ),
    mutation(
        "the fence holds the facts too: they roll back with a lost claim",
        "apps/webhooks/worker.py",
        "                finish(remaining)\n",
        "                pass\n            with transaction.atomic():\n                finish(remaining)\n",
        test=f"{STEPS}::test_a_worker_that_lost_its_claim_leaves_no_fact",
    ),
    mutation(
        "leases run out",
        "apps/webhooks/claims.py",
        "(lease_until < statement_timestamp() OR (",
        "(false OR (",
        test=f"{CLAIMING}::test_a_lapsed_lease_is_claimed_alone_and_is_no_crash_yet",
    ),
    mutation(
        "a live lease is nobody else's",
        "apps/webhooks/claims.py",
        "(lease_until < statement_timestamp() OR (",
        "(lease_until > statement_timestamp() OR (",
        test=f"{CLAIMING}::test_a_live_lease_is_nobody_elses",
    ),
    mutation(
        "a redelivered message takes over what its task held",
        "apps/webhooks/claims.py",
        "OR (%(is_redelivered)s AND leased_by = %(task_id)s)",
        "OR (false AND %(is_redelivered)s AND leased_by = %(task_id)s)",
        test=f"{CLAIMING}::test_a_redelivered_ring_takes_over_what_its_task_held",
    ),
    mutation(
        "a delivery that cannot be written spoils none beside it",
        "apps/webhooks/group_commit.py",
        "        if len(turns) > 1 and not blames_the_server(error):",
        "        if not turns:",
        test=f"{WEBHOOKS}/test_keeping.py::test_one_that_cannot_be_written_spoils_none_beside_it",
    ),
    mutation(
        "a worker that has gone deaf reconnects",
        "tformance/celery.py",
        'app.steps["consumer"].add(Hearing)\n',
        "",
        test="tests/faults/test_hearing.py::test_every_worker_listens",
    ),
    mutation(
        "a claim whose answer is lost is taken back",
        "apps/webhooks/worker.py",
        "        if leftovers.release_unheard(task_id):\n",
        "        if not task_id:\n",
        test=f"{WEBHOOKS}/test_watchdog.py::test_a_claim_whose_answer_is_lost_costs_no_lease",
    ),
    mutation(
        "a delivery that kills its workers is given up",
        "apps/webhooks/claims.py",
        '"most_crashes": MOST_CRASHES}',
        '"most_crashes": MOST_CRASHES * 1000}',
        test=f"{CLAIMING}::test_only_claims_made_alone_count_as_crashes_and_the_third_is_death",
    ),
    mutation(
        "only a crash alone is counted",
        "apps/webhooks/claims.py",
        "SET crashes = suspect.crashes,",
        "SET crashes = suspect.crashes + 1,",
        test=f"{CLAIMING}::test_only_claims_made_alone_count_as_crashes_and_the_third_is_death",
    ),
    mutation(
        "the dispatcher rings for what nobody rang for",
        "apps/webhooks/dispatch.py",
        "    messages = ring.ring_for(ids)\n",
        "    messages = 0\n",
        test=f"{WEBHOOKS}/test_dispatch.py::test_due_deliveries_not_rung_for_are_rung_for_once",
    ),
    mutation(
        "each worker has the letterbox looked into by itself",
        "tformance/celery.py",
        'app.steps["consumer"].add("apps.webhooks.dispatch:Looking")\n',
        "",
        test=f"{WEBHOOKS}/test_worker.py::test_a_worker_without_any_beat_finds_what_nobody_rang_for",
    ),
    mutation(
        "attempts are bounded",
        "apps/webhooks/retry.py",
        "    if attempts >= MOST_ATTEMPTS:\n",
        "    if attempts >= MOST_ATTEMPTS * 100:\n",
        test=f"{WEBHOOKS}/test_retry.py::test_attempts_are_bounded",
    ),
    mutation(
        "bodies of what may still be needed stay",
        "apps/webhooks/retention.py",
        "    WHERE received_at < %(before)s AND state IN ('processed', 'ignored')\n",
        "    WHERE received_at < %(before)s\n",
        test=f"{RETENTION}::test_a_body_whose_day_has_no_partition_expires_alone",
    ),
    mutation(
        "bodies of what may still be needed outlive their day",
        "apps/webhooks/retention.py",
        "SET day = '9999-12-31' WHERE ",
        "SET day = '9999-12-31' WHERE false AND ",
        test=f"{RETENTION}::test_a_day_is_dropped_and_what_somebody_may_need_of_it_stays",
    ),
    mutation(
        "retention searches once for many batches",
        "apps/webhooks/retention.py",
        "MOST_FOUND = 100 * BATCH\n",
        "MOST_FOUND = 3\n",
        test=f"{RETENTION}::test_a_long_outage_is_searched_once_for_many_batches",
    ),
    mutation(
        "no delivery waits behind retention",
        "apps/webhooks/partitions.py",
        "SET LOCAL lock_timeout = '100ms'",
        "SET LOCAL lock_timeout = '25s'",
        test=f"{RETENTION}::test_no_delivery_waits_behind_retention_that_waits",
        waits_for_ever=True,
    ),
    mutation(
        "retention has the bodies for itself while it drops a day",
        "apps/webhooks/partitions.py",
        "        cursor.execute(_LOCK)\n",
        "",
        test=f"{WEBHOOKS}/test_replay.py::test_a_replay_during_the_drop_of_a_day_leaves_no_delivery_without_body",
    ),
    mutation(
        "content that does not have its SHA-256 is never stored",
        "apps/webhooks/group_commit.py",
        "CASE WHEN sha256(posted.content) = posted.body_sha256 THEN posted.content END",
        "posted.content",
        test=f"{WEBHOOKS}/test_keeping.py::test_content_that_is_not_what_was_posted_is_never_stored",
    ),
)

AT_THE_DOOR = (
    mutation(
        "the signature is compared",
        "apps/webhooks/signature.py",
        'hmac.compare_digest(hmac.digest(slot.value, body, "sha256"), claimed)',
        "True",
        test=f"{WEBHOOKS}/test_door.py::test_a_body_changed_after_signing_is_401",
    ),
    mutation(
        "weak secrets sign nothing",
        "apps/webhooks/signature.py",
        "    return len(value.encode()) >= SHORTEST_SECRET and len(set(value)) > 4",
        "    return len(value) >= 0 and len(set(value)) > -1",
        test=f"{WEBHOOKS}/test_secrets.py::test_a_weak_secret_is_refused_everywhere",
    ),
    Mutation(
        "one row per hook and GUID",
        (
            Edit("apps/webhooks/group_commit.py", "ON CONFLICT (hook_id, guid)", "ON CONFLICT (hook_id, guid, id)"),
            Edit(
                "apps/webhooks/migrations/0001_initial.py",
                'fields=("hook_id", "guid"),',
                'fields=("hook_id", "guid", "id"),',
            ),
        ),
        f"{WEBHOOKS}/test_redelivery.py::test_200_concurrent_posts_of_one_guid_make_one_row",
    ),
    mutation(
        "a duplicate of a finished delivery is a no-op",
        "apps/webhooks/group_commit.py",
        "        state = CASE WHEN kept.state IN ('failed', 'dead')",
        "        state = CASE WHEN kept.state IN ('failed', 'dead', 'processed')",
        test=f"{WEBHOOKS}/test_redelivery.py::test_a_redelivery_of_a_finished_delivery_is_a_counted_no_op",
    ),
    mutation(
        "a redelivery of a failed delivery arms it again",
        "apps/webhooks/group_commit.py",
        "        not_before = CASE WHEN kept.state IN ('failed', 'dead')",
        "        not_before = CASE WHEN kept.state IN ('dead')",
        test=f"{WEBHOOKS}/test_redelivery.py::test_a_redelivery_arms_a_failed_delivery_again",
    ),
    mutation(
        "only headers on the allow-list are kept",
        "apps/webhooks/origin.py",
        "    for name, environ_name in _ENVIRON_NAMES:",
        "    for name, environ_name in ((n[5:].lower(), n) for n in environ if n.startswith('HTTP_')):",
        test=f"{WEBHOOKS}/test_door.py::test_only_headers_on_the_allow_list_are_kept",
    ),
    mutation(
        "a body over the limit is not read",
        "apps/webhooks/request_body.py",
        "    if int(announced) > LARGEST_BODY:\n",
        "    if int(announced) > LARGEST_BODY * 1000:\n",
        test=f"{WEBHOOKS}/test_door.py::test_a_body_over_the_limit_is_413_and_is_not_read",
    ),
    mutation(
        "the watchdog cuts a frozen connection",
        "apps/common/db.py",
        "                    _cut(watched.wrapper)\n",
        "                    pass\n",
        test=f"{WEBHOOKS}/test_watchdog.py::test_a_connection_frozen_in_mid_flight_is_answered_503",
        waits_for_ever=True,
    ),
    mutation(
        "a commit is on disk before it is acknowledged",
        "tformance/database.py",
        '"synchronous_commit": "on"',
        '"synchronous_commit": "off"',
        test="tests/runtime/test_settings.py"
        "::test_every_role_commits_durably_over_a_connection_that_is_checked_before_use",
    ),
)

IN_THE_FACTS = (
    mutation(
        "a snapshot that is not newer takes no lock",
        "apps/activity/merging.py",
        'WHERE kept.{stamp} IS NULL OR kept.{stamp} < incoming.{stamp} COLLATE "C"',
        "WHERE true",
        test="tests/activity/test_record.py"
        "::test_two_transactions_recording_the_same_unchanged_repository_do_not_wait_for_each_other",
    ),
    Mutation(
        "an older snapshot never overwrites a newer one",
        (
            Edit(
                "apps/activity/merging.py",
                'WHERE kept.{stamp} IS NULL OR kept.{stamp} < incoming.{stamp} COLLATE "C"',
                "WHERE true",
            ),
            Edit("apps/activity/merging.py", 'WHERE kept.{stamp} < excluded.{stamp} COLLATE "C"', "WHERE true"),
        ),
        "tests/activity/test_record.py::test_any_order_any_repetition_and_any_grouping_ends_in_the_same_tables",
    ),
    mutation(
        "changes are marked in the transaction of their facts",
        "apps/activity/record.py",
        "    append(changes)\n",
        "    from django.db import transaction\n    transaction.on_commit(lambda: append(changes))\n",
        test=f"{STEPS}::test_a_fact_and_its_change_are_there_together_or_not_at_all",
    ),
    mutation(
        "a change goes only when what follows from it is stored",
        "apps/metrics/recalculation.py",
        "        with transaction.atomic():\n            changes = claim(KNOWN, limit=BATCH, skipped=skipped)\n",
        "        changes = claim(KNOWN, limit=BATCH, skipped=skipped)\n        with transaction.atomic():\n",
        test=f"{STEPS}::test_a_change_is_gone_only_when_what_follows_from_it_is_stored",
    ),
    mutation(
        "facts are read only under the lock",
        "apps/metrics/recalculation.py",
        "    lock(name for noun, keys in wanted for name in noun.locks(keys))\n",
        "",
        test="tests/metrics/test_concurrent_recalculation.py"
        "::test_a_fact_that_arrives_between_the_read_and_the_write_is_not_lost",
        waits_for_ever=True,
    ),
)

IN_THE_SCHEDULE = tuple(
    mutation(
        f"beat sends {name}",
        "tformance/schedule.py",
        f'    "{name}": ',
        f'    # "{name}": ',
        test=f"tests/runtime/test_beat.py::test_what_beat_sends_has_its_effect[{name}]",
    )
    for name in (
        *("dispatch", "resume-backfills", "resume-listings", "resume-enrichment", "resume-sweep", "resume-syncs"),
        *("daily-github-sync", "hourly-metrics-update", "frequent-check", "open-due-syncs", "conclude-syncs"),
        *("prune-bodies", "prune-syncs", "prune-enrichment-attempts", "prune-missed-deliveries", "clean-up"),
    )
)

IN_CELERY = (
    mutation(
        "beat sends find-installations",
        "tformance/schedule.py",
        '    "find-installations": ',
        '    # "find-installations": ',
        test="tests/runtime/test_beat.py::test_installations_that_sent_no_webhook_are_found",
    ),
    mutation(
        "the hourly figures are computed",
        "apps/metrics/tasks.py",
        "    process_all_teams()\n",
        "    pass\n",
        test="tests/runtime/test_beat.py::test_what_beat_sends_has_its_effect[hourly-metrics-update]",
    ),
    mutation(
        "an e-mail that a mail server refused for a moment is sent again",
        "apps/notifications/tasks.py",
        "    autoretry_for=(smtplib.SMTPServerDisconnected,",
        "    autoretry_for=(",
        test="tests/notifications/test_tasks.py::test_an_email_is_sent_again_when_the_mail_server_hangs_up",
    ),
    Mutation(
        "messages are acknowledged late, and come back when a child dies",
        (
            Edit("apps/webhooks/tasks.py", "    acks_late=True,", "    acks_late=False,"),
            Edit("tformance/broker.py", '"task_acks_late": True', '"task_acks_late": False'),
        ),
        f"{WEBHOOKS}/test_worker.py::test_a_killed_child_costs_no_lease_and_no_neighbour",
    ),
    mutation(
        "a queue carries JSON and never pickles",
        "tformance/broker.py",
        '"accept_content": ["json"],  #',
        '"accept_content": ["json", "pickle"],  #',
        test=f"{SETTINGS}::test_the_running_application_has_the_pinned_value",
    ),
    mutation(
        "a half-open connection to the broker is noticed",
        "tformance/broker.py",
        '    "socket_timeout": 5,',
        '    "socket_timeout": None,',
        test=f"{SETTINGS}::test_a_worker_notices_a_connection_that_died_without_a_word",
    ),
    mutation(
        "a worker that has gone deaf starts over",
        "tformance/hearing.py",
        "            raise DeafWorkerError(",
        "            repr(",
        test="tests/faults/test_hearing.py::test_messages_that_nobody_will_acknowledge_make_the_consumer_start_over",
    ),
    mutation(
        "a worker watches whether it can work",
        "tformance/celery.py",
        'app.steps["consumer"].add(StuckWorker)\n',
        "",
        test="tests/faults/test_stuck_worker.py::test_every_worker_watches_itself",
    ),
    mutation(
        "a worker that loses what its children say ends",
        "tformance/stuck_worker.py",
        "    if idle and len(in_hand) > len(busy):\n",
        "    if not in_hand and idle is None:\n",
        test="tests/faults/test_stuck_worker.py::test_what_stays_wrong_at_every_look_is_a_fault",
    ),
    mutation(
        "a worker whose event loop stands still ends",
        "tformance/stuck_worker.py",
        "            self._answers += 1\n",
        "            self._answers = 0\n",
        test="tests/faults/test_stuck_worker.py::test_a_loop_that_stands_still_counts_only_while_the_broker_answers",
    ),
    mutation(
        "a session without the bounds that it asked for is not used",
        "apps/common/pooler.py",
        "    if lost:\n",
        "    if lost is None:\n",
        test="tests/webhooks/test_sessions.py::test_a_session_without_its_bounds_is_not_used",
    ),
    mutation(
        "a database that takes no writes is not ready",
        "apps/monitoring/probes.py",
        "    if is_read_only:\n",
        "    if is_read_only is None:\n",
        test="tests/monitoring/test_health.py::test_on_a_server_that_takes_no_writes_it_is_not_ready",
    ),
)

MUTATIONS = (
    *IN_THE_SCHEDULE,
    *IN_THE_LETTERBOX,
    *AT_THE_DOOR,
    *IN_THE_FACTS,
    *IN_CELERY,
    *IN_READING_GITHUB,
    *IN_RECONCILING_REPOSITORIES,
    *IN_RUNNING_RECONCILIATION,
    *IN_ANSWERING,
    *IN_ENRICHING,
    *IN_RECONCILING,
    *IN_LARGE_BODIES,
    *IN_SIGNING_IN,
    *IN_LOOKING_AFTER,
    *IN_RUNNING_LOCALLY,
    *IN_SLOW_DELIVERIES,
    *IN_STARTING_WALKS,
    *IN_SWEEPING_DELIVERIES,
    *IN_TELLING_WHAT_IS_COMPLETE,
    *IN_WALKING_DEPLOYMENTS,
    *IN_WALKING_HISTORY,
    *IN_WALKING_PULL_REQUESTS,
)
