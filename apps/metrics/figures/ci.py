"""The figures of workflow runs."""

from apps.metrics.completeness.streams import WORKFLOW_RUNS
from apps.metrics.figures import populations
from apps.metrics.figures.figure import NO_VALUE, Figure, Measure

BY_ACTOR = (
    "Attributed to the team that the account which started the run belonged to at the time. Teams with no members "
    "listed include everyone."
)
LAST_ATTEMPT = (
    "The last attempt that concluded decides, on the day it concluded: one that was run again is listed as `run_again`."
)
SUCCEEDED_OR_FAILED = (
    "Failed are `failure`, `timed_out` and `startup_failure`. Runs that were cancelled or skipped, or neither failed "
    "nor succeeded (`neutral`, `action_required`, `stale`), are left out."
)


DEFINED = (
    Figure(
        key="ci_success_rate",
        title="CI success rate",
        unit="share",
        measure=Measure.SHARE,
        definition="Share of the workflow runs concluded in the period that succeeded.",
        rules=(BY_ACTOR, LAST_ATTEMPT, SUCCEEDED_OR_FAILED, NO_VALUE),
        population=populations.ci_successes,
        streams=(WORKFLOW_RUNS,),
    ),
    Figure(
        key="ci_duration",
        title="CI duration",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from the start of a workflow run to its conclusion, for runs concluded in the period.",
        rules=(
            BY_ACTOR,
            LAST_ATTEMPT,
            SUCCEEDED_OR_FAILED,
            "Starts when the attempt was requested: the time in the queue is included, earlier attempts are not.",
            NO_VALUE,
        ),
        population=populations.ci_durations,
        streams=(WORKFLOW_RUNS,),
    ),
    Figure(
        key="ci_queue_time",
        title="CI queue time",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from the start of a workflow run until its first job ran, for runs concluded in the period.",
        rules=(
            BY_ACTOR,
            LAST_ATTEMPT,
            SUCCEEDED_OR_FAILED,
            "Only the `in_progress` webhook says when the first job ran: runs from loaded history are left out as "
            "`queued_time_unknown`.",
            NO_VALUE,
        ),
        population=populations.ci_queue_times,
        streams=(WORKFLOW_RUNS,),
    ),
    Figure(
        key="ci_attempts",
        title="CI attempts",
        unit="attempts",
        measure=Measure.DISTRIBUTION,
        definition="Attempts of each workflow run concluded in the period.",
        rules=(BY_ACTOR, LAST_ATTEMPT, SUCCEEDED_OR_FAILED, "A run that was not run again has 1.", NO_VALUE),
        population=populations.ci_attempts,
        streams=(WORKFLOW_RUNS,),
    ),
    Figure(
        key="ci_flaky_share",
        title="Flaky CI runs",
        unit="share",
        measure=Measure.SHARE,
        definition="Share of the workflow runs concluded in the period that failed and succeeded when they were run "
        "again on the same commit.",
        rules=(
            BY_ACTOR,
            LAST_ATTEMPT,
            SUCCEEDED_OR_FAILED,
            "A success after earlier attempts that are not stored is left out as `attempts_unknown`: of loaded "
            "history, only the last six attempts of a run are read.",
            NO_VALUE,
        ),
        population=populations.ci_flaky,
        streams=(WORKFLOW_RUNS,),
    ),
)
