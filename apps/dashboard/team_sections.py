"""The sections of a team's page: which figures stand in which, and what else each shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from apps.metrics.figures import FIGURES

DORA = (
    *("deployment_frequency", "lead_time", "change_failure_rate", "failed_deployment_recovery_time"),
    "deployment_rework_rate",
)
STAGES: Mapping[str, str] = {
    f"{name}_time": name.capitalize() for name in ("coding", "pickup", "review", "merge", "deploy")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Figures under one title."""

    title: str
    keys: tuple[str, ...]
    is_large: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """A table of figures by the groups of a dimension; `filters` says whether the page can be filtered by one."""

    title: str
    dimension: str
    heading: str
    keys: tuple[str, ...]
    note: str = ""
    filter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a team's page with a URL of its own."""

    key: str
    title: str
    groups: tuple[Group, ...]
    has_stages: bool = False
    has_reviewers: bool = False
    histograms: tuple[str, ...] = ()
    breakdown: Breakdown | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the figures that it reads, each once."""
        shown = [key for group in self.groups for key in group.keys]
        return tuple(dict.fromkeys([*shown, *(STAGES if self.has_stages else ()), *self.histograms]))


SECTIONS: Mapping[str, Section] = {
    one.key: one
    for one in (
        Section(
            key="overview",
            title="Overview",
            groups=(
                Group(title="Software delivery (DORA)", keys=DORA, is_large=True),
                Group(
                    title="At a glance",
                    keys=(
                        *("prs_merged", "cycle_time", "time_to_first_review", "review_coverage"),
                        *("wip", "ci_success_rate", "ai_assisted", "reverted_rate"),
                    ),
                ),
            ),
            has_stages=True,
        ),
        Section(
            key="flow",
            title="Flow",
            groups=(
                Group(
                    title="Throughput", keys=("prs_merged", "throughput", "prs_opened", "closed_unmerged", "flow_ratio")
                ),
                Group(title="Speed and size", keys=("cycle_time", "pr_size", "time_in_draft", "time_in_queue")),
                Group(title="Stages", keys=tuple(STAGES)),
                Group(title="Now", keys=("wip", "age")),
            ),
            has_stages=True,
            histograms=("cycle_time", "pr_size"),
        ),
        Section(
            key="review",
            title="Review",
            groups=(
                Group(title="Waiting", keys=("time_to_first_review", "time_to_first_response", "review_turnaround")),
                Group(title="Reviewing", keys=("review_coverage", "review_rounds", "reviews", "review_load")),
            ),
            has_reviewers=True,
            histograms=("time_to_first_review", "review_rounds"),
        ),
        Section(
            key="delivery",
            title="Delivery",
            groups=(
                Group(
                    title="Deployments",
                    keys=("deployments", "deployment_days_per_week", "failed_deployments", "commits"),
                ),
                Group(title="Software delivery (DORA)", keys=DORA),
                Group(title="Incidents", keys=("incidents", "incident_recovery_time")),
            ),
            breakdown=Breakdown(
                title="By service",
                dimension="service",
                heading="Service",
                keys=DORA,
                note="The figures above are of all services together; DORA's are meant for one service at a time.",
                filter="service",
            ),
        ),
        Section(
            key="ci",
            title="CI",
            groups=(
                Group(
                    title="Workflow runs",
                    keys=("ci_success_rate", "ci_duration", "ci_queue_time", "ci_attempts", "ci_flaky_share"),
                ),
            ),
            histograms=("ci_duration",),
            breakdown=Breakdown(
                title="By workflow",
                dimension="workflow",
                heading="Workflow",
                keys=("ci_success_rate", "ci_duration", "ci_flaky_share"),
            ),
        ),
        Section(
            key="ai",
            title="AI and rework",
            groups=(
                Group(title="AI", keys=("ai_assisted", "agent_authored", "ai_reviewed")),
                Group(title="Rework", keys=("revert_rate", "reverted_rate", "hotfix_rate")),
            ),
            breakdown=Breakdown(
                title="With and without evidence of AI",
                dimension="ai",
                heading="Evidence",
                keys=("cycle_time", "time_to_first_review", "reverted_rate", "hotfix_rate", "pr_size"),
                note="A pull request may have several kinds of evidence. No evidence means that none was found, not "
                "that no tool was used. Differences have other causes too: who uses a tool, and for what.",
            ),
        ),
    )
}
NAMES_OF_GROUPS: Mapping[str, Mapping[str, str]] = {
    "ai": {
        "authored": "Opened by an agent",
        "assisted": "Assisted by AI",
        "reviewed": "Reviewed by AI",
        "": "No evidence",
    }
}


def unplaced() -> Iterator[str]:
    """Yield the figures that no section has; they are shown with the flow."""
    placed = {key for section in SECTIONS.values() for key in section.keys}
    yield from (key for key in FIGURES if key not in placed)


def groups_of(section: Section) -> Sequence[Group]:
    """Return the groups of a section, and in the flow those that nobody placed."""
    rest = tuple(unplaced()) if section.key == "flow" else ()
    return (*section.groups, Group(title="More", keys=rest)) if rest else section.groups
