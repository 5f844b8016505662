"""The safeties around large bodies."""

from tests.mutations.edits import mutation

WEBHOOKS = "tests/webhooks"

IN_LARGE_BODIES = (
    mutation(
        "large bodies share a budget",
        "apps/webhooks/request_body.py",
        "            if (self._waiting or self._free < size) and not self._wait_for(size):\n",
        "            if size < 0:\n",
        test=f"{WEBHOOKS}/test_body_budget.py::test_a_large_body_beyond_the_budget_is_503_with_a_time_to_try_again",
    ),
    mutation(
        "a large body that waits is not overtaken",
        "apps/webhooks/request_body.py",
        "(self._waiting or self._free < size)",
        "(self._free < size)",
        test=f"{WEBHOOKS}/test_body_budget.py::test_a_body_that_waits_is_not_overtaken_by_smaller_ones",
    ),
    mutation(
        "the place of a large body is free again",
        "apps/webhooks/views.py",
        "            budget.release(request.META.pop(TAKEN, 0))\n",
        "            pass\n",
        test=f"{WEBHOOKS}/test_body_budget.py::test_a_place_is_free_again_however_the_post_was_answered",
    ),
    mutation(
        "the database may take longer over a large body",
        "apps/webhooks/group_commit.py",
        "    if size <= MOST_BYTES_TOGETHER:\n        yield",
        "    if size >= 0:\n        yield",
        test=f"{WEBHOOKS}/test_keeping.py::test_the_database_may_take_longer_over_a_large_body",
    ),
    mutation(
        "the driver's buffer for a large body is given back",
        "apps/webhooks/group_commit.py",
        "        if not connection.in_atomic_block:\n",
        "        if size < 0:\n",
        test=f"{WEBHOOKS}/test_keeping.py::test_the_buffer_of_a_large_body_goes_with_its_connection",
    ),
    mutation(
        "a form is decoded a part at a time",
        "apps/webhooks/parsing.py",
        "_UNQUOTED_AT_ONCE = 16 * 1024",
        "_UNQUOTED_AT_ONCE = 64 * 1024 * 1024",
        test=f"{WEBHOOKS}/test_parsing.py::test_a_form_is_decoded_in_memory_of_its_own_size",
    ),
    mutation(
        "the dispatcher has other bodies compared",
        "apps/webhooks/dispatch.py",
        "        ring.ask_for_comparison()\n",
        "        pass\n",
        test=f"{WEBHOOKS}/test_redelivery.py::test_the_dispatcher_asks_for_a_comparison_while_there_is_one",
    ),
    mutation(
        "a comparison counts its attempt before the work",
        "apps/webhooks/conflicts.py",
        "SET attempts = attempts + 1, ",
        "SET ",
        test=f"{WEBHOOKS}/test_redelivery.py::test_a_comparison_that_never_ends_is_given_up_as_a_conflict",
    ),
)
