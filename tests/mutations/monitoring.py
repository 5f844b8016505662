"""Safeties of monitoring."""

from tests.mutations.mutation import Mutation, mutation

MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "what no webhook told is seen by a listing within a day",
        "integrations: due_installations",
        "is_unsettled | is_signalled | is_old,",
        "is_unsettled | is_signalled,",
        test="test_what_no_webhook_told_is_seen_by_the_listing_of_the_day",
    ),
    mutation(
        "a listing outweighs what was told of an account's name within its hour",
        "standing_facts",
        "renamed_profile(account, at=as_of,",
        "renamed_profile(account, at=as_of.replace(minute=0, second=0, microsecond=0),",
        test="test_a_name_told_too_late_yields_to_the_listing_of_the_same_hour",
    ),
    mutation(
        "permissions that accounts do not grant are found by the status check",
        "find_problems",
        "**permission_problems(),",
        "",
        test="test_problems_with_reading_github_are_found_and_explained",
    ),
    mutation(
        "doctor asks nothing of a stranger's account",
        "check_rate_limits",
        'readable_installations().select_related("account")',
        'Installation.objects.select_related("account")',
        test="test_nothing_of_a_stranger_is_fetched",
    ),
    mutation(
        "a check that hangs costs doctor only its time limit",
        "_within",
        "thread.join(seconds)",
        "thread.join()",
        test="test_a_family_that_hangs_costs_only_its_time_limit",
        hangs=True,
    ),
    mutation(
        "doctor shows no secret",
        "redact",
        "text = text.replace(secret, HIDDEN)",
        "len(secret)",
        test="test_no_secret_is_shown",
    ),
    mutation(
        "each worker reports its presence",
        "tformance/celery.py",
        'app.steps["consumer"].add("apps.monitoring.presence:Presence")',
        "",
        test="test_a_worker_says_that_it_listens_and_that_it_stops",
    ),
    mutation(
        "tokens that are still of use stay",
        "monitoring: delete_expired",
        "ApiToken.objects.filter(expires_at__lt=ended)",
        "ApiToken.objects.exclude(expires_at__gt=ended)",
        test="test_tokens_are_deleted_a_month_after_they_expire",
    ),
    mutation(
        "while the database is away, pages and API answer 503",
        "handler500",
        'handler500 = "apps.dashboard.views.answer_failure"',
        "",
        test="test_while_the_database_is_away_the_api_is_503_in_its_shape",
    ),
    mutation(
        "deliveries of a person who sees few are found by their repositories",
        "with_place",
        "F(column) + nothing if is_little else F(column)",
        "F(column)",
        test="test_an_event_that_only_others_have_is_not_looked_for_among_theirs",
    ),
)
