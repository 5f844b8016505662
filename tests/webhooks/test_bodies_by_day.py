"""The migration to bodies by day, and back, with the bodies that are there."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection

from apps.webhooks.claims import claim_batch
from apps.webhooks.models import KEPT_DAY, Delivery, DeliveryBody
from tests.webhooks.test_claiming import keep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]


@pytest.fixture
def migrated_back() -> Iterator[None]:
    """The tables as they were before bodies lay by day, with a delivery of that time; afterwards as they are now."""
    keep()
    call_command("migrate", "webhooks", "0003", verbosity=0)
    yield
    call_command("migrate", "webhooks", verbosity=0)


def test_bodies_of_before_are_read_after_the_way_back_and_forth(migrated_back: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM webhooks_deliverybody")
        assert cursor.fetchone() == (1,), "what lay in its day was copied"
    call_command("migrate", "webhooks", verbosity=0)
    assert DeliveryBody.objects.get().day == KEPT_DAY
    keep()
    assert [claimed.content for claimed in claim_batch([], task_id="t")] == [b'{"action":"happened"}'] * 2
    assert Delivery.objects.filter(state="running").count() == 2
