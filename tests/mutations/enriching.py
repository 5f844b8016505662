"""The safeties of asking for what webhooks leave out."""

from tests.mutations.edits import Mutation, mutation

ENRICHMENT, MODELS = "apps/integrations/enrichment", "apps/integrations/models/enrichments.py"
FINDING, LEASES, LIMITS, REFUSALS = (
    f"tests/integrations/enrichment/test_{name}.py" for name in ("finding", "leases", "limits", "refusals")
)

IN_ENRICHING: tuple[Mutation, ...] = (
    mutation(
        "while one worker asks for an installation no other does",
        MODELS,
        "free = self.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), not_before__lte=Now())",
        "free = self.filter(not_before__lte=Now())",
        test=f"{LEASES}::test_while_one_asks_nobody_else_is_told",
    ),
    mutation(
        "whoever lost the lease gives nothing back",
        MODELS,
        "held = self.filter(claim_number=claim_number, lease_until__isnull=False)",
        "held = self.filter(lease_until__isnull=False)",
        test=f"{LEASES}::test_whoever_lost_the_lease_gives_nothing_back",
    ),
    mutation(
        "where an installation is suspended or a stranger's nothing is asked",
        f"{ENRICHMENT}/finding.py",
        ', has_access=True, installation__in=readable_installations().values("pk")',
        ", has_access=True",
        test=f"{FINDING}::test_nothing_is_asked_where_we_may_not_read",
    ),
    mutation(
        "what an unfinished walk will read is left to it",
        f"{ENRICHMENT}/finding.py",
        "        ~Exists(walking),\n",
        "",
        test=f"{FINDING}::test_what_an_unfinished_walk_through_history_will_read_is_left_to_it",
    ),
    mutation(
        "a repository that took another one's name is not taken for it",
        f"{ENRICHMENT}/asking.py",
        'if repository.get("databaseId") not in {None, wanted.repository_id}:',
        "if False:",
        test=f"{REFUSALS}::test_a_repository_that_took_another_ones_name_is_not_taken_for_it",
    ),
    mutation(
        "what is never shown is given up",
        f"{ENRICHMENT}/keeping.py",
        "is_given_up = is_final and row.attempts == MOST_TRIES",
        "is_given_up = False",
        test=f"{REFUSALS}::test_it_is_tried_again_each_time_later_and_then_given_up",
    ),
    mutation(
        "what merely failed is not given up",
        f"{ENRICHMENT}/keeping.py",
        "is_given_up = is_final and row.attempts == MOST_TRIES",
        "is_given_up = row.attempts == MOST_TRIES",
        test=f"{REFUSALS}::test_what_merely_failed_is_never_given_up",
    ),
    mutation(
        "whoever waits for a turn at GitHub is told of it",
        "apps/integrations/apps.py",
        "(backfill_bell, enrichment_bell, sync_bell)",
        "(backfill_bell, sync_bell)",
        test=f"{LIMITS}::test_while_a_page_of_history_is_read_it_waits_for_the_next_turn_and_is_told",
    ),
)
