"""The webhook secret changes while deliveries flow, and none is refused."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from io import StringIO
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from githubkit_schemas.latest import models
from pydantic import TypeAdapter

from apps.demo.deliveries import body_of
from apps.demo.scenario import Sent
from apps.github import secret_rotation
from apps.github.auth import GitHubAccess
from apps.github.management.commands import rotate_webhook_secret as command
from apps.github.secret_rotation import (
    KNOWN_AFTER,
    ON_THEIR_WAY,
    Retired,
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
from apps.webhooks.models import Delivery, Refusal, WebhookSecret
from apps.webhooks.signature import REREAD_AFTER_S, fingerprint_of, forget_secrets, store_secret
from tests.api.conftest import make_delivery
from tests.fake_github import faults
from tests.fake_github.delivery_log import DeliveryLog, keep_log
from tests.fake_github.faults import Fault, below
from tests.fake_github.server import FakeGitHub
from tests.webhooks.conftest import GitHub

pytestmark = pytest.mark.django_db
OLD = "the-secret-before-the-rotation"
OLD_SLOT = fingerprint_of(OLD).name
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
    assert retire() == Retired(ended=1, kept=())
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


def test_what_github_does_not_take_changes_nothing(
    fake: FakeGitHub, worker: GitHubAccess, deliver: Callable[[], int]
) -> None:
    begin()
    fake.spoil(Fault(faults.status(422, {"message": "Secret is too odd"}), CONFIG))
    with pytest.raises(RotationError, match="did not take it"):
        set_at_github(access=worker, sleep=wait)
    assert deliver() == 202
    give_up()
    begin()
    set_at_github(access=worker, sleep=wait)
    assert deliver() == 202
    assert rotation().is_proven


@pytest.mark.parametrize("fault", [faults.status(502), faults.status(500), faults.hang_up()])
def test_what_github_may_have_taken_is_said_so_and_not_deleted(
    fake: FakeGitHub, worker: GitHubAccess, deliver: Callable[[], int], fault: Any
) -> None:
    new = begin()
    fake.spoil(Fault(fault, CONFIG))
    with pytest.raises(RotationError, match=r"may have taken it.*Both secrets stay accepted") as raised:
        set_at_github(access=worker, sleep=wait)
    assert "Nothing changed" not in str(raised.value)
    with pytest.raises(RotationError, match="set the old one back at GitHub first"):
        give_up()
    assert deliver() == 202
    fake.app.webhook_secret = new.value  # it had taken it
    assert deliver() == 202
    assert rotation().is_proven


def test_what_github_is_asked_is_stored_before(worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    new, seen = begin(), []

    def stopped(*arguments: Any, **options: Any) -> None:
        seen.append(WebhookSecret.objects.get(pk=new.row.pk).handed_over_at)
        raise KeyboardInterrupt

    monkeypatch.setattr(GitHubAccess, "patch_as_app", stopped)
    with pytest.raises(KeyboardInterrupt):
        set_at_github(access=worker, sleep=wait)
    assert seen[0] is not None
    with pytest.raises(RotationError, match="or wait for a delivery"):
        give_up()


def test_a_refusal_does_not_hide_an_attempt_without_an_answer(fake: FakeGitHub, worker: GitHubAccess) -> None:
    begin()
    for fault in (faults.hang_up(), faults.status(422, {"message": "Secret is too odd"})):
        fake.spoil(Fault(fault, CONFIG))
        with pytest.raises(RotationError):
            set_at_github(access=worker, sleep=wait)
    with pytest.raises(RotationError, match="set the old one back"):
        give_up()


def test_once_the_old_one_is_set_back_the_new_one_ends_in_a_few_minutes(
    fake: FakeGitHub, worker: GitHubAccess, deliver: Callable[[], int]
) -> None:
    new = begin()
    set_at_github(access=worker, sleep=wait)
    fake.app.webhook_secret = OLD
    give_up(is_set_back=True)
    forget_secrets()
    answers = [deliver()]
    fake.app.webhook_secret = new.value  # one that was on its way
    answers.append(deliver())
    assert (rotation().new, answers) == (None, [202, 202])
    assert begin().value != new.value


def test_a_rotation_that_was_ended_meanwhile_does_not_reach_github(fake: FakeGitHub, worker: GitHubAccess) -> None:
    begin()
    with pytest.raises(RotationError):
        set_at_github(access=worker, sleep=lambda seconds: give_up())
    assert fake.app.webhook_secret == OLD


def test_a_proof_stays_one_however_many_deliveries_follow(
    fake: FakeGitHub, worker: GitHubAccess, deliver: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()
    set_at_github(access=worker, sleep=wait)
    deliver()
    proven_at = rotation().accepted[0].proven_at
    assert proven_at is not None
    monkeypatch.setattr(secret_rotation, "LOOKED_AT", 3)
    for number in range(3):
        make_delivery(number, signed_by="another")
    assert rotation().accepted[0].proven_at == proven_at
    assert rotation().is_proven
    retire()
    Delivery.objects.update(signed_by="another")  # as a redelivery does that another secret signed
    assert rotation().new is None


def test_an_old_secret_that_signs_after_the_grace_stays(
    fake: FakeGitHub, worker: GitHubAccess, deliver: Callable[[], int], old_secret: WebhookSecret
) -> None:
    unused = store_secret("of-an-app-that-is-no-more", label="App gone")
    new = begin()
    set_at_github(access=worker, sleep=wait)
    deliver()
    WebhookSecret.objects.filter(pk=new.row.pk).update(proven_at=timezone.now() - ON_THEIR_WAY - timedelta(minutes=1))
    fake.app.webhook_secret = OLD  # another hook, whose deliveries come with the old one
    assert deliver() == 202
    retired = retire()
    assert (retired.ended, [each.slot for each in retired.kept]) == (1, [old_secret.slot])
    assert "long after GitHub had the new one" in retired.kept[0].stays
    WebhookSecret.objects.filter(pk=unused.pk).update(not_after="2026-01-01T00:00:00Z")
    forget_secrets()
    assert (deliver(), rotation().new) == (202, None)
    assert [each.slot for each in rotation().kept] == [old_secret.slot]
    assert begin().row.slot == rotation().accepted[0].slot


def test_what_was_on_its_way_keeps_no_old_secret(
    fake: FakeGitHub, worker: GitHubAccess, deliver: Callable[[], int]
) -> None:
    begin()
    set_at_github(access=worker, sleep=wait)
    deliver()
    fake.app.webhook_secret = OLD
    deliver()
    assert retire() == Retired(ended=1, kept=())


def test_an_old_secret_of_another_hook_stays_however_soon_the_others_are_retired(
    worker: GitHubAccess, deliver: Callable[[], int], old_secret: WebhookSecret
) -> None:
    of_another = GitHub(secret=OLD)
    assert of_another.deliver(hook_id=4711).status_code == 202
    begin()
    set_at_github(access=worker, sleep=wait)
    deliver()
    retired = retire()
    assert (retired.ended, [each.slot for each in retired.kept]) == (0, [old_secret.slot])
    assert "the hook 4711 signs with it" in retired.kept[0].stays
    forget_secrets()
    assert of_another.deliver(hook_id=4711).status_code == 202


def test_secrets_that_signed_before_the_columns_are_proven_after_the_migration(old_secret: WebhookSecret) -> None:
    new = begin()
    make_delivery(1, signed_by=OLD_SLOT)
    migration = import_module("apps.webhooks.migrations.0003_signatures_so_far")
    with connection.cursor() as cursor:
        for statement in (migration.FILL, migration.ASSUME):
            cursor.execute(statement)
    old_secret.refresh_from_db()
    new.row.refresh_from_db()
    assert old_secret.proven_at is not None
    assert old_secret.signed_at is not None
    assert (new.row.proven_at, new.row.handed_over_at) == (None, new.row.created_at)


class TestAtOnce:
    """Two people, or a person and a delivery, at the same time."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @staticmethod
    def also(threads: ThreadPoolExecutor, step: Callable[[], Any]) -> Future[Any]:
        """Take the step on a connection of its own."""

        def take() -> Any:
            try:
                return step()
            finally:
                connection.close()

        return threads.submit(take)

    def test_two_who_begin_make_one_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        both = Barrier(2)

        def store_together(*arguments: Any, **options: Any) -> WebhookSecret:
            with suppress(BrokenBarrierError):
                both.wait(timeout=2)
            return store_secret(*arguments, **options)

        monkeypatch.setattr(secret_rotation, "store_secret", store_together)
        with ThreadPoolExecutor(2) as threads:
            steps = [self.also(threads, begin) for _ in range(2)]
        assert sorted(type(step.exception()) is RotationError for step in steps) == [False, True]
        assert WebhookSecret.objects.filter(label__startswith="rotated").count() == 1

    @pytest.mark.parametrize("step", [retire, give_up])
    def test_a_step_waits_for_the_one_before(self, step: Callable[[], Any]) -> None:
        new = begin()
        WebhookSecret.objects.filter(pk=new.row.pk).update(proven_at=timezone.now())
        with ThreadPoolExecutor(1) as threads:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(secret_rotation.LOCK)
                other = self.also(threads, step)
                with suppress(NotYetError):
                    other.exception(timeout=1)
                assert not other.done()
                WebhookSecret.objects.filter(pk=new.row.pk).delete()
            with pytest.raises(RotationError, match="No rotation is under way"):
                other.result()

    def test_a_secret_that_is_signing_just_now_is_not_deleted(self) -> None:
        new = begin()
        with ThreadPoolExecutor(1) as threads:
            with transaction.atomic():
                WebhookSecret.objects.filter(pk=new.row.pk).update(proven_at=timezone.now())  # as the receiver does
                other = self.also(threads, give_up)
                with suppress(NotYetError):
                    other.exception(timeout=1)
            with pytest.raises(RotationError, match="retire the old one"):
                other.result()
        assert WebhookSecret.objects.filter(pk=new.row.pk).exists()


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

    def test_cancel_after_github_was_asked(self, fake: FakeGitHub, deliver: Callable[[], int]) -> None:
        with pytest.raises(CommandError, match="run this again"):
            self.say("--wait", "0")
        with pytest.raises(CommandError, match="set the old one back"):
            self.say("--cancel")
        fake.app.webhook_secret = OLD
        self.say("--cancel", "--set-back")
        assert (rotation().new, deliver()) == (None, 202)

    def test_what_stays_is_named(self, deliver: Callable[[], int]) -> None:
        GitHub(secret=OLD).deliver(hook_id=4711)
        with pytest.raises(CommandError, match="run this again"):
            self.say("--wait", "0")
        deliver()
        assert "stays accepted: the hook 4711 signs with it" in self.say()
        assert "stays: the hook 4711" in self.say("--status")
