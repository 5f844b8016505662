"""The job that sends an e-mail, and the link by which its recipient unsubscribes without signing in.

Nobody gets two mails about the same, however often it is queued. One thing cannot be excluded, since no mail server
takes part in our transactions: a worker that dies after the server took the mail and before that was stored. The mail
is then sent once more, rather than never, under the same Message-ID, by which mail programs recognise a repetition.
"""

import logging
import random
import smtplib
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.db.models.functions import Now

from apps.common.failpoints import failpoint
from apps.jobs.models import Job
from apps.jobs.outcomes import Backoff
from apps.jobs.registry import JobKind
from apps.notifications.message_fan_out import PRIORITY, page_url
from apps.notifications.models import MailMessage, Subscription, Topic
from apps.teams.models import Team
from apps.users.models import CustomUser

BACKOFF = Backoff(first_s=30.0, longest_s=3600.0, growth=3.0)
MOST_ATTEMPTS = 10  # the last one comes about five hours after the first
SALT = "notifications.unsubscribe"
PERMANENT = range(500, 600)
logger = logging.getLogger(__name__)


def run(job: Job, deadline_s: float) -> None:
    """Send the mail of a claimed job, and end the job or put it off."""
    message = MailMessage.objects.select_related("user", "team").get(pk=job.pk)
    job.hold(started_at=Now())
    if not _is_wanted(message):
        job.claim.end(Job.State.DONE, reason="unsubscribed")
        return
    if job.attempts >= MOST_ATTEMPTS:
        job.claim.end(Job.State.FAILED, reason="crashed")
        return
    try:
        mail_of(message).send()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        _put_off_after(error, job=job)
    except SoftTimeLimitExceeded:
        connection.close()
        _put_off_after(TimeoutError("The mail server took too long."), job=job)
    else:
        failpoint("message.after_send")
        job.claim.end(Job.State.DONE)


KIND = JobKind(
    name=MailMessage.KIND,
    priority=PRIORITY,
    run=run,
    words={"unsent": ("The mail server did not take it; retrying with increasing waits.", "Check EMAIL_URL.")},
)


def _is_wanted(message: MailMessage) -> bool:
    """Return whether its recipient still subscribes, and has an address."""
    own = Subscription.objects.filter(user=message.user, topic=message.topic, by_mail=True)
    return bool(message.user.email) and own.entitled(message.team).exists()


def mail_of(message: MailMessage) -> EmailMultiAlternatives:
    """Return the e-mail, with a link that unsubscribes its recipient (RFC 8058)."""
    url = unsubscribe_url(message.user, message.team, Topic(message.topic))
    mail = EmailMultiAlternatives(
        " ".join(message.subject.split()),  # names may hold newlines, which no header may
        f"{message.text.rstrip()}\n\nUnsubscribe: {url}\n",
        to=[message.user.email],
        headers={
            "Message-ID": f"<{message.key}@{settings.PUBLIC_HOST}>",
            "List-Unsubscribe": f"<{url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
    )
    if message.html:
        mail.attach_alternative(message.html.replace("{unsubscribe_url}", url), "text/html")
    return mail


def _put_off_after(error: Exception, *, job: Job) -> None:
    """Put the job off, each time for longer; it fails for good after the last attempt, or if the server says so."""
    words = f"{type(error).__name__}: {error}"[:500]
    logger.warning("mail_not_sent", extra={"job": job.pk, "error": type(error).__name__})
    if job.attempts + 1 >= MOST_ATTEMPTS or is_permanent(error):
        job.claim.end(Job.State.FAILED, reason="unsent", error=words)
        return
    wait_s = BACKOFF.wait_s(job.attempts, chance=random.random())  # noqa: S311  spreads waits, guards nothing
    job.claim.put_off(after=timedelta(seconds=wait_s), reason="unsent", error=words, attempts=job.attempts + 1)


def is_permanent(error: Exception) -> bool:
    """Return whether the same mail would fail again: the server said so, or it is none, such as for its address."""
    match error:
        case ValueError():
            return True
        case smtplib.SMTPRecipientsRefused():
            return all(code in PERMANENT for code, _ in error.recipients.values())
        case smtplib.SMTPAuthenticationError():
            return False  # somebody may correct the password meanwhile
        case smtplib.SMTPResponseException():
            return error.smtp_code in PERMANENT
    return False


def unsubscribe_url(user: CustomUser, team: Team | None, topic: Topic) -> str:
    """Return the link that ends the user's mails of the topic; it never expires, and can do nothing else."""
    return page_url("unsubscribe", signing.dumps([user.pk, team.pk if team else None, topic], salt=SALT))


def subscription_of(token: str) -> Subscription | None:
    """Return the subscription that a link is about, None for a link that is not ours or whose user or team is gone."""
    try:
        user_id, team_id, topic = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    found = Subscription.objects.filter(user_id=user_id, team_id=team_id, topic=topic)
    return found.select_related("team", "user").first()


def unsubscribe(subscription: Subscription) -> None:
    """End the mails of the subscription; notes in the dashboard stay."""
    own = Subscription.objects.filter(pk=subscription.pk, by_mail=True)
    own.update(by_mail=False, changed_at=Now())
