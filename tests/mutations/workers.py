"""Safeties of workers, of beat and of the broker between them."""

from tests.mutations.mutation import Change, Mutation, mutation
from tformance.celery_settings import SCHEDULE

TESTS_OF_BEAT = {
    name: f"test_what_beat_sends_has_its_effect[{name}]" for name in SCHEDULE if not name.startswith("celery.")
} | {"find-installations": "test_installations_that_sent_no_webhook_are_found"}

MUTATIONS: tuple[Mutation, ...] = (
    *(
        mutation(f"beat sends {name}", "SCHEDULE", f'"{name}":', f'# "{name}":', test=test)
        for name, test in TESTS_OF_BEAT.items()
    ),
    mutation(
        "the hourly figures are computed",
        "update_metrics",
        "process_all_teams()",
        "pass",
        test="test_what_beat_sends_has_its_effect[hourly-metrics-update]",
    ),
    mutation(
        "an e-mail that a mail server refused for a moment is sent again",
        "send_email",
        "autoretry_for=(smtplib.SMTPServerDisconnected,",
        "autoretry_for=(",
        test="test_an_email_is_sent_again_when_the_mail_server_hangs_up",
    ),
    Mutation(
        "messages are acknowledged late, and come back when a child dies",
        (
            Change("process_deliveries", "acks_late=True,", "acks_late=False,"),
            Change("_everywhere", '"task_acks_late": True', '"task_acks_late": False'),
        ),
        test="test_a_killed_child_costs_no_lease_and_no_neighbour",
    ),
    mutation(
        "a queue carries JSON and never pickles",
        "_everywhere",
        '"accept_content": ["json"]',
        '"accept_content": ["json", "pickle"]',
        test="test_the_running_application_has_the_pinned_value",
    ),
    mutation(
        "a half-open connection to the broker is noticed",
        "PATIENT",
        '"socket_timeout": 5,',
        '"socket_timeout": None,',
        test="test_a_worker_notices_a_connection_that_died_without_a_word",
    ),
    mutation(
        "a worker whose acknowledgements were lost reconnects",
        "PrefetchCheck._look",
        "raise StuckPrefetchError(",
        "repr(",
        test="test_messages_that_nobody_will_acknowledge_make_the_consumer_start_over",
    ),
    mutation(
        "a worker watches whether it can work",
        "tformance/celery.py",
        'app.steps["consumer"].add(StuckWorkerCheck)',
        "",
        test="test_every_worker_watches_itself",
    ),
    mutation(
        "a worker that loses what its children say ends",
        "worker_health: find_fault",
        "if idle and len(in_hand) > len(busy):",
        "if not in_hand and idle is None:",
        test="test_what_stays_wrong_at_every_look_is_a_fault",
    ),
    mutation(
        "a worker whose event loop stands still ends",
        "LoopWatch.stands_still",
        "self._answers += 1",
        "self._answers = 0",
        test="test_a_loop_that_stands_still_counts_only_while_the_broker_answers",
    ),
    mutation(
        "a session without the bounds that it asked for is not used",
        "check_bounds",
        "if lost:",
        "if lost is None:",
        test="test_a_session_without_its_bounds_is_not_used",
    ),
    mutation(
        "a database that takes no writes is not ready",
        "probe_database",
        "if is_read_only:",
        "if is_read_only is None:",
        test="test_on_a_read_only_server_it_is_not_ready",
    ),
)
