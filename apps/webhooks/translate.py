"""Translation of one delivery, by itself and without any effect: its facts, its state and its routing."""

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from apps.activity.facts import Fact
from apps.common.db import error_message, is_of_database
from apps.common.redaction import redact
from apps.webhooks.claims import Claimed
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import WRONG_SHAPE, Document, Routing, UnusablePayloadError, read_document, read_routing
from apps.webhooks.registry import Event, Unrouted, route

LONGEST_ERROR = 500
DEEPEST_PLACE = 5
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationResult:
    """The next state of a claimed delivery, and its facts; `routing` is None where nothing could be parsed."""

    claimed: Claimed
    state: Delivery.State
    reason: str = ""
    error: str = ""
    routing: Routing | None = None
    is_sanitised: bool = False
    facts: tuple[Fact, ...] = field(default=(), repr=False)


def translate_delivery(claimed: Claimed) -> TranslationResult:
    """Parse and translate one delivery. Every error is in the result; only the time limit is raised."""
    if claimed.content is None:
        return TranslationResult(claimed=claimed, state=Delivery.State.QUARANTINED, reason="body_expired")
    try:
        document = read_document(claimed.content, content_type=claimed.content_type or "")
    except UnusablePayloadError as error:
        return _quarantined(claimed, error)
    try:
        return _translate(claimed, document)
    except UnusablePayloadError as error:
        return _quarantined(claimed, error, document=document)


def describe(error: BaseException) -> str:
    """Return an error as a row keeps it: its class and the start of its message, in characters that can be stored.

    Of a database error only the main line is kept, or less: its details show the contents of rows.
    """
    message = error_message(error) if is_of_database(error) else str(error)
    text = redact(f"{type(error).__name__}: {message}")[:LONGEST_ERROR]
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def place_of(error: BaseException) -> list[str]:
    """Return file, line and function of the last frames of an exception, which hold nothing of a payload."""
    frames = traceback.extract_tb(error.__traceback__)[-DEEPEST_PLACE:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def _translate(claimed: Claimed, document: Document) -> TranslationResult:
    routing = read_routing(document.payload)
    event = Event(
        name=claimed.event,
        action=_action(document.payload),
        payload=document.payload,
        hook_id=claimed.hook_id,
        guid=str(claimed.guid),
        received_at=claimed.received_at,
    )
    translator = route(event.name, event.action)
    if isinstance(translator, Unrouted):
        return TranslationResult(
            claimed=claimed, state=Delivery.State.IGNORED, reason=translator.value, routing=routing
        )
    try:
        facts = tuple(translator(event))
    except (SoftTimeLimitExceeded, UnusablePayloadError):
        raise
    except WRONG_SHAPE as error:
        raise UnusablePayloadError("shape_mismatch", describe(error)) from error
    except Exception as error:  # a translator with a bug costs this delivery an attempt, not the batch
        return _failed(claimed, error, routing=routing)
    return TranslationResult(
        claimed=claimed,
        state=Delivery.State.PROCESSED,
        routing=routing,
        is_sanitised=document.is_sanitised,
        facts=facts,
    )


def _failed(claimed: Claimed, error: Exception, *, routing: Routing) -> TranslationResult:
    """Log without a traceback, because the exception's message may quote the payload."""
    logger.error(
        "translator_failed",
        extra={
            "delivery": claimed.id,
            "github_event": claimed.event,
            "error": type(error).__name__,
            "where": place_of(error),
        },
    )
    return TranslationResult(
        claimed=claimed,
        state=Delivery.State.FAILED,
        reason="translator_failed",
        error=describe(error),
        routing=routing,
    )


def _quarantined(
    claimed: Claimed, error: UnusablePayloadError, *, document: Document | None = None
) -> TranslationResult:
    return TranslationResult(
        claimed=claimed,
        state=Delivery.State.QUARANTINED,
        reason=error.reason,
        error=redact(error.detail)[:LONGEST_ERROR],
        routing=read_routing(document.payload) if document else None,
        is_sanitised=document.is_sanitised if document else False,
    )


def _action(payload: Mapping[str, Any]) -> str | None:
    action = payload.get("action")
    if action is not None and not isinstance(action, str):
        raise UnusablePayloadError("shape_mismatch", "action is not a text")
    return action
