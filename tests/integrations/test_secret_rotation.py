"""The webhook secret changes while deliveries flow, and none is refused."""

import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from githubkit_schemas.latest import models
from pydantic import TypeAdapter

from apps.demo.deliveries import body_of
from apps.demo.scenario import Sent
from apps.github.auth import GitHubAccess
from apps.github.management.commands import rotate_webhook_secret as command
from apps.github.secret_rotation import (
    KNOWN_AFTER,
    RotationError,
    as_document,
    ask_for_proof,
    begin,
    give_up,
    retire,
    rotation,
    set_at_github,
)
from apps.webhooks import signature
from apps.webhooks.models import Refusal, WebhookSecret
from apps.webhooks.signature import REREAD_AFTER_S, forget_secrets, store_secret
from tests.fake_github import faults
from tests.fake_github.delivery_log import DeliveryLog, keep_log
from tests.fake_github.faults import Fault, below
from tests.fake_github.server import FakeGitHub
from tests.webhooks.conftest import GitHub

pytestmark = pytest.mark.django_db
OLD = "the-secret-before-the-rotation"
CONFIG = below("/app/hook/config")


@pytest.fixture(autouse=True)
def old_secret(settings: Any, fake: FakeGitHub) -> Iterator[WebhookSecret]:
    settings.GITHUB_WEBHOOK_SECRETS = []
    forget_secrets()
    fake.app.webhook_secret = OLD
    yield store_secret(OLD, label="App acme")
    forget_secrets()


@pytest.fixture
def log(fake: FakeGitHub) -> DeliveryLog:
    """What GitHub delivers, signed with the secret that it has at the time."""

    def post(sent: Sent) -> int:
        github = GitHub(secret=fake.app.webhook_secret)
        status: int = github.post(body_of(sent.payload), event=sent.event, guid=sent.guid).status_code
        return status

    return keep_log(fake, post=post, is_slow=True)  # a redelivery comes a moment after it was asked for


@pytest.fixture
def deliver(fake: FakeGitHub, log: DeliveryLog) -> Callable[[], int]:
    """Deliver the next event and return the answer's status."""
    events = iter(list(fake.world.deliveries()))

    def next_one() -> int:
        log.deliver([next(events)])
        return log.attempts[-1].status_code

    return next_one


def wait(seconds: float) -> None:
    """Let the time pass after which each process has read the stored secrets again."""
    assert 0 < seconds <= KNOWN_AFTER.total_seconds()
    forget_secrets()


def test_every_process_knows_the_new_secret_before_github_does() -> None:
    assert KNOWN_AFTER.total_seconds() > REREAD_AFTER_S + 1


def test_no_delivery_is_refused_on_the_way(
    fake: FakeGitHub, worker: GitHubAccess, deliver: Callable[[], int], old_secret: WebhookSecret
) -> None:
    answers = [deliver()]
    new = begin()
    answers.append(deliver())
    set_at_github(access=worker, sleep=wait)
    assert fake.app.webhook_secret == new.value != OLD
    assert not rotation().is_proven
    answers.append(deliver())
    assert rotation().is_proven
    assert retire() == 1
    forget_secrets()
    answers.append(deliver())
    fake.app.webhook_secret = OLD  # one that was on its way
    answers.append(deliver())
    assert set(answers) == {202}
    WebhookSecret.objects.filter(pk=old_secret.pk).update(not_after="2026-01-01T00:00:00Z")
    forget_secrets()
    assert deliver() == 401
    assert (rotation().new, [each.slot for each in rotation().accepted]) == (None, [new.row.slot])


def test_github_is_asked_for_a_proof_which_a_known_delivery_gives(
    log: DeliveryLog, worker: GitHubAccess, deliver: Callable[[], int]
) -> None:
    assert deliver() == 202
    begin()
    set_at_github(access=worker, sleep=wait)
    assert ask_for_proof(access=worker)
    assert not rotation().is_proven
    assert log.catch_up() == 1
    assert rotation().is_proven


def test_without_any_delivery_there_is_no_proof_to_ask_for(worker: GitHubAccess, log: DeliveryLog) -> None:
    begin()
    assert not ask_for_proof(access=worker)
    assert not rotation().is_proven


def test_the_old_secret_stays_until_the_new_one_has_signed(worker: GitHubAccess, deliver: Callable[[], int]) -> None:
    begin()
    deliver()
    with pytest.raises(RotationError, match="the old one has to stay"):
        retire()
    assert deliver() == 202


