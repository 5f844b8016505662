"""Whatever webhooks of the App arrive, in whatever order, however often: the next listing leaves it as it is."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db.models.functions import Now
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st

from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.github.auth import GitHubAccess
from apps.integrations.discovery import find_installations
from apps.integrations.listed_installations import due_installations, list_installation
from apps.jobs.models import Job
from apps.metrics.recalculation import drain as recalculate
from apps.webhooks.models import Delivery
from apps.webhooks.worker import drain
from tests.activity.tables import empty
from tests.delivery_times import set_received_at
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA, Clock, access_to, forget_everything
from tests.github.translation import Door
from tests.integrations.installations.life import API, DOCS, ENDED, OLD, WEB, Life

pytestmark = pytest.mark.django_db(transaction=True)
LIFE = Life()
EVERYTHING = range(len(LIFE.posts))
AGO = timedelta(minutes=5)


@pytest.fixture
def ended(clock: Clock, settings: Any) -> Any:
    """GitHub after all of it."""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    forget_everything()
    with FakeGitHub(clock=clock) as fake:
        LIFE.leave(fake.world)
        yield access_to(fake)
        assert not fake.bugs, fake.bugs[0]
    forget_everything()


def forget_rows() -> None:
    labels = ("webhooks", "integrations", "activity", "metrics", "teams")
    empty(model._meta.db_table for label in labels for model in apps.get_app_config(label).get_models())


def deliver(numbers: Sequence[int]) -> None:
    """Deliver these to the receiver and process them, as of a while ago."""
    door = Door()
    for number in numbers:
        answer = door.post(*LIFE.posts[number])
        assert answer.status_code == 202, answer.content
    set_received_at(Delivery.objects.filter(state="received"), Now() - AGO)
    while Delivery.objects.filter(state="received").exists():
        drain([], task_id="a task", is_redelivered=False)
    assert not Delivery.objects.exclude(state__in=("processed", "ignored")).exists(), Delivery.objects.values("error")
    recalculate(seconds=60)


def list_all(access: GitHubAccess) -> None:
    """What the tasks do within a day."""
    Installation.objects.update(listed_at=Now() - timedelta(hours=25))
    Job.objects.update(not_before=Now())
    find_installations(access=access)
    for _ in range(6):
        for installation in due_installations(app_id=APP_ID):
            list_installation(installation.pk, access=access)
    assert list(due_installations(app_id=APP_ID)) == []


def how_it_stands() -> dict[str, Any]:
    """All that GitHub shows, as our rows have it."""
    installations = Installation.objects.filter(deleted_at=None).select_related("account")
    reached = RepositoryAccess.objects.filter(installation__deleted_at=None, has_access=True, is_verified=True)
    columns = ("full_name", "owner__login", "is_private", "is_archived", "default_branch")
    shown = Repository.objects.filter(pk__in=(API, WEB, DOCS))
    return {
        "installations": {
            one.pk: (one.account.login, one.suspended_at, dict(one.permissions), sorted(one.events))
            for one in installations
            if one.account
        },
        "reached": set(reached.values_list("installation", "repository")),
        "repositories": {row[0]: row[1:] for row in shown.values_list("pk", *columns)},
        "unverified": RepositoryAccess.objects.filter(installation__deleted_at=None, is_verified=False).count(),
    }


def as_github_has_it() -> dict[str, Any]:
    full = LIFE.permissions, LIFE.events
    everything = dict.fromkeys(full[0], "read"), sorted(full[1])
    return {
        "installations": {ACME: ("apex", None, *everything), BETA: ("beta", None, *everything)},
        "reached": {(ACME, API), (ACME, WEB), (BETA, DOCS)},
        "repositories": {
            API: ("apex/api", "apex", True, False, "main"),
            WEB: ("apex/website", "apex", False, True, "main"),
            DOCS: ("beta/docs", "beta", True, False, "main"),
        },
        "unverified": 0,
    }


def test_a_listing_alone_tells_all_of_it(ended: GitHubAccess) -> None:
    list_all(ended)
    assert how_it_stands() == as_github_has_it()


def test_with_all_webhooks_in_order_the_end_is_known_too(ended: GitHubAccess) -> None:
    deliver(EVERYTHING)
    list_all(ended)
    assert how_it_stands() == as_github_has_it()
    assert Installation.objects.get(pk=ENDED).deleted_at is not None
    assert Repository.objects.get(pk=OLD).deleted_at is not None


@pytest.mark.proof
def test_any_order_any_repetition_and_any_loss_end_as_it_is(ended: GitHubAccess) -> None:
    repeated = st.lists(st.sampled_from(EVERYTHING), max_size=12)

    @tried(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(order=st.permutations(EVERYTHING), lost=st.sets(st.sampled_from(EVERYTHING)), again=repeated, cut=st.data())
    def deliver_in_any_order(order: list[int], lost: set[int], again: list[int], cut: st.DataObject) -> None:
        forget_rows()
        arrived = [number for number in (*order, *again) if number not in lost]
        half = cut.draw(st.integers(0, len(arrived)))
        deliver(arrived[:half])
        if cut.draw(st.booleans()):
            list_all(ended)
        deliver(arrived[half:])
        list_all(ended)
        assert how_it_stands() == as_github_has_it()

    deliver_in_any_order()
