"""Examples in the description of the API: the worked example's week, with a series and groups."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

HOUR = 3600
ASKED: dict[str, Any] = {
    "team": "acme",
    "window": {"start": "2026-03-02", "end": "2026-03-09", "time_zone": "UTC", "days": 7},
    "bots": "exclude",
    "agents": "exclude",
    "repositories": None,
    "author": None,
    "labels": [],
    "ai": None,
    "variant": None,
    "services": [],
    "hours": "wall",
    "attribution": "at_event",
    "as_of": "2026-03-10T08:00:00Z",
    "is_recalculating": False,
    "completeness": "Complete until 10 Mar 2026, 07:00 UTC.",
    "complete_until": "2026-03-10T07:00:00Z",
    "gaps": [],
}
ENTITIES = "/api/v1/teams/acme/figures/cycle_time/entities/?from=2026-03-02&to=2026-03-09"
CYCLE_TIME: dict[str, Any] = {
    "figure": "cycle_time",
    "title": "Cycle time",
    "version": 1,
    "measure": "distribution",
    "definition": "Time from ready for review to merged, for pull requests merged in the period.",
    "rules": ["Starts when the pull request is opened, or first marked ready if it was a draft."],
    "streams": ["pull_requests"],
    "dimensions": ["repository", "author", "class", "label", "ai"],
    "variants": ["gh_compatible"],
    "unit": "seconds",
    "value": 7.0 * HOUR,
    "n": 5,
    "mean": 11.05 * HOUR,
    "median": 7.0 * HOUR,
    "p75": 20.0 * HOUR,
    "p90": 23.6 * HOUR,
    "numerator": None,
    "denominator": None,
    "remarks": {},
    "reason": "",
    "quantiles": {"0.25": 2.0 * HOUR},
    "series": [
        {
            "start": "2026-03-02",
            "end": "2026-03-09",
            "n": 5,
            "value": 7.0 * HOUR,
            "partial": False,
            "complete": True,
        }
    ],
    "groups": [
        {"key": "101", "name": "acme/api", "n": 5, "value": 7.0 * HOUR, "quantiles": {"0.25": 2.0 * HOUR}},
    ],
    "histogram": [{"start": 4.0 * HOUR, "end": 8.0 * HOUR, "n": 1}, {"start": 8.0 * HOUR, "end": None, "n": 4}],
    "excluded": [{"reason": "bot", "n": 1, "url": f"{ENTITIES}&excluded=bot"}],
    "previous": {
        "value": 9.5 * HOUR,
        "n": 4,
        "start_at": "2026-02-23T00:00:00Z",
        "end_at": "2026-03-02T00:00:00Z",
        "complete": True,
    },
    "complete_until": "2026-03-10T07:00:00Z",
    "gaps": [],
    "entities_url": ENTITIES,
}
QUESTION = "granularity=week&group_by=repository&quantiles=0.25&compare=previous"
ONE_FIGURE = OpenApiExample(
    f"from=2026-03-02&to=2026-03-09&{QUESTION}", value={**ASKED, "figure": CYCLE_TIME}, response_only=True
)
SEVERAL_FIGURES = OpenApiExample(
    f"figure=cycle_time&detail=true&from=2026-03-02&to=2026-03-09&{QUESTION}",
    value={**ASKED, "figures": [CYCLE_TIME]},
    response_only=True,
)
