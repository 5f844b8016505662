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
            "Every stay counts, also one that ended with the removal from the queue; the time between two does not.",
            "What was merged without the queue is left out, not counted as 0; so is what is not known to have entered.",
            "It is a part of the merge stage, where the approval came before the queue.",
            NO_VALUE,
        ),
        population=populations.in_queue,
        streams=(PULL_REQUESTS,),
    ),
)
