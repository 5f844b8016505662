"""The figures of agents and of evidence of AI tools."""

from apps.metrics.completeness.streams import COMMITS, PULL_REQUESTS
from apps.metrics.figures import populations
from apps.metrics.figures.figure import BY_AUTHOR, NO_VALUE, Figure, Measure

EVIDENCE = "No evidence means that none was found, not that no tool was used."

DEFINED = (
    Figure(
        key="agent_authored",
        title="Opened by agents",
        unit="share",
        measure=Measure.RATIO,
        definition="Share of the pull requests merged in the period that an agent opened.",
        rules=(
            "An agent is an account that writes pull requests for somebody, by a list of logins and the account rules.",
            "Its pull request is attributed to the first person assigned to it, else to the one who first requested a "
            "review, and to that person's team. Without any it counts for every team that tracks the repository.",
            "Agents count here whether or not they count in other figures.",
            NO_VALUE,
        ),
        population=populations.merged_by_agents,
        over=(populations.merged_by_agents, populations.merged_by_others),
        streams=(PULL_REQUESTS,),
    ),
    Figure(
        key="ai_assisted",
        title="Assisted by AI",
        unit="share",
        measure=Measure.SHARE,
        definition="Share of the pull requests merged in the period with evidence that an AI tool took part in them.",
        rules=(
            BY_AUTHOR,
            EVIDENCE,
            "Evidence is a trailer of one of its commits or of its merge, a line of its description, a label, or the "
            "name of its branch, as they are now. What an agent opened is not also assisted.",
            NO_VALUE,
        ),
        population=populations.ai_assisted,
        streams=(PULL_REQUESTS, COMMITS),
    ),
    Figure(
        key="ai_reviewed",
        title="Reviewed by AI",
        unit="share",
        measure=Measure.SHARE,
        definition="Share of the pull requests merged in the period that an AI tool reviewed before the merge.",
        rules=(
            BY_AUTHOR,
            EVIDENCE,
            "Reviews of agents count, and those of bots on the list of tools that review.",
            NO_VALUE,
        ),
        population=populations.ai_reviewed,
        streams=(PULL_REQUESTS,),
    ),
)
