"""Rotation of the webhook secret while deliveries flow: no delivery is refused on the way.

The new secret is accepted from the first step, before GitHub knows it. The old ones are accepted until a delivery was
signed with the new one, and some minutes longer, for deliveries that were on their way. An old one with which another
hook still signs stays.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from apps.common.encryption import UndecryptableError, can_encrypt, decrypt
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import REFUSALS, Answer, ResponseKind
from apps.webhooks.models import Delivery, Refusal, WebhookSecret
from apps.webhooks.signature import fingerprint_of, store_secret

PURPOSE = Purpose(priority=Priority.LIVE, subject="webhook secret")
KNOWN_AFTER = timedelta(seconds=6)
"""Every web process accepts a stored secret within five seconds: before that GitHub must not sign with it."""
ON_THEIR_WAY = timedelta(minutes=5)
"""Deliveries that GitHub signed before it learned the new secret arrive within this time."""
LOOKED_AT = 1000
"""So many of the latest deliveries are looked at for the secrets that signed them."""
STILL_SIGNS = timedelta(days=7)
"""A hook that signed with an old secret within this time, and not with the new one, is taken to sign with it still."""
LABEL = "rotated"
BYTES = 32
NOT_TAKEN = REFUSALS | {ResponseKind.AUTH, ResponseKind.PRIMARY, ResponseKind.SECONDARY, ResponseKind.DEFERRED}
"""Answers after which GitHub certainly has the old secret; after all others but OK it may have either."""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('rotation of the webhook secret', 0))"
Latest = Sequence[tuple[str, datetime, int]]


class RotationError(Exception):
    """The step of the rotation is not possible; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretState:
    """A secret that is accepted, and when it last signed a delivery; of the environment's there is no row."""

    slot: str
    label: str
    is_of_environment: bool
    created_at: datetime | None
    not_after: datetime | None
    signed_at: datetime | None
    proven_at: datetime | None = None
    handed_over_at: datetime | None = None
    stays: str = ""
    """Why it stays accepted after the rotation; empty if it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """The secrets that are accepted, the newest first, and the rotation that is under way, if one is."""

    accepted: tuple[SecretState, ...]
    new: SecretState | None
    refused: int
    """Deliveries since the rotation began whose signature was no accepted secret's."""

    @property
    def old(self) -> tuple[SecretState, ...]:
        """Return the secrets that are retired at the end: all others that are accepted for an unlimited time."""
        others = (each for each in self.accepted if self.new is None or each.slot != self.new.slot)
        return tuple(each for each in others if each.not_after is None)

    @property
    def is_proven(self) -> bool:
        """Return whether GitHub signs with the new secret."""
        return self.new is not None and self.new.proven_at is not None

    @property
    def kept(self) -> tuple[SecretState, ...]:
        """Return the old stored secrets that stay, because somebody still signs with them."""
        return tuple(each for each in self.accepted if each.stays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """The end of a rotation: how many secrets end in a few minutes, and which ones stay."""

    ended: int
    kept: tuple[SecretState, ...]


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that was just made; it is shown once."""

    row: WebhookSecret
    value: str = field(repr=False)


def rotation(latest: Latest | None = None) -> Rotation:
    """Return the state of the secrets; `latest` are the latest signatures, where the caller has read them.

    A rotation is under way from the creation of a secret until GitHub has signed with it and the others were retired.
    """
    latest = latest_signatures() if latest is None else latest
    rows = list(WebhookSecret.objects.live())
    own = [fingerprint_of(value).name for value in settings.GITHUB_WEBHOOK_SECRETS]
    signed = _signed_at([*(row.slot for row in rows), *own], latest=latest)
    stored = [_of_row(row, signed_at=signed.get(row.slot)) for row in rows]
    newest = stored[0] if stored and stored[0].label.startswith(LABEL) and not stored[0].not_after else None
    is_under_way = (
        newest is not None
        and rows[0].finished_at is None
        and (newest.proven_at is None or any(not each.not_after for each in stored[1:]))
    )
    if newest is not None:
        stored[1:] = _with_reasons(stored[1:], new=newest, latest=latest)
    of_environment = (of_settings(slot, signed_at=signed.get(slot)) for slot in own)
    return Rotation(
        accepted=(*stored, *(each for each in of_environment if each.slot not in {row.slot for row in rows})),
        new=newest if is_under_way else None,
        refused=_refused_since(newest.created_at) if is_under_way and newest is not None else 0,
    )


def _of_row(row: WebhookSecret, *, signed_at: datetime | None) -> SecretState:
    """Return the state of a stored secret; `signed_at` is the arrival of its latest delivery.

    The row knows more, except of deliveries whose note failed. A redelivery keeps the time at which it first arrived.
    """
    seen = [at for at in (row.signed_at, signed_at) if at is not None]
    return SecretState(
        slot=row.slot,
        label=row.label,
        is_of_environment=False,
        created_at=row.created_at,
        not_after=row.not_after,
        signed_at=max(seen, default=None),
        proven_at=row.proven_at or (max(signed_at, row.created_at) if signed_at is not None else None),
        handed_over_at=row.handed_over_at,
    )


def _with_reasons(old: Sequence[SecretState], *, new: SecretState, latest: Latest) -> list[SecretState]:
    """Return the older stored secrets, with the reason of each that stays."""
    if new.proven_at is None:
        return list(old)
    hooks = _hooks_elsewhere(new.slot, latest=latest)
    known_at = new.proven_at + ON_THEIR_WAY
    return [replace(each, stays=_reason(each, known_at=known_at, hook=hooks.get(each.slot))) for each in old]


def _reason(old: SecretState, *, known_at: datetime, hook: int | None) -> str:
    """Return why an old secret stays, or nothing; at `known_at` nothing signed with it was on its way any more."""
    if old.not_after is not None:
        return ""
    if old.signed_at is not None and old.signed_at > known_at:
        return f"it signed a delivery at {old.signed_at:%Y-%m-%d %H:%M} UTC, long after GitHub had the new one"
    return f"the hook {hook} signs with it, and has not signed with the new one" if hook is not None else ""


def _hooks_elsewhere(new: str, *, latest: Latest) -> Mapping[str, int]:
    """Return the secrets with which hooks signed lately that have not signed with the new one, each with one hook.

    Somebody who retires the old secrets as soon as the new one is proven has no later delivery to go by.
    """
    since = timezone.now() - STILL_SIGNS
    moved = {hook for slot, _, hook in latest if slot == new}
    return {slot: hook for slot, at, hook in latest if hook not in moved and at > since}


def of_settings(slot: str, *, signed_at: datetime | None) -> SecretState:
    """Return the state of a secret of GITHUB_WEBHOOK_SECRETS, which only a restart retires."""
    return SecretState(
        slot=slot,
        label="GITHUB_WEBHOOK_SECRETS",
        is_of_environment=True,
        created_at=None,
        not_after=None,
        signed_at=signed_at,
    )


def latest_signatures() -> Latest:
    """Return the fingerprint of the secret, the arrival and the hook of the latest deliveries, the newest first."""
    posted = Delivery.objects.filter(source=Delivery.Source.WEBHOOK).order_by("-pk")
    return list(posted.values_list("signed_by", "received_at", "hook_id")[:LOOKED_AT])


def _signed_at(slots: list[str], *, latest: Latest) -> Mapping[str, datetime]:
    """Return when each secret last signed one of the latest deliveries."""
    found: dict[str, datetime] = {}
    for slot, at, _ in latest:
        if slot in slots:
            found.setdefault(slot, at)
    return found


def _refused_since(at: datetime | None) -> int:
    rows = Refusal.objects.filter(reason="bad_signature", refused_at__gte=at).values_list("count", flat=True)
    return sum(rows)


@contextmanager
def _one_at_a_time(*, is_durable: bool = False) -> Iterator[None]:
    """Let nobody else take a step until the transaction ends: each decides by what the one before has stored."""
    with transaction.atomic(durable=is_durable):
        with connection.cursor() as cursor:
            cursor.execute(LOCK)
        yield


def begin() -> NewSecret:
    """Make and store a new secret; it is accepted from now on. RotationError if one is under way."""
    if not can_encrypt():
        raise RotationError("Secrets cannot be stored: set FERNET_KEYS and restart.")
    with _one_at_a_time():
        if (under_way := rotation().new) is not None:
            raise RotationError(
                f"A rotation is under way since {under_way.created_at:%Y-%m-%d %H:%M} UTC: finish it first."
            )
        value = secrets.token_hex(BYTES)
        row = store_secret(value, label=f"{LABEL} {timezone.now():%Y-%m-%d %H:%M} UTC")
    return NewSecret(row, value)


def set_at_github(*, access: GitHubAccess, sleep: Callable[[float], object] = time.sleep) -> None:
    """Let GitHub sign with the new secret, once every process accepts it; RotationError if it may not have taken it."""
    row = _under_way()
    left_s = (row.created_at + KNOWN_AFTER - timezone.now()).total_seconds()
    if left_s > 0:
        sleep(left_s)
    try:
        value = decrypt(row.encrypted_value)
    except UndecryptableError as error:
        raise RotationError("The new secret cannot be decrypted: its key is missing in FERNET_KEYS.") from error
    mark = _hand_over(row)
    try:
        answer = access.patch_as_app("/app/hook/config", purpose=PURPOSE, body={"secret": value})
    except NoCredentialsError as error:
        _take_back(row, mark)
        raise RotationError("There is no key of the App: put the secret into the App's page on GitHub.") from error
    if answer.kind is not ResponseKind.OK:
        raise _not_taken(row, mark, answer)


def _hand_over(row: WebhookSecret) -> datetime | None:
    """Store that GitHub is asked now, before it is: from then on it may sign with it. Return the mark of the first."""
    with _one_at_a_time(is_durable=True):
        if _under_way().pk != row.pk:
            raise RotationError("Somebody else ended this rotation meanwhile: GitHub was not asked.")
        now = timezone.now()
        is_first = WebhookSecret.objects.filter(pk=row.pk, handed_over_at=None).update(handed_over_at=now)
        if not is_first:  # one of several attempts cannot know what became of the others: no mark to take back
            WebhookSecret.objects.filter(pk=row.pk).update(handed_over_at=now)
        return now if is_first else None


def _take_back(row: WebhookSecret, mark: datetime | None) -> None:
    """Delete the mark, because GitHub certainly has not taken it; not if another attempt was made as well."""
    if mark is not None:
        WebhookSecret.objects.filter(pk=row.pk, handed_over_at=mark).update(handed_over_at=None)


def _not_taken(row: WebhookSecret, mark: datetime | None, answer: Answer) -> RotationError:
    """Return what to say about an answer that is not good; without a clear one GitHub may sign with either secret."""
    if answer.kind in NOT_TAKEN:
        _take_back(row, mark)
        return RotationError(f"GitHub did not take it: {answer.message}. Nothing changed; try again.")
    return RotationError(
        f"GitHub may have taken it: {answer.message}. Both secrets stay accepted: try again, or wait for a delivery."
    )


def ask_for_proof(*, access: GitHubAccess) -> bool:
    """Let GitHub send its latest delivery again, which is signed with the new secret; return whether it will."""
    try:
        answer = access.get_as_app("/app/hook/deliveries", purpose=PURPOSE, parameters={"per_page": 1})
        latest = answer.data[0] if isinstance(answer.data, list) and answer.data else {}
        if not isinstance(latest.get("id"), int):
            return False
        again = access.post_as_app(f"/app/hook/deliveries/{latest['id']}/attempts", purpose=PURPOSE)
    except NoCredentialsError:
        return False
    return again.kind is ResponseKind.OK


def retire() -> Retired:
    """End the old secrets in a few minutes, except those that somebody still signs with.

    RotationError before the new one has signed a delivery.
    """
    with _one_at_a_time():
        row = _under_way()
        now = rotation()
        if now.new is None or now.new.proven_at is None:
            raise RotationError("GitHub has not signed with the new secret yet: the old one has to stay.")
        staying = [row.slot, *(each.slot for each in now.kept)]
        ended = WebhookSecret.objects.filter(not_after=None).exclude(slot__in=staying)
        count = ended.update(not_after=timezone.now() + ON_THEIR_WAY)
        WebhookSecret.objects.filter(pk=row.pk).update(
            finished_at=Now(), proven_at=Coalesce("proven_at", now.new.proven_at)
        )
        return Retired(ended=count, kept=now.kept)


def give_up(*, is_set_back: bool = False) -> None:
    """Delete the new secret; RotationError if GitHub signs with it already, or may.

    With `is_set_back` somebody says that GitHub has the old one again: then the new one ends in a few minutes, for
    deliveries that are on their way.
    """
    with _one_at_a_time():
        # The receiver writes on the row that it signed a delivery: what it has begun to write is waited for.
        row = WebhookSecret.objects.select_for_update().get(pk=_under_way().pk)
        if rotation().is_proven:
            raise RotationError("GitHub signs with the new secret already: retire the old one instead.")
        if row.handed_over_at is None:
            row.delete()
        elif is_set_back:
            WebhookSecret.objects.filter(pk=row.pk).update(not_after=timezone.now() + ON_THEIR_WAY)
        else:
            raise RotationError(
                "GitHub was asked to sign with the new secret, and may do so: set the old one back at GitHub first and "
                "say so here, or wait for a delivery. Both stay accepted."
            )


def _under_way() -> WebhookSecret:
    new = rotation().new
    row = WebhookSecret.objects.filter(slot=new.slot).first() if new is not None else None
    if row is None:
        raise RotationError("No rotation is under way: begin one.")
    return row


def as_document(state: Rotation) -> dict[str, Any]:
    """Return the state as JSON, without any secret."""
    return {
        "under_way": state.new.slot if state.new else None,
        "is_proven": state.is_proven,
        "refused": state.refused,
        "accepted": [
            {
                "fingerprint": each.slot,
                "label": each.label,
                "not_after": each.not_after.isoformat() if each.not_after else None,
                "signed_at": each.signed_at.isoformat() if each.signed_at else None,
                "handed_over_at": each.handed_over_at.isoformat() if each.handed_over_at else None,
                "stays": each.stays,
            }
            for each in state.accepted
        ],
    }
