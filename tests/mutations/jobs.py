"""Safeties of durable work."""

from tests.mutations.mutation import Mutation, mutation

MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "a job that a worker holds is claimed by no other",
        "jobs: _IS_DUE",
        "OR (j.state = 'running' AND j.lease_until < statement_timestamp())",
        "OR j.state = 'running'",
        test="test_a_job_that_a_worker_holds_is_left_to_it",
    ),
    mutation(
        "a worker that lost its claim changes nothing",
        "JobQuerySet.held",
        "return self.filter(state=Job.State.RUNNING, claim_number=claim_number)",
        "return self.filter(state=Job.State.RUNNING)",
        test="test_a_worker_that_lost_its_claim_changes_nothing",
    ),
    mutation(
        "a job whose worker died is taken over",
        "jobs: _IS_DUE",
        "OR (j.state = 'running' AND j.lease_until < statement_timestamp())",
        "",
        test="test_a_job_whose_lease_ran_out_is_taken_over_and_that_is_a_failure",
    ),
    mutation(
        "a redelivered message takes over the job that its task held",
        "claim_next",
        "if own is not None:",
        "if False:",
        test="test_only_its_own_message_redelivered_takes_a_job_over_before_the_lease_runs_out",
    ),
    mutation(
        "no job is claimed before its time",
        "jobs: _IS_DUE",
        "(j.state = 'waiting' AND j.not_before <= statement_timestamp())",
        "(j.state = 'waiting')",
        test="test_a_job_is_not_claimed_before_its_time",
    ),
    mutation(
        "of an installation only so many jobs of a kind are at work",
        "jobs: _NEXT",
        "LIMIT greatest(0, known.places - work.taken)",
        "LIMIT greatest(0, 50 * known.places - work.taken)",
        test="test_two_of_each_installation_are_claimed_those_first_that_waited_longest",
    ),
    mutation(
        "the job that GitHub's rate limit names next is due at once",
        "jobs: wake_next_waiter",
        "waiting.update(not_before=Now())",
        "waiting.count()",
        test="test_the_job_that_the_rate_limit_names_next_is_due_at_once",
    ),
    mutation(
        "two claims at once give no place away twice",
        "claim_next",
        'cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])',
        'cursor.execute("SELECT %s", [_ONE_AT_A_TIME])',
        test="test_a_place_that_is_being_taken_is_not_free_for_an_older_job",
    ),
    mutation(
        "a job that a person pauses is taken from its worker",
        "JobQuerySet.pause",
        "update(state=Job.State.PAUSED, **_TAKEN_AWAY)",
        "update(reason='paused')",
        test="test_a_person_who_pauses_or_cancels_a_job_takes_it_from_its_worker",
    ),
    mutation(
        "a database that goes away leaves the job due in a moment",
        "jobs: attempt",
        'job.claim.put_off(after=DATABASE_AWAY, reason="database")',
        "pass",
        test="test_a_database_that_goes_away_leaves_the_job_due_in_a_moment",
    ),
)
