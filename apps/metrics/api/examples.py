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
    "is_suppressed": False,
    "quantiles": {"0.25": 2.0 * HOUR},
    "series": [
        {
            "start": "2026-03-02",
            "end": "2026-03-09",
            "n": 5,
            "value": 7.0 * HOUR,
            "partial": False,
            "complete": True,
            "is_suppressed": False,
        }
    ],
    "groups": [
        {
            "key": "101",
            "name": "acme/api",
            "n": 5,
            "value": 7.0 * HOUR,
            "quantiles": {"0.25": 2.0 * HOUR},
            "is_suppressed": False,
        },
    ],
    "histogram": [
        {"start": 4.0 * HOUR, "end": 8.0 * HOUR, "n": 1, "is_suppressed": False},
        {"start": 8.0 * HOUR, "end": None, "n": 4, "is_suppressed": False},
    ],
    "excluded": [{"reason": "bot", "n": 1, "url": f"{ENTITIES}&excluded=bot"}],
    "previous": {
        "value": 9.5 * HOUR,
        "n": 4,
        "start_at": "2026-02-23T00:00:00Z",
        "end_at": "2026-03-02T00:00:00Z",
        "complete": True,
        "is_suppressed": False,
    },
    "complete_until": "2026-03-10T07:00:00Z",
    "gaps": [],
    "entities_url": ENTITIES,
}
QUESTION = "granularity=week&group_by=repository&quantiles=0.25&compare=previous"
ONE_FIGURE = OpenApiExample(
    f"from=2026-03-02&to=2026-03-09&{QUESTION}", value={**ASKED, "figure": CYCLE_TIME}, response_only=True
)
GROUPS = [
    {"key": "501", "name": "ana", "n": 12, "value": 6.0 * HOUR, "quantiles": {}, "is_suppressed": False},
    {"key": "502", "name": "ben", "n": None, "value": None, "quantiles": {}, "is_suppressed": True},
    {"key": "503", "name": "cy", "n": None, "value": None, "quantiles": {}, "is_suppressed": True},
]
SUPPRESSED_GROUPS = OpenApiExample(
    "group_by=author in the team of an account with other teams, where two people have fewer than 5",
    value={**ASKED, "figure": {**CYCLE_TIME, "groups": GROUPS}},
    response_only=True,
)
SEVERAL_FIGURES = OpenApiExample(
    f"figure=cycle_time&detail=true&from=2026-03-02&to=2026-03-09&{QUESTION}",
    value={**ASKED, "figures": [CYCLE_TIME]},
    response_only=True,
)
EXPLANATION = OpenApiExample(
    "teams/acme/pull-requests/101/1/explain/",
    value={
        "team": "acme",
        "repository": "acme/api",
        "repository_id": 101,
        "number": 1,
        "title": "Retry what timed out",
        "account": "ana",
        "account_class": "human",
        "flags": ["opened_as_draft"],
        "evidence": [],
        "is_recalculating": False,
        "boundaries": [
            {
                "boundary": "first_review",
                "at": "2026-03-02T16:00:00Z",
                "rule": "The first review by a human other than the author, up to the merge or close.",
                "sources": [
                    {
                        "entity": "review",
                        "source": "delivery",
                        "source_key": "1042",
                        "guid": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
                        "event": "pull_request_review",
                        "received_at": "2026-03-02T16:00:01Z",
                        "url": "/api/v1/deliveries/1042/",
                    }
                ],
                "candidates": [
                    {
                        "kind": "review",
                        "name": "5001",
                        "at": "2026-03-02T10:02:00Z",
                        "account": "coderabbitai[bot]",
                        "verdict": "commented",
                        "is_chosen": False,
                        "reason": "by_bot",
                        "explanation": "It is by a bot.",
                    },
                    {
                        "kind": "review",
                        "name": "5003",
                        "at": "2026-03-02T16:00:00Z",
                        "account": "ben",
                        "verdict": "changes_requested",
                        "is_chosen": True,
                        "reason": "",
                        "explanation": "",
                    },
                ],
                "rejected": {"by_bot": 1},
            }
        ],
        "stages": {"coding": 5 * HOUR, "pickup": 2 * HOUR, "review": 17 * HOUR, "merge": HOUR},
        "deployments": [
            {
                "boundary": "deployed",
                "at": "2026-03-03T12:00:00Z",
                "rule": "The first successful deployment whose commit is the merge on the default branch, "
                "or comes after it.",
                "sources": [],
                "candidates": [],
                "rejected": {"baseline": 1, "later": 3},
                "service": "",
                "environment": "production",
                "is_production": True,
                "is_order_unknown": False,
                "stages": {
                    "coding": 5 * HOUR,
                    "pickup": 2 * HOUR,
                    "review": 17 * HOUR,
                    "merge": HOUR,
                    "deploy": 2 * HOUR,
                },
                "lead_seconds": 27 * HOUR,
            }
        ],
        "history": [
            {"kind": "opened_as_draft", "at": "2026-03-02T10:00:00Z", "account": "ana", "detail": ""},
            {"kind": "changes_requested", "at": "2026-03-02T16:00:00Z", "account": "ben", "detail": ""},
        ],
        "review_requests": [
            {
                "reviewer": "ben",
                "is_team": False,
                "requested_at": "2026-03-02T14:00:00Z",
                "answered_at": "2026-03-02T16:00:00Z",
                "withdrawn_at": None,
                "answer_seconds": 2 * HOUR,
            }
        ],
        "runs": [
            {
                "run_id": 7001,
                "attempt": 1,
                "workflow": "Tests",
                "sha": "a1f3c9",
                "conclusion": "success",
                "started_at": "2026-03-02T10:01:00Z",
                "concluded_at": "2026-03-02T10:09:00Z",
            }
        ],
        "figures": [
            {
                "figure": "cycle_time",
                "title": "Cycle time",
                "unit": "seconds",
                "counts": True,
                "at": "2026-03-03T10:00:00Z",
                "value": 20.0 * HOUR,
                "reason": "",
                "explanation": "",
            },
            {
                "figure": "closed_unmerged",
                "title": "Pull requests closed unmerged",
                "unit": "pull requests",
                "counts": False,
                "at": None,
                "value": None,
                "reason": "not_applicable",
                "explanation": "Nothing has happened to it that the figure counts.",
            },
        ],
    },
    response_only=True,
)
RESTATEMENTS = OpenApiExample(
    "since=2026-03-01",
    value=[
        {
            "hour": "2026-03-07T12:00:00Z",
            "computed_at": "2026-03-07T12:00:04Z",
            "complete_until": "2026-03-07T11:00:00Z",
            "window": {"start": "2026-02-06", "end": "2026-03-08", "time_zone": "UTC", "days": 30},
            "is_window_stored": True,
            "are_rules_changed": False,
            "settings_changed_at": None,
            "restated": [
                {
                    "figure": "deployments",
                    "title": "Deployments",
                    "unit": "deployments",
                    "value_then": 5.0,
                    "n_then": 5,
                    "value": 6.0,
                    "n": 6,
                    "difference": 1.0,
                    "value_as_of": 6.0,
                    "n_as_of": 6,
                    "cause": "late_data",
                    "version_then": 1,
                    "version": 1,
                    "sources": [
                        {
                            "entity": "deployment_status",
                            "source": "delivery",
                            "source_key": "1077",
                            "guid": "5d1b7a80-1790-11f1-8f0a-6f1c9b2d4e11",
                            "event": "deployment_status",
                            "received_at": "2026-03-08T07:30:00Z",
                            "url": "/api/v1/deliveries/1077/",
                        }
                    ],
                    "has_more_sources": False,
                }
            ],
        }
    ],
    response_only=True,
)
