"""Notes and e-mail to people."""

import smtplib
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.template import TemplateDoesNotExist

from apps.notifications import tasks
from apps.notifications.models import Notification
from apps.notifications.tasks import send_email, send_notification
from apps.users.models import CustomUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> CustomUser:
    return CustomUser.objects.create_user("ana", email="ana@example.com")


def test_a_note_waits_until_it_is_read(ana: CustomUser) -> None:
    send_notification(ana.pk, "The backfill is done.")
    assert [str(note) for note in ana.notifications.unread()] == ["The backfill is done."]
    assert (Notification.objects.mark_read(), Notification.objects.mark_read()) == (1, 0)


def test_an_email_is_made_from_a_template_without_markup(ana: CustomUser) -> None:
    assert send_email(ana.pk, "message", {"message": "5 < 6 &\n7"}) is True
    assert (mail.outbox[0].subject, mail.outbox[0].to) == ("tformance: 5 < 6 & 7", ["ana@example.com"])
    assert mail.outbox[0].body == "5 < 6 &\n7\n"


def test_no_message_goes_to_inactive_users_or_users_without_address(ana: CustomUser) -> None:
    ana.is_active = False
    ana.save()
    assert send_notification(ana.pk, "Hello") is None
    assert send_email(ana.pk, "message", {"message": "Hello"}) is False
    ben = CustomUser.objects.create_user("ben")
    assert send_email(ben.pk, "message", {"message": "Hello"}) is False
    assert (Notification.objects.count(), mail.outbox) == (0, [])


class MailServer(socketserver.StreamRequestHandler):
    """Takes one message a connection, and hangs up on as many connections as the test wants."""

    def handle(self) -> None:
        server: Any = self.server
        server.connections += 1
        if server.connections <= server.hangs_up:
            return
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline().strip().upper():
            if line == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                server.letters.append(b"".join(iter(self.rfile.readline, b".\r\n")))
            self.wfile.write(b"221 bye\r\n" if line == b"QUIT" else b"250 ok\r\n")


@pytest.fixture
def mail_server(settings: Any) -> Iterator[Any]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailServer) as server:
        server.letters, server.connections, server.hangs_up = [], 0, 0
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_email_is_sent_again_when_the_mail_server_hangs_up(ana: CustomUser, mail_server: Any) -> None:
    mail_server.hangs_up = 2
    assert send_email.apply(args=[ana.pk, "message", {"message": "Hello"}]).get() is True
    assert (mail_server.connections, len(mail_server.letters)) == (3, 1)
    assert b"Hello" in mail_server.letters[0]


def test_an_email_that_no_mail_server_takes_fails_in_the_end(ana: CustomUser, mail_server: Any) -> None:
    mail_server.hangs_up = 1000
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send_email.apply(args=[ana.pk, "message", {"message": "Hello"}]).get()
    assert mail_server.connections == 1 + send_email.max_retries


TEMPORARY = (
    smtplib.SMTPRecipientsRefused({"ana@example.com": (450, b"Greylisted")}),
    smtplib.SMTPSenderRefused(451, b"Later", "tformance@example.com"),
    smtplib.SMTPDataError(452, b"Full"),
)
FINAL = (
    smtplib.SMTPRecipientsRefused({"ana@example.com": (550, b"Unknown")}),
    smtplib.SMTPSenderRefused(553, b"Not you", "tformance@example.com"),
    smtplib.SMTPDataError(554, b"Spam"),
)


@pytest.mark.parametrize(
    ("error", "is_sent"), [*((error, True) for error in TEMPORARY), *((error, False) for error in FINAL)], ids=repr
)
def test_an_email_is_sent_again_when_the_mail_server_asks_to_wait(
    ana: CustomUser, monkeypatch: pytest.MonkeyPatch, error: Exception, is_sent: bool
) -> None:
    refusals = [error]

    def send(*_: Any, **__: Any) -> bool:
        if refusals:
            raise refusals.pop()
        return True

    monkeypatch.setattr(tasks, "send_rendered", send)
    result = send_email.apply(args=[ana.pk, "message", {"message": "Hello"}])
    assert (result.get() if is_sent else result.result) == (True if is_sent else error)


@pytest.mark.parametrize(("template", "error"), [("../message", ValueError), ("unknown", TemplateDoesNotExist)])
def test_a_template_is_one_of_ours(ana: CustomUser, template: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        send_email(ana.pk, template, {})
