"""Safeties of local."""

from tests.mutations.mutation import Mutation, mutation

MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "an engine that died is started again",
        "EngineWatch.look",
        "if state.due_at is None and not state.engine.is_alive():",
        "if state.due_at is None and state.failures:",
        test="test_an_engine_that_was_killed_runs_again_at_its_address_and_both_are_said[Redis]",
        hangs=True,
    ),
    mutation(
        "an engine that cannot start is given up with an error",
        "EngineWatch._plan",
        "if state.failures > MOST_FAILURES:",
        "if state.failures > MOST_FAILURES * 1000:",
        test="test_an_engine_that_cannot_start_is_tried_with_pauses_and_given_up_with_an_error",
        hangs=True,
    ),
    mutation(
        "an engine that is started again keeps its port",
        "Engines.ours",
        "replace(engine, may_move=False)",
        "replace(engine, may_move=True)",
        test="test_an_engine_that_cannot_start_is_tried_with_pauses_and_given_up_with_an_error",
        hangs=True,
    ),
    mutation(
        "as root the engines run as a user of their own",
        "Home._with_own_account",
        "uid=self.uid or choose_number(taken=taken)",
        "uid=65534",
        test="test_as_root_they_run_as_a_user_of_their_own_whose_data_only_they_can_read",
    ),
    mutation(
        "a port that is taken is noticed before the engines start",
        "run_everything",
        "port = stack.enter_context(reserved_port(var)) watch = _prepare(var, stack=stack)",
        "watch = _prepare(var, stack=stack)\nport = stack.enter_context(reserved_port(var))",
        test="test_a_port_that_is_taken_ends_the_start_before_anything_runs",
    ),
    mutation(
        "two checkouts that start at once get a port each",
        "reserved_port",
        'holder.bind(("127.0.0.1", port))',
        "",
        test="test_two_checkouts_that_start_at_once_get_a_port_each",
    ),
    mutation(
        "beat alone is beat",
        "act",
        'if command != "beat":',
        'if command != "worker":',
        test="test_a_target_runs_the_programs_that_it_is_named_after_and_no_others[celery-beat]",
        hangs=True,
    ),
    mutation(
        "make celery-beat starts beat",
        "/Makefile",
        "tformance.local --end-with-parent beat",
        "tformance.local --end-with-parent worker",
        test="test_a_target_runs_the_programs_that_it_is_named_after_and_no_others[celery-beat]",
        hangs=True,
    ),
)
