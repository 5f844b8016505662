"""The job that sends a message to a channel, and the signature of signed ones.

Signed messages follow Standard Webhooks (standardwebhooks.com), for which receivers find libraries: `webhook-id` is the
delivery id, the same in each attempt; `webhook-timestamp` is when this attempt was made; `webhook-signature` is `v1,`
and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`, by the bytes that the secret has after `whsec_` in base64.

A message is sent at least once: where a worker dies after the receiver answered and before that was stored, the message
is sent again under the same id.
"""

import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Mapping
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.db.models.functions import Now

from apps.common.encryption import UndecryptableError
from apps.common.failpoints import failpoint
from apps.jobs.models import Job
from apps.jobs.outcomes import Backoff
from apps.jobs.registry import JobKind
from apps.notifications.message_fan_out import PRIORITY
from apps.notifications.models import SECRET_PREFIX, Channel, WebhookMessage
from apps.notifications.outgoing_request import AddressRefusedError, Answer, UnreachableError, post

BACKOFF = Backoff(first_s=15.0, longest_s=3600.0, growth=3.0)
MOST_ATTEMPTS = 8  # the last one comes two and a half hours after the first
LONGEST_PAUSE_S = 3600.0
SHOWN_ANSWER = 200
OK, REDIRECTS, REFUSALS = range(200, 300), range(300, 400), range(400, 500)
TRY_AGAIN = {408, 425, 429}
USER_AGENT = "tformance (+https://github.com/)"


def run(job: Job, deadline_s: float) -> None:
    """Send the message of a claimed job, and end the job or put it off."""
    message = WebhookMessage.objects.select_related("channel__team").get(pk=job.pk)
    job.hold(started_at=Now())
    if job.attempts >= MOST_ATTEMPTS:
        _end(job, reason="crashed", error="")
        return
    team = message.channel.team
    if team is not None and not team.is_approved:
        job.claim.end(Job.State.CANCELLED, reason="not_approved", error="The team is not approved any more.")
        return
    try:
        answer = send(message)
    except AddressRefusedError as error:
        _end(job, reason="address_refused", error=str(error))
    except UndecryptableError:
        _end(job, reason="secret_lost", error="Its address cannot be decrypted. Remove the webhook and add it again.")
    except UnreachableError as error:
        _try_again(job, reason="unanswered", error=str(error))
    except SoftTimeLimitExceeded:
        connection.close()
        _try_again(job, reason="timed_out", error="It took too long to answer.")
    else:
        failpoint("message.after_send")
        _settle(job, answer)


KIND = JobKind(
    name=WebhookMessage.KIND,
    priority=PRIORITY,
    run=run,
    words={
        "unanswered": ("The receiver did not answer; retrying with increasing waits.", ""),
        "refused": ("The receiver asked to wait, or failed; retrying with increasing waits.", ""),
    },
)


def send(message: WebhookMessage) -> Answer:
    """Send the message once; AddressRefusedError, UnreachableError or UndecryptableError where it cannot be."""
    channel = message.channel
    body = json.dumps(message.document, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
    if channel.kind == Channel.Kind.SIGNED:
        headers |= signed_headers(body, secret=channel.secret, delivery_id=message.key, at_s=int(time.time()))
    return post(channel.url, body, headers=headers)


def signed_headers(body: bytes, *, secret: str, delivery_id: str, at_s: int) -> Mapping[str, str]:
    """Return the headers by which a receiver knows that the body is ours, new, and which delivery it is."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{delivery_id}.{at_s}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": delivery_id, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,{signature}"}


def _settle(job: Job, answer: Answer) -> None:
    """End the job or put it off, as the receiver answered."""
    WebhookMessage.objects.filter(pk=job.pk).update(status=answer.status)
    if answer.status in OK:
        job.claim.end(Job.State.DONE)
        return
    said = " ".join(answer.body.split())[:SHOWN_ANSWER]
    words = f"It answered {answer.status}{f': {said}' if said else ''}."
    if answer.status in REDIRECTS:
        _end(job, reason="redirected", error=f"It answered {answer.status}, a redirect, which is not followed.")
    elif answer.status in REFUSALS and answer.status not in TRY_AGAIN:
        _end(job, reason="refused", error=words)
    else:
        _try_again(job, reason="refused", error=words, at_least_s=min(answer.retry_after_s, LONGEST_PAUSE_S))


def _try_again(job: Job, *, reason: str, error: str, at_least_s: float = 0.0) -> None:
    """Put the job off, each time for longer; after the last attempt it fails."""
    if job.attempts + 1 >= MOST_ATTEMPTS:
        _end(job, reason=reason, error=error)
        return
    wait_s = max(BACKOFF.wait_s(job.attempts, chance=random.random()), at_least_s)  # noqa: S311  spreads waits
    job.claim.put_off(after=timedelta(seconds=wait_s), reason=reason, error=error, attempts=job.attempts + 1)


def _end(job: Job, *, reason: str, error: str) -> None:
    job.claim.end(Job.State.FAILED, reason=reason, error=error)
