"""The safeties of signing in."""

from tests.mutations.edits import Mutation, mutation

SIGN_IN = "tests/users/test_sign_in.py"
LIMITS = "apps/users/sign_in.py"
MEMBERS = "tests/integrations/test_github_sign_in.py"

IN_SIGNING_IN: tuple[Mutation, ...] = (
    mutation(
        "the limits of sign-in count a name in whatever case it is written",
        LIMITS,
        ".strip().lower()[:255]",
        ".strip()[:255]",
        test=f"{SIGN_IN}::test_another_spelling_is_the_same_name",
    ),
    mutation(
        "an attempt to sign in is counted under a lock",
        LIMITS,
        '            cursor.execute(LOCK, [[f"sign-in by {name}", f"sign-in from {address}"]])\n',
        "            pass\n",
        test=f"{SIGN_IN}::test_many_attempts_at_once_are_counted_before_a_password_is_checked",
    ),
    mutation(
        "allauth's limits by name alone lock nobody out",
        "tformance/settings.py",
        'ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None}\n',
        "",
        test=f"{SIGN_IN}::test_the_limits_are_those_of_the_database_alone",
    ),
    mutation(
        "many failures of one name slow down",
        LIMITS,
        "        if (pause_s := pause(name, address)) > 0:\n",
        "        if (pause_s := pause(name, address)) > 1000:\n",
        test=f"{SIGN_IN}::test_many_failures_slow_down_and_do_not_lock_out",
    ),
    mutation(
        "allauth's pages that nobody is led to are not served",
        "apps/users/urls.py",
        "        if one.name in SERVED\n",
        "        if one.name\n",
        test=f"{SIGN_IN}::test_a_page_of_allauth_that_nobody_is_led_to_is_not_found",
    ),
    mutation(
        "who is no member does not sign in with GitHub",
        "apps/integrations/github_sign_in.py",
        "        if membership is not Membership.YES:\n",
        "        if membership is Membership.UNKNOWN:\n",
        test=f"{MEMBERS}::test_nobody_else_does",
    ),
    mutation(
        "where GitHub does not say, nobody signs in with it",
        "apps/integrations/github_sign_in.py",
        "        if membership is not Membership.YES:\n",
        "        if membership is Membership.NO:\n",
        test=f"{MEMBERS}::test_where_github_does_not_say_nobody_comes_in",
    ),
)
