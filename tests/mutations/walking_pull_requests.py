"""The safeties of the walk through pull requests."""

from tests.mutations.edits import Mutation, mutation

WALKS = "apps/integrations/backfill/walks"
WALK, TROUBLE, BY_REST = (
    f"tests/integrations/backfill/test_pull_request_{name}.py" for name in ("walk", "trouble", "by_rest")
)

IN_WALKING_PULL_REQUESTS: tuple[Mutation, ...] = (
    mutation(
        "review rounds are null where it is not known what was pushed",
        "apps/metrics/derivation/review_rounds.py",
        "    if not (pushes.are_told or is_known_by_history):",
        "    if not counted:",
        test="tests/integrations/test_review_rounds.py::test_rounds_are_null_while_nobody_told_what_was_pushed",
    ),
    mutation(
        "what a review has seen goes by its commit, not by its time alone",
        "apps/metrics/derivation/review_rounds.py",
        "    if places:\n",
        "    if not moves:\n",
        test="tests/integrations/test_review_rounds.py::test_both_roads_and_every_mixture_come_to_the_same_rounds",
    ),
    mutation(
        "what is updated during a sweep is swept up by another",
        f"{WALKS}/pull_request_sweeps.py",
        "if place.down_to is None or is_single_page or",
        "if True or",
        test=f"{WALK}::test_what_is_updated_during_the_walk_is_not_missed",
    ),
    mutation(
        "lists of two heads are no list",
        f"{WALKS}/pull_request_debts.py",
        'if (node["updatedAt"], node["headRefOid"]) != (owed.updated_at, owed.head_sha):',
        "if False:",
        test=f"{TROUBLE}::test_what_changed_between_its_lists_is_read_whole_again",
    ),
    mutation(
        "a list with a hole is never called complete",
        "apps/github/objects/graphql.py",
        '"nodes": kept, "has_lost": True}',
        '"nodes": kept}',
        test=f"{TROUBLE}::test_an_item_of_a_list_that_cannot_be_shown_is_named_and_its_list_not_called_complete",
    ),
    mutation(
        "null is unknown",
        f"{WALKS}/pull_request_nodes.py",
        "            case _:\n                return None\n",
        "            case _:\n                continue\n",
        test=f"{TROUBLE}::test_null_is_unknown_and_never_nobody",
    ),
    mutation(
        "nothing is left out while the repository itself is refused",
        f"{WALKS}/pull_request_rest.py",
        "        raise unanswered\n    reader.get(errand.address)\n",
        "        raise unanswered\n",
        test=f"{BY_REST}::test_nothing_is_left_out_while_the_repository_itself_is_refused",
    ),
)
