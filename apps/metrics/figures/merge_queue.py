"""The figure of GitHub's merge queue."""

from apps.metrics.completeness.streams import PULL_REQUESTS
from apps.metrics.figures import populations
from apps.metrics.figures.figure import BY_AUTHOR, NO_VALUE, Figure, Measure

DEFINED = (
    Figure(
        key="time_in_queue",
        title="Time in the merge queue",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time spent in the merge queue of GitHub up to the merge, for pull requests merged in the period.",
        rules=(
            BY_AUTHOR,
            "Every stay in the queue counts, also one that ended without a merge; the time between stays does not.",
            "Pull requests merged without the queue, or not known to have entered it, are left out, not counted as 0.",
            "It is a part of the merge stage if the approval came before the queue.",
            NO_VALUE,
        ),
        population=populations.in_queue,
        streams=(PULL_REQUESTS,),
    ),
)
