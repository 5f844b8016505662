"""What removes the safeties of `make run` and of the engines that it starts."""

from tests.mutations.edits import mutation

WATCH = "tests/runtime/test_engine_watch.py"
BEAT = (
    "tests/runtime/test_targets.py::test_a_target_runs_the_programs_that_it_is_named_after_and_no_others[celery-beat]"
)

IN_RUNNING_LOCALLY = (
    mutation(
        "an engine that died is started again",
        "tformance/embedded/engine_watch.py",
        "if state.due_at is None and not state.engine.is_alive():",
        "if state.due_at is None and state.failures:",
        test=f"{WATCH}::test_an_engine_that_was_killed_runs_again_at_its_address_and_both_are_said[Redis]",
        waits_for_ever=True,
    ),
    mutation(
        "an engine that cannot start is given up with an error",
        "tformance/embedded/engine_watch.py",
        "if state.failures > MOST_FAILURES:",
        "if state.failures > MOST_FAILURES * 1000:",
        test=f"{WATCH}::test_an_engine_that_cannot_start_is_tried_with_pauses_and_given_up_with_an_error",
        waits_for_ever=True,
    ),
    mutation(
        "an engine that is started again keeps its port",
        "tformance/embedded/engines.py",
        "replace(engine, may_move=False)",
        "replace(engine, may_move=True)",
        test=f"{WATCH}::test_an_engine_that_cannot_start_is_tried_with_pauses_and_given_up_with_an_error",
        waits_for_ever=True,
    ),
    mutation(
        "as root the engines run as a user of their own",
        "tformance/embedded/home.py",
        "uid=self.uid or choose_number(taken=taken)",
        "uid=65534",
        test="tests/runtime/test_engines.py"
        "::test_as_root_they_run_as_a_user_of_their_own_whose_data_only_they_can_read",
    ),
    mutation(
        "a port that is taken is noticed before the engines start",
        "tformance/processes/run.py",
        "            port = stack.enter_context(reserved_port(var))\n            watch = _prepare(var, stack=stack)\n",
        "            watch = _prepare(var, stack=stack)\n            port = stack.enter_context(reserved_port(var))\n",
        test="tests/runtime/test_processes.py::test_a_port_that_is_taken_ends_the_start_before_anything_runs",
    ),
    mutation(
        "two checkouts that start at once get a port each",
        "tformance/processes/address.py",
        '        holder.bind(("127.0.0.1", port))\n',
        "",
        test="tests/runtime/test_processes.py::test_two_checkouts_that_start_at_once_get_a_port_each",
    ),
    mutation(
        "beat alone is beat",
        "tformance/processes/__main__.py",
        "chosen = (programs.beat_of(var),)",
        "chosen = programs.workers()",
        test=BEAT,
        waits_for_ever=True,
    ),
    mutation(
        "make celery-beat starts beat",
        "Makefile",
        "tformance.processes --end-with-parent beat",
        "tformance.processes --end-with-parent worker",
        test=BEAT,
        waits_for_ever=True,
    ),
)
