"""What fixture A must come to, however its facts arrive: one repository, the week of Monday 2026-03-02, UTC.

ana is in Alpha until 03-04 12:00 and then in Beta, ben and talbot are in Alpha, cy in Beta; ben is in Platform too.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from apps.metrics.figures import Window

HOUR = 3600.0
WEEK = Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone="UTC")
WHILE_THREE_WAS_CLOSED = datetime(2026, 3, 4, 23, tzinfo=UTC)


def hours(n: int, **values: float) -> dict[str, Any]:
    return {"n": n, **{name: pytest.approx(value * HOUR, abs=1) for name, value in values.items()}}


def share(numerator: int, denominator: int) -> dict[str, Any]:
    value = pytest.approx(numerator / denominator)
    return {"value": value, "numerator": numerator, "denominator": denominator}


HUMANS: Mapping[str, Mapping[str, Any]] = {
    "commits": {"value": 5},
    "prs_opened": {"value": 5, "remarks": {"opened_as_draft": 1}},
    "prs_merged": {"value": 5},
    "closed_unmerged": {"value": 0},
    "cycle_time": hours(5, value=7.0, median=7.0, mean=11.05, p75=20.0, p90=23.6),
    "time_to_first_review": hours(4, value=2.5, median=2.5, mean=7.541667, p75=8.5, p90=18.4),
    "time_to_first_response": hours(4, value=2.5, median=2.5, mean=7.541667, p75=8.5, p90=18.4),
    "review_turnaround": {"value": None, "n": 0},
    "reviews": {"value": 5},
    "deployments": {"value": 4},
    "deployment_frequency": {**share(4, 7), "remarks": {"deployment_days": 3}},
    "lead_time": hours(5, value=27.0, mean=33.6067, p75=32.5, p90=75.4),
    "coding_time": hours(5, median=1.0),
    "pickup_time": hours(5, median=2.0),
    "review_time": hours(5, median=0.0, mean=3.4),
    "merge_time": hours(5, median=1.0),
    "time_in_queue": {"value": None, "n": 0},
    "deploy_time": hours(5, median=1.0),
    "change_failure_rate": share(1, 4),
    "failed_deployment_recovery_time": hours(1, value=2.0),
    "deployment_rework_rate": share(1, 4),
    "failed_deployments": {"value": 1},
    "incidents": {"value": None, "reason": "no_source"},
    "incident_recovery_time": {"value": None, "reason": "no_source"},
    "review_coverage": share(4, 5),
    "agent_authored": share(0, 5),
    "ai_assisted": share(1, 5),
    "ai_reviewed": share(1, 5),
    "revert_rate": share(1, 5),
    "reverted_rate": share(1, 5),
    "hotfix_rate": share(0, 5),
    "time_in_draft": hours(5, median=0.0, mean=0.8, p75=0.0, p90=2.4),
    "wip": {"value": 0},
    "age": {"value": None, "n": 0},
    "throughput": {"value": 5, "numerator": 5, "denominator": 7},
    "flow_ratio": share(5, 5),
    "review_rounds": {"n": 5, "value": 0, "mean": pytest.approx(0.2), "p90": pytest.approx(0.6)},
    "review_load": {"value": pytest.approx(5 / 3), "numerator": 5, "denominator": 3},
    "deployment_days_per_week": {"value": 3, "n": 4, "numerator": 3, "denominator": 1},
}
WITH_BOTS: Mapping[str, Mapping[str, Any]] = {
    "commits": {"value": 6},
    "prs_opened": {"value": 6},
    "prs_merged": {"value": 6},
    "cycle_time": hours(6, median=4.5, mean=9.375),
    "time_to_first_review": hours(4, median=2.5),
    "reviews": {"value": 7},
    "review_coverage": share(4, 6),
    "agent_authored": share(0, 6),
    "ai_assisted": share(1, 6),
    "deployments": {"value": 4},
    "lead_time": hours(6, value=29.75),
}
BOTS_ONLY: Mapping[str, Mapping[str, Any]] = {
    "commits": {"value": 1},
    "prs_merged": {"value": 1},
    "cycle_time": hours(1, median=1.0, mean=1.0, p75=1.0, p90=1.0),
    "time_to_first_review": {"value": None, "n": 0},
    "reviews": {"value": 2},
}
MERGED_BY_TEAM = {"alpha": {1, 2, 5, 6}, "beta": {3}, "platform": {2, 6}}

FIRST_COMMITS = {
    1: datetime(2026, 3, 2, 9, tzinfo=UTC),
    2: datetime(2026, 3, 3, 8, tzinfo=UTC),
    3: datetime(2026, 3, 4, 8, 30, tzinfo=UTC),
    4: datetime(2026, 3, 4, 0, 58, tzinfo=UTC),
    5: datetime(2026, 3, 1, 9, tzinfo=UTC),
    6: datetime(2026, 3, 5, 18, 28, tzinfo=UTC),
}
ROUNDS = {1: 1, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0}
FLAGS = {"is_force_pushed": {5}, "is_reopened": {3}, "is_bot_author": {4}, "is_opened_as_draft": {1}}

# What a naive system shows; no figure of ours may come to it. Hours for durations.
WRONG_VALUES: Mapping[str, tuple[tuple[str, float], ...]] = {
    "prs_opened": (("value", 6),),
    "prs_merged": (("value", 6), ("value", 4)),
    "closed_unmerged": (("value", 1),),
    "cycle_time": (
        ("mean", 11.85 * HOUR),  # from opened to merged
        ("median", 5 * HOUR),  # without the closed gap of 3
        ("median", 8 * HOUR),
        ("median", 4.5 * HOUR),  # with the bot's
        ("p90", 26 * HOUR),  # nearest rank
    ),
    "time_to_first_review": (
        ("mean", 6.033333 * HOUR),  # none taken as 0
        ("median", 2 * HOUR),
        ("median", 0.5 * HOUR),  # the author's own
        ("n", 5),
        ("n", 6),
    ),
    "deployments": (("value", 5), ("value", 6), ("value", 7), ("value", 3)),
    "deployment_frequency": (("value", 0), ("value", 4 / 5), ("value", 3 / 7), ("value", 5 / 7), ("value", 6 / 7)),
    "lead_time": (
        ("median", 29.75 * HOUR),  # with the bot's
        ("p90", 104 * HOUR),  # nearest rank
        ("n", 6),
    ),
    "change_failure_rate": (("value", 0.5),),  # incidents, or the nearest deployment
    "failed_deployment_recovery_time": (
        ("value", 2.5 * HOUR),  # to the end of the incident
        ("value", 2.75 * HOUR),  # from merge to merge
        ("value", 1.5 * HOUR),
    ),
    "reviews": (("value", 6), ("value", 8)),
    "ai_assisted": (("value", 0.0), ("value", 1 / 6)),
    "ai_reviewed": (("value", 0.0), ("value", 1 / 6), ("value", 2 / 5)),
    "review_coverage": (("value", 1.0), ("value", 3 / 5)),
}
