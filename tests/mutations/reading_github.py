"""The safeties of reading GitHub's API."""

from tests.mutations.edits import Mutation, mutation

GITHUB = "apps/integrations/github"
BUDGET, CLIENT, TOKENS, REFUSALS, CLEAR = (
    f"tests/integrations/test_{name}.py"
    for name in ("budget", "client", "tokens", "token_refusals", "tokens_in_the_clear")
)
ENDLESS, BY_NAME = "tests/integrations/test_endless_lists.py", "tests/integrations/test_routes_by_name.py"
IN_THE_CLEAR = f"{CLEAR}::test_a_token_that_every_error_quotes_is_stored_and_shown_nowhere"

IN_READING_GITHUB: tuple[Mutation, ...] = (
    mutation(
        "nothing goes out while a limit is spent",
        f"{GITHUB}/lua/take.lua",
        'if left < math.floor(limit * reserve) then return later("spent", resets_at) end',
        "",
        test=f"{CLIENT}::test_a_spent_limit_stops_requests_until_the_reset",
    ),
    mutation(
        "points of requests in flight are spent already",
        f"{GITHUB}/lua/take.lua",
        "- promised - cost",
        "- cost",
        test=f"{BUDGET}::test_points_of_requests_in_flight_are_spent_already",
    ),
    mutation(
        "a secondary limit stops the whole installation",
        f"{GITHUB}/lua/take.lua",
        'if now < blocked_until then return later("blocked", blocked_until) end',
        "",
        test=f"{CLIENT}::test_a_secondary_limit_is_obeyed_as_long_as_github_asks",
    ),
    mutation(
        "after a secondary limit one request goes first",
        f"{GITHUB}/lua/take.lua",
        'if (number("strikes") or 0) > 0 then',
        "if false then",
        test=f"{BUDGET}::test_after_a_secondary_limit_one_request_goes_first",
    ),
    mutation(
        "one GraphQL request of an installation at a time",
        f"{GITHUB}/budget.py",
        "IN_FLIGHT = {GRAPHQL: 1}",
        "IN_FLIGHT = {GRAPHQL: 4}",
        test=f"{CLIENT}::test_four_workers_keep_one_graphql_request_in_flight",
    ),
    mutation(
        "repositories take turns",
        f"{GITHUB}/lua/take.lua",
        "or (theirs == priority and turn(whose) < mine)",
        "",
        test=f"{BUDGET}::test_repositories_take_turns",
    ),
    mutation(
        "within a window what is left only falls",
        f"{GITHUB}/lua/settle.lua",
        'math.min(remaining, number(resource .. ".remaining") or remaining)',
        "remaining",
        test=f"{BUDGET}::test_within_a_window_what_is_left_only_falls",
    ),
    mutation(
        "a request that dies half way frees its place",
        f"{GITHUB}/client.py",
        "            up_next = self.budget.settle(lease, verdict=verdict, limit=limit)\n",
        "        up_next = self.budget.settle(lease, verdict=verdict, limit=limit)\n",
        test=f"{CLIENT}::test_a_request_that_dies_half_way_frees_its_place",
    ),
    mutation(
        "PyGithub follows no redirect",
        f"{GITHUB}/client.py",
        '(LOCATION if name.lower() == "location" else name, value)',
        "(name, value)",
        test=f"{CLIENT}::test_a_renamed_repository_is_read_under_its_old_name_with_its_query",
    ),
    mutation(
        "a redirect or a next page leads to no other host",
        f"{GITHUB}/answers.py",
        "if not same_host or",
        "if",
        test=f"{CLIENT}::test_a_next_page_on_another_host_is_not_an_end",
    ),
    mutation(
        "a hole in a page is not a page",
        f"{GITHUB}/null_nodes.py",
        "return any(not _is_explained(path, explained) for path in null_nodes(data))",
        "return False",
        test=f"{CLIENT}::test_a_hole_in_a_page_is_not_a_page",
    ),
    mutation(
        "one token serves all workers",
        f"{GITHUB}/access.py",
        "            if renewed is not None and self.tokens.is_lasting(renewed):\n",
        "            if False:\n",
        test=f"{TOKENS}::test_one_token_serves_all_workers",
    ),
    mutation(
        "a 401 marks nothing as removed",
        f"{GITHUB}/access.py",
        "        if standing in {Standing.ACTIVE, Standing.UNKNOWN}:\n",
        "        if False:\n",
        test=f"{TOKENS}::test_a_401_marks_nothing_as_removed_while_github_knows_the_installation",
    ),
    mutation(
        "a list that goes on is never called complete",
        f"{GITHUB}/snapshots/graphql_dialect.py",
        'return listed is None or not (listed["pageInfo"]["hasNextPage"] or listed.get("has_lost"))',
        "return True",
        test="tests/integrations/test_both_roads.py::test_a_list_that_goes_on_is_never_called_complete",
    ),
    mutation(
        "a refused token is a fact of the installation",
        f"{GITHUB}/access.py",
        "        refusal = self.refusals.find(installation_id)\n        if refusal is None:\n",
        "        refusal = self.refusals.find(installation_id)\n        if True:\n",
        test=f"{REFUSALS}::test_forty_eight_jobs_of_an_installation_ask_no_more_than_one_does",
    ),
    mutation(
        "one job tries a refused token again for all",
        f"{GITHUB}/token_refusals.py",
        "return bool(self.redis.set(_name_of_attempt(installation_id), 1, nx=True, ex=TRYING_S))",
        "return True",
        test=f"{REFUSALS}::test_a_job_that_dies_while_it_tries_again_holds_the_others_up_for_a_minute",
    ),
    mutation(
        "the waits for a token become longer",
        f"{GITHUB}/token_refusals.py",
        "2 ** (min(attempts, 16) - 1)",
        "1",
        test=f"{REFUSALS}::test_each_refusal_in_a_row_doubles_the_wait_up_to_a_quarter_of_an_hour",
    ),
    mutation(
        "a token is hidden beyond its first dot",
        "apps/common/redaction.py",
        r"gh[a-z]_[A-Za-z0-9_.\-]{8,}",
        r"gh[a-z]_[A-Za-z0-9_]{8,}",
        test="tests/runtime/test_logs.py::test_no_part_of_a_token_of_the_new_form_is_left_wherever_it_stands",
    ),
    mutation(
        "GitHub's words are kept without tokens",
        f"{GITHUB}/verdicts.py",
        "return redact(message)[:LONGEST_MESSAGE]",
        "return message[:LONGEST_MESSAGE]",
        test=IN_THE_CLEAR,
    ),
    mutation(
        "errors of deliveries are kept without tokens",
        "apps/webhooks/translate.py",
        'text = redact(f"{type(error).__name__}: {message}")[:LONGEST_ERROR]',
        'text = f"{type(error).__name__}: {message}"[:LONGEST_ERROR]',
        test=IN_THE_CLEAR,
    ),
    mutation(
        "results of tasks are kept without tokens",
        "tformance/results.py",
        "shown = redact_value(result) if status in states.EXCEPTION_STATES else result",
        "shown = result",
        test=IN_THE_CLEAR,
    ),
    mutation(
        "a tenant of GHE.com is told from another",
        "apps/webhooks/origin.py",
        'environ.get("HTTP_X_GITHUB_TENANT", "").lower()) ==',
        "tenant) ==",
        test="tests/webhooks/test_door.py::test_only_deliveries_of_the_configured_github_host_are_taken",
    ),
    mutation(
        "a silence says which it was",
        f"{GITHUB}/client.py",
        "error = error.__cause__ or error.__context__",
        "error = None",
        test="tests/integrations/test_silence.py::test_the_message_says_why_there_is_no_answer",
    ),
    mutation(
        "a list of GitHub's has an end",
        f"{GITHUB}/answers.py",
        "if (page - 1) * size >= MOST_LISTED:",
        "if False:",
        test=f"{ENDLESS}::test_no_list_of_rest_goes_on_beyond_what_any_list_holds",
    ),
    mutation(
        "a list of repositories that brings nothing more is no list",
        "apps/integrations/installations.py",
        "        if answer.next_path is not None:\n            self.expect_more(before=before)\n",
        "",
        test=f"{ENDLESS}::test_repositories_of_an_installation_without_end_are_a_failure_with_words",
    ),
    mutation(
        "a page of history leads further",
        "apps/integrations/backfill/run.py",
        "        self._expect_end(page)\n",
        "",
        test=f"{ENDLESS}::test_pages_of_graphql_without_end_fail_in_words",
    ),
    mutation(
        "a name is read only if its id is the same",
        f"{GITHUB}/repository_routes.py",
        'answer.data.get("id") == repository_id',
        "True",
        test=f"{BY_NAME}::test_a_name_that_another_repository_has_by_now_is_not_read",
    ),
    mutation(
        "a missing stack says nothing",
        f"{GITHUB}/snapshots/pull_requests.py",
        'if "stack" in pull_request:',
        "if True:",
        test="tests/integrations/test_pull_request_translators.py::test_a_stack_is_a_field_group_of_its_own_in_any_order",
    ),
)
