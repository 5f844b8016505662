"""Safeties of refresh."""

from tests.mutations.mutation import Mutation, mutation

MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "where an installation is suspended or not accepted nothing is asked",
        "integrations: due_installations",
        ', has_access=True, installation__in=readable_installations().values("pk")',
        ", has_access=True",
        test="test_nothing_is_asked_where_we_may_not_read",
    ),
    mutation(
        "what an unfinished backfill will read is left to it",
        "due_pull_requests",
        "~Exists(reading),",
        "",
        test="test_what_an_unfinished_backfill_will_read_is_left_to_it",
    ),
    mutation(
        "nothing of a repository that took another one's name is refreshed",
        "integrations: _read",
        'if repository.get("databaseId") not in {None, wanted.repository_id}:',
        "if False:",
        test="test_a_repository_that_took_another_ones_name_is_not_taken_for_it",
    ),
    mutation(
        "what is never shown is given up",
        "integrations: _remember",
        "is_given_up = is_final and row.attempts == MOST_TRIES",
        "is_given_up = False",
        test="test_it_is_tried_again_each_time_later_and_then_given_up",
    ),
    mutation(
        "what merely failed is not given up",
        "integrations: _remember",
        "is_given_up = is_final and row.attempts == MOST_TRIES",
        "is_given_up = row.attempts == MOST_TRIES",
        test="test_what_merely_failed_is_never_given_up",
    ),
)
