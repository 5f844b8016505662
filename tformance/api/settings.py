"""Settings of the API: authentication, formats, rate limits and description."""

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    # The token comes first: its challenge makes the answer to a stranger 401. A session would make it 403.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.users.access.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["tformance.api.parsers.BodyParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "apps.common.api.Pages",
    "PAGE_SIZE": 50,
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "tformance.api.errors.DescribedSchema",
    "EXCEPTION_HANDLER": "tformance.api.errors.answer_error",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.UserRateThrottle",
        "rest_framework.throttling.ScopedRateThrottle",
    ],
    # Counted per process, so the limit of a machine is this times its web processes.
    "DEFAULT_THROTTLE_RATES": {
        "user": "600/min",
        "replay": "30/min",
        "body": "60/min",
        "backfill": "30/min",
        "report": "120/min",
        "preview": "30/min",
    },
    "NUM_PROXIES": 0,  # tformance.middleware determines the client
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "tformance",
    "DESCRIPTION": (
        "Team figures from the webhooks of a GitHub App, the data they are computed from, and the deliveries.\n\n"
        "You see the teams you have access to and what belongs to them; everything else is 404. Times are ISO 8601 in "
        "UTC, days are days of the team's time zone, durations have their unit in their name.\n\n"
        "Errors are JSON: `detail` says what is wrong and what to do, `code` is stable, `fields` has errors by field."
    ),
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SCHEMA_PATH_PREFIX": r"/api/v\d+",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "AccountClass": "apps.teams.models.AccountRule.AccountClass",
        "Inclusion": ["exclude", "include", "only"],
        "DeliveryState": "apps.webhooks.models.Delivery.State",
        "PullRequestState": "apps.activity.models.PullRequest.State",
        "ReportedState": "apps.activity.models.ReportedDeployment.State",
        "JobState": "apps.jobs.models.Job.State",
        "BackfillStream": "apps.integrations.streams.STREAM_CHOICES",
        "SyncStatus": "apps.integrations.models.SyncLog.Status",
        "SyncCause": "apps.integrations.models.SyncLog.Cause",
        "TeamSyncStatus": "apps.teams.models.Team.SyncStatus",
    },
    "TAGS": [
        {"name": "figures", "description": "Figures per team and period, and the entities that they count."},
        {"name": "teams", "description": "Teams, their members and repositories."},
        {"name": "people", "description": "Who has access to a team, invitations to it, and for operators the users."},
        {"name": "activity", "description": "Repositories and pull requests."},
        {"name": "reports", "description": "What GitHub does not know: deployments made elsewhere, incidents."},
        {"name": "deliveries", "description": "The inbox: deliveries of GitHub and their state."},
        {"name": "jobs", "description": "Durable work: what runs, what waits for what, and what failed."},
        {
            "name": "backfills",
            "description": "Loading history from GitHub: progress, waits and failures.",
        },
        {
            "name": "reconciliation",
            "description": "Comparing with GitHub: the runs, and what differed in each repository.",
        },
    ],
}
