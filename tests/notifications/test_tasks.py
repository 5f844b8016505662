"""Telling people things."""

import pytest
from django.core import mail
from django.template import TemplateDoesNotExist

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


def test_nobody_is_told_who_has_left_or_has_no_address(ana: CustomUser) -> None:
    ana.is_active = False
    ana.save()
    assert send_notification(ana.pk, "Hello") is None
    assert send_email(ana.pk, "message", {"message": "Hello"}) is False
    ben = CustomUser.objects.create_user("ben")
    assert send_email(ben.pk, "message", {"message": "Hello"}) is False
    assert (Notification.objects.count(), mail.outbox) == (0, [])


@pytest.mark.parametrize(("template", "error"), [("../message", ValueError), ("unknown", TemplateDoesNotExist)])
def test_a_template_is_one_of_ours(ana: CustomUser, template: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        send_email(ana.pk, template, {})
