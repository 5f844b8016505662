"""Whether this is a moment to bring deliveries back: who is behind already is not helped by more."""

from django.conf import settings

from apps.webhooks import overview
from apps.webhooks.door.secret_slots import active_slots

LONGEST_LAG_S = 60.0
LETTERBOX_LAGS, NO_SECRET = "letterbox_lags", "no_webhook_secret"


def why_not_now() -> str:
    """Why the sweep has to wait, as one word; empty where nothing speaks against it."""
    if overview.look().lag_s > LONGEST_LAG_S:
        return LETTERBOX_LAGS
    if settings.SWEEP_REDELIVERS and not active_slots():
        return NO_SECRET  # the door would refuse what we ask for
    return ""
