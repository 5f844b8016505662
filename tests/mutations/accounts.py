"""Safeties of accounts."""

from tests.mutations.mutation import Mutation, mutation

MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "the limits of sign-in count a name in whatever case it is written",
        "user_name",
        ".strip().lower()[:255]",
        ".strip()[:255]",
        test="test_another_spelling_is_the_same_name",
    ),
    mutation(
        "an attempt to sign in is counted under a lock",
        "take_attempt",
        'cursor.execute(LOCK, [[f"sign-in by {name}", f"sign-in from {address}"]])',
        "pass",
        test="test_many_attempts_at_once_are_counted_before_a_password_is_checked",
    ),
    mutation(
        "allauth's limits by name alone lock nobody out",
        "ACCOUNT_RATE_LIMITS",
        'ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None}',
        "",
        test="test_the_limits_are_those_of_the_database_alone",
    ),
    mutation(
        "many failures of one name slow down",
        "take_attempt",
        "if (pause_s := pause(name, address)) > 0:",
        "if (pause_s := pause(name, address)) > 1000:",
        test="test_many_failures_slow_down_and_do_not_lock_out",
    ),
    mutation(
        "allauth's pages that nobody is led to are not served",
        "only_served",
        "if one.name in SERVED",
        "if one.name",
        test="test_unused_pages_of_allauth_are_404",
    ),
    mutation(
        "who is no member does not sign in with GitHub",
        "GitHubAccounts.pre_social_login",
        "if membership is not Membership.YES:",
        "if membership is Membership.UNKNOWN:",
        test="test_nobody_else_does",
    ),
    mutation(
        "where GitHub does not say, nobody signs in with it",
        "GitHubAccounts.pre_social_login",
        "if membership is not Membership.YES:",
        "if membership is Membership.NO:",
        test="test_where_github_does_not_say_nobody_comes_in",
    ),
)
