"""The safeties of the walks through deployments and workflow runs."""

from tests.mutations.edits import Mutation, mutation

WALKS, TESTS = "apps/integrations/backfill/walks", "tests/integrations/backfill"
WALK, BASELINES, TROUBLES = (f"{TESTS}/test_deployment_{name}.py" for name in ("walk", "baselines", "troubles"))
RUNS, RUN_TROUBLES = (f"{TESTS}/test_workflow_run_{name}.py" for name in ("walk", "troubles"))

IN_WALKING_DEPLOYMENTS: tuple[Mutation, ...] = (
    mutation(
        "a number is read from a node id only where the deployment's own proves its form",
        "apps/github/objects/graphql.py",
        "    if own is None or own != deployment_number(node, repository_id=repository_id):",
        "    if own is None:",
        test=f"{TROUBLES}::test_statuses_whose_form_nothing_proves_are_read_by_rest",
    ),
    mutation(
        "what GraphQL cannot tell of a deployment empties nothing",
        "apps/github/objects/deployments.py",
        "    if is_production is not None or is_transient is not None:\n",
        "    if True:\n",
        test=f"{WALK}::test_what_graphql_cannot_tell_empties_nothing",
    ),
    mutation(
        "a list of statuses that goes on is finished",
        f"{WALKS}/deployments/reading.py",
        "    while graphql.has_more_statuses(node):",
        "    while False:",
        test=f"{WALK}::test_a_list_of_statuses_that_goes_on_is_finished",
    ),
    mutation(
        "few deployments of a page are read one by one",
        f"{WALKS}/deployments/reading.py",
        "    if place.at_most > FEW and",
        "    if False and",
        test=f"{TROUBLES}::test_no_page_reads_more_than_a_few_deployments_one_by_one",
    ),
    mutation(
        "a baseline had succeeded before the start",
        f"{WALKS}/deployments/shown.py",
        'status.word("state") == "success" and',
        "",
        test=f"{BASELINES}::test_a_baseline_is_found_however_long_ago_and_whatever_failed_since",
    ),
    mutation(
        "the search for a baseline is bounded",
        f"{WALKS}/deployments/baselines.py",
        "    if in_vain >= MOST_IN_VAIN:",
        "    if False:",
        test=f"{BASELINES}::test_the_search_is_bounded_and_what_it_leaves_open_is_named",
    ),
    mutation(
        "a window of more runs than GitHub lists is cut",
        f"{WALKS}/workflow_runs.py",
        "    if listed.total >= MOST_LISTED and not window.is_a_second:",
        "    if False:",
        test=f"{RUNS}::test_two_and_a_half_thousand_runs_of_one_hour_are_all_found",
    ),
    mutation(
        "what GitHub does not list of a second is named",
        f"{WALKS}/workflow_runs.py",
        "    if is_last and listed.total >= MOST_LISTED:",
        "    if False:",
        test=f"{RUN_TROUBLES}::test_more_runs_of_one_second_than_github_lists_are_named",
    ),
    mutation(
        "a window of runs ends when the walk began",
        f"{WALKS}/workflow_runs.py",
        "whole_seconds(errand.until or errand.started_at)",
        "whole_seconds(errand.until or datetime.now(UTC))",
        test=f"{RUNS}::test_a_window_ends_when_the_walk_began",
    ),
    mutation(
        "a name that another repository has by now tells nothing",
        f"{WALKS}/strangers.py",
        "    if repository_id != errand.repository_id:",
        "    if False:",
        test=f"{TROUBLES}::test_a_name_that_belongs_to_another_repository_by_now_tells_nothing",
    ),
)
