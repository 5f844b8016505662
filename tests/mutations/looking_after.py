"""The safeties of the App's life on accounts, of what is told of it, and of what doctor says."""

from tests.mutations.edits import Mutation, mutation

SETTLING = "tests/integrations/installations/test_settling.py"

IN_LOOKING_AFTER: tuple[Mutation, ...] = (
    mutation(
        "what no webhook told is seen by a listing within a day",
        "apps/integrations/listing.py",
        "is_unsettled | is_signalled | is_old,",
        "is_unsettled | is_signalled,",
        test=f"{SETTLING}::test_what_no_webhook_told_is_seen_by_the_listing_of_the_day",
    ),
    mutation(
        "a listing outweighs what was told of an account's name within its hour",
        "apps/integrations/github/snapshots/installations.py",
        "renamed_profile(account, at=as_of,",
        "renamed_profile(account, at=as_of.replace(minute=0, second=0, microsecond=0),",
        test=f"{SETTLING}::test_a_name_told_too_late_yields_to_the_listing_of_the_same_hour",
    ),
)
