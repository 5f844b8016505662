"""How the API answers: who may ask, in which shape, how often."""

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    # The token comes first: its challenge makes the answer to a stranger 401. A session would make it 403.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.users.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["tformance.api.parsers.BodyParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "apps.common.api.Pages",
    "PAGE_SIZE": 50,
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "tformance.api.openapi.DescribedSchema",
    "EXCEPTION_HANDLER": "tformance.api.errors.answer_error",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.UserRateThrottle",
        "rest_framework.throttling.ScopedRateThrottle",
    ],
    # Counted in each process by itself: so many times that as there are web processes.
    "DEFAULT_THROTTLE_RATES": {"user": "600/min", "replay": "30/min", "body": "60/min", "backfill": "30/min"},
    "NUM_PROXIES": 0,  # tformance.middleware has settled who the client is
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "tformance",
    "DESCRIPTION": (
        "Team figures from the webhooks of a GitHub App, what they were made from, and the deliveries behind them.\n\n"
        "You see the teams you were given access to and what belongs to them; everything else is 404. Instants are "
        "ISO 8601 in UTC, days are days of the team's time zone, durations carry their unit in their name.\n\n"
        "Errors are JSON: `detail` says what to do, `code` is stable, `fields` says what is wrong with which field."
    ),
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SCHEMA_PATH_PREFIX": r"/api/v\d+",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "DeliveryState": "apps.webhooks.models.Delivery.State",
        "PullRequestState": "apps.activity.models.PullRequest.State",
        "BackfillState": "apps.integrations.models.Backfill.State",
        "BackfillStream": "apps.integrations.streams.STREAM_CHOICES",
        "SyncStatus": "apps.integrations.models.SyncLog.Status",
        "SyncCause": "apps.integrations.models.SyncLog.Cause",
        "RepositorySyncState": "apps.integrations.models.RepositorySync.State",
        "TeamSyncStatus": "apps.teams.models.Team.SyncStatus",
    },
    "TAGS": [
        {"name": "figures", "description": "What is derived, per team and window, and the entities behind it."},
        {"name": "teams", "description": "Teams, their members and what they track."},
        {"name": "activity", "description": "What happened: repositories and pull requests."},
        {"name": "deliveries", "description": "The inbox: what GitHub posted and what became of it."},
        {
            "name": "backfills",
            "description": "History: what is read of GitHub's past, how far it is, what it waits for.",
        },
        {
            "name": "reconciliation",
            "description": "Comparing with GitHub: the runs, and what was off in each repository.",
        },
    ],
}