def test_one_rotation_at_a_time() -> None:
    begin()
    with pytest.raises(RotationError, match="finish it first"):
        begin()
    assert WebhookSecret.objects.count() == 2


def test_a_rotation_that_github_did_not_hear_of_can_be_given_up(
    fake: FakeGitHub, worker: GitHubAccess, deliver: Callable[[], int]
) -> None:
    begin()
    give_up()
    assert (rotation().new, WebhookSecret.objects.count()) == (None, 1)
    begin()
    set_at_github(access=worker, sleep=wait)
    deliver()
    with pytest.raises(RotationError, match="retire the old one"):
        give_up()


def test_no_step_without_a_rotation(worker: GitHubAccess) -> None:
    for step in (retire, give_up, lambda: set_at_github(access=worker)):
        with pytest.raises(RotationError, match="begin one"):
            step()


@pytest.mark.parametrize(
    "fault", [faults.status(422, {"message": "Secret is too odd"}), faults.status(502), faults.hang_up()]
)
def test_what_github_does_not_take_changes_nothing(
    fake: FakeGitHub, worker: GitHubAccess, deliver: Callable[[], int], fault: Any
) -> None:
    begin()
    fake.spoil(Fault(fault, CONFIG))
    with pytest.raises(RotationError, match="did not take it"):
        set_at_github(access=worker, sleep=wait)
    assert deliver() == 202
    set_at_github(access=worker, sleep=wait)
    assert deliver() == 202
    assert rotation().is_proven


def test_what_was_refused_meanwhile_is_counted(deliver: Callable[[], int], fake: FakeGitHub) -> None:
    begin()
    Refusal.objects.create(status=401, reason="bad_signature", count=3, headers={})
    assert rotation().refused == 3


def test_secrets_of_the_environment_are_shown_and_stay(settings: Any, deliver: Callable[[], int]) -> None:
    settings.GITHUB_WEBHOOK_SECRETS = [OLD, "another-of-the-environment"]
    WebhookSecret.objects.all().delete()
    begin()
    labels = [(each.label.split()[0], each.is_of_environment) for each in rotation().accepted]
    assert labels == [("rotated", False), ("GITHUB_WEBHOOK_SECRETS", True), ("GITHUB_WEBHOOK_SECRETS", True)]


def test_the_status_shows_no_secret() -> None:
    new = begin()
    shown = json.dumps(as_document(rotation())) + repr(new) + repr(rotation())
    assert new.value not in shown
    assert OLD not in shown


def test_the_fake_answers_as_github_describes_it(fake: FakeGitHub, worker: GitHubAccess) -> None:
    begin()
    set_at_github(access=worker, sleep=wait)
    TypeAdapter(models.WebhookConfig).validate_python(fake.app.hook)
    assert fake.app.hook["secret"] == "********"


class TestCommand:
    """`manage.py rotate_webhook_secret` takes the same steps."""

    @pytest.fixture(autouse=True)
    def _quick(self, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command, "github", lambda: worker)
        monkeypatch.setattr(command.secret_rotation, "KNOWN_AFTER", KNOWN_AFTER * 0)

    def say(self, *arguments: str) -> str:
        forget_secrets()
        said = StringIO()
        call_command("rotate_webhook_secret", *arguments, stdout=said, stderr=StringIO())
        forget_secrets()
        return said.getvalue()

    def test_all_at_once(
        self, fake: FakeGitHub, log: DeliveryLog, deliver: Callable[[], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(signature, "REREAD_AFTER_S", 0.0)
        monkeypatch.setattr(command.time, "sleep", lambda seconds: log.catch_up())
        deliver()
        said = self.say()
        assert "accepted for five more minutes" in said
        assert fake.app.webhook_secret not in said
        assert deliver() == 202

    def test_by_hand(self, fake: FakeGitHub, deliver: Callable[[], int]) -> None:
        fake.app.webhook_secret = self.say("--manual").strip()
        assert deliver() == 202
        assert "accepted for five more minutes" in self.say("--manual")

    def test_without_a_proof_it_says_what_to_do(self, deliver: Callable[[], int]) -> None:
        with pytest.raises(CommandError, match="run this again"):
            self.say("--wait", "0")
        assert deliver() == 202
        assert "five more minutes" in self.say()

    def test_status_and_cancel(self) -> None:
        self.say("--manual")
        assert "under way" in self.say("--status")
        assert json.loads(self.say("--status", "--json"))["is_proven"] is False
        assert "deleted" in self.say("--cancel")
