"""Notes: told beside the bell of every page, listed, read, and nobody else's."""

import pytest
from django.test import Client

from apps.notifications.models import Notification
from apps.notifications.tasks import send_notification
from tests.api.conftest import Cast
from tests.dashboard.test_pages import read, signed_in

pytestmark = pytest.mark.django_db
READING = "/notes/read/"


def test_the_header_counts_unread_notes(cast: Cast) -> None:
    client = signed_in(cast.viewer)
    assert "unread:" not in read(client, "/")
    for message in ("first", "second"):
        send_notification(cast.viewer.pk, message)
    send_notification(cast.admin.pk, "for somebody else")
    assert "Notes, unread:</span><b>2</b>" in read(client, "/")


def test_notes_are_listed_the_latest_first_and_marked_one_by_one(cast: Cast) -> None:
    client = signed_in(cast.viewer)
    older, newer = (send_notification(cast.viewer.pk, message) for message in ("older <b>", "newer"))
    page = read(client, "/notes/")
    assert page.index("newer") < page.index("older &lt;b&gt;")
    assert page.count('<li class="unread">') == 2

    answer = client.post(READING, {"note": str(older)})
    assert (answer.status_code, answer["Location"]) == (302, "/notes/")
    assert read(client, "/notes/").count('<li class="unread">') == 1
    assert [note.pk for note in Notification.objects.unread()] == [newer]


def test_all_are_marked_at_once(cast: Cast) -> None:
    for number in range(3):
        send_notification(cast.viewer.pk, f"note {number}")
    client = signed_in(cast.viewer)
    assert "Mark all as read" in read(client, "/notes/")
    client.post(READING)
    assert "Mark all as read" not in read(client, "/notes/")
    assert not Notification.objects.unread().exists()


def test_users_cannot_read_or_mark_notes_of_others(cast: Cast) -> None:
    note = send_notification(cast.viewer.pk, "for the viewer alone")
    operator = signed_in(cast.operator)
    assert "for the viewer alone" not in read(operator, "/notes/")
    for named in ({"note": str(note)}, {"note": "1 OR 1=1"}, {"note": "9" * 30}, {}):
        assert operator.post(READING, named).status_code == 302
    assert Notification.objects.unread().count() == 1


def test_marking_takes_a_person_and_a_token_of_the_page(cast: Cast) -> None:
    assert Client().post(READING).headers["Location"].startswith("/accounts/login/")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.viewer, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(READING).status_code == 403
    assert strict.get(READING).status_code == 405


def test_many_notes_come_in_pages(cast: Cast) -> None:
    Notification.objects.bulk_create(Notification(user=cast.viewer, message=f"note {n}") for n in range(51))
    client = signed_in(cast.viewer)
    assert "Page 1 of 2" in read(client, "/notes/")
    assert read(client, "/notes/?page=2").count('<li class="unread">') == 1
