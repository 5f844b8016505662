"""Taking away what has ended and is of no more use to anybody.

Nothing here frees work: a lease is never cleaned up, for each claim looks at its time itself; tokens of installations,
rate budgets and who is present lie in Redis with an end of their own. What stays too long is a finding of the watch.
"""

from datetime import timedelta

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from apps.users.models import ApiToken
from apps.webhooks.models import WebhookSecret

KEPT_FOR = timedelta(days=30)
"""Until then the admin still shows whose a token was, and which secret an old delivery was signed with."""
SIGN_INS_KEPT_FOR = timedelta(days=90)


def clean_up() -> dict[str, int]:
    """Delete what ended long enough ago; how many of each."""
    ended, old = Now() - KEPT_FOR, Now() - SIGN_INS_KEPT_FOR
    leftovers = {
        "api_tokens": ApiToken.objects.filter(expires_at__lt=ended),
        "webhook_secrets": WebhookSecret.objects.filter(not_after__lt=ended),
        "sessions": Session.objects.filter(expire_date__lt=Now()),
        "sign_in_attempts": AccessAttempt.objects.filter(attempt_time__lt=old),
        "failed_sign_ins": AccessFailureLog.objects.filter(attempt_time__lt=old),
        "sign_ins": AccessLog.objects.filter(attempt_time__lt=old),
    }
    return {name: rows.delete()[0] for name, rows in leftovers.items()}
