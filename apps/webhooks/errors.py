"""What can be wrong with a delivery, as one small tree."""

WRONG_SHAPE = (LookupError, TypeError, ValueError, AttributeError)
"""What reading a payload of another shape than expected ends in."""


class WebhookError(Exception):
    """Something about a delivery is not as it must be."""


class UnusablePayload(WebhookError):  # noqa: N818  says what it is
    """The delivery is authentic, but nothing can be made of its payload; it is quarantined and shown."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class LostClaim(WebhookError):  # noqa: N818  says what happened
    """Another worker claimed some of these deliveries meanwhile; what this one did for them must not be kept."""

    def __init__(self, ids: frozenset[int]) -> None:
        super().__init__(f"{len(ids)} claims were lost")
        self.ids = ids
