"""Rotation of the webhook secret while deliveries flow: no delivery is refused on the way.

The new secret is accepted from the first step, before GitHub knows it. The old ones are accepted until a delivery was
signed with the new one, and some minutes longer, for deliveries that were on their way.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.common.encryption import UndecryptableError, can_encrypt, decrypt
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import ResponseKind
from apps.webhooks.models import Delivery, Refusal, WebhookSecret
from apps.webhooks.signature import fingerprint_of, store_secret

PURPOSE = Purpose(priority=Priority.LIVE, subject="webhook secret")
KNOWN_AFTER = timedelta(seconds=6)
"""Every web process accepts a stored secret within five seconds: before that GitHub must not sign with it."""
ON_THEIR_WAY = timedelta(minutes=5)
"""Deliveries that GitHub signed before it learned the new secret arrive within this time."""
LOOKED_AT = 1000
"""So many of the latest deliveries are looked at for the secrets that signed them."""
LABEL = "rotated"
BYTES = 32
Latest = Sequence[tuple[str, datetime]]


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
        return self.new is not None and self.new.signed_at is not None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that was just made; it is shown once."""

    row: WebhookSecret
    value: str = field(repr=False)


def rotation(latest: Latest | None = None) -> Rotation:
    """Return the state of the secrets; `latest` are the latest signatures, where the caller has read them.

    A rotation is under way from the creation of a secret until GitHub has signed with it and it is the only stored one
    that is accepted for an unlimited time.
    """
    stored = list(WebhookSecret.objects.live())
    own = [fingerprint_of(value).name for value in settings.GITHUB_WEBHOOK_SECRETS]
    signed = _signed_at([*(row.slot for row in stored), *own], latest=latest_signatures() if latest is None else latest)
    accepted = [
        SecretState(
            slot=row.slot,
            label=row.label,
            is_of_environment=False,
            created_at=row.created_at,
            not_after=row.not_after,
            signed_at=signed.get(row.slot),
        )
        for row in stored
    ]
    newest = accepted[0] if accepted and accepted[0].label.startswith(LABEL) and not accepted[0].not_after else None
    is_under_way = newest is not None and (
        newest.signed_at is None or any(not each.not_after for each in accepted if each is not newest)
    )
    of_environment = (of_settings(slot, signed_at=signed.get(slot)) for slot in own)
    return Rotation(
        accepted=(*accepted, *(each for each in of_environment if each.slot not in {row.slot for row in stored})),
        new=newest if is_under_way else None,
        refused=_refused_since(newest.created_at) if is_under_way and newest is not None else 0,
    )


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
    """Return the fingerprint of the secret and the arrival of the latest deliveries, the newest first."""
    posted = Delivery.objects.filter(source=Delivery.Source.WEBHOOK).order_by("-pk")
    return list(posted.values_list("signed_by", "received_at")[:LOOKED_AT])


def _signed_at(slots: list[str], *, latest: Latest) -> Mapping[str, datetime]:
    """Return when each secret last signed one of the latest deliveries."""
    found: dict[str, datetime] = {}
    for slot, at in latest:
        if slot in slots:
            found.setdefault(slot, at)
    return found


def _refused_since(at: datetime | None) -> int:
    rows = Refusal.objects.filter(reason="bad_signature", refused_at__gte=at).values_list("count", flat=True)
    return sum(rows)


def begin() -> NewSecret:
    """Make and store a new secret; it is accepted from now on. RotationError if one is under way."""
    if not can_encrypt():
        raise RotationError("Secrets cannot be stored: set FERNET_KEYS and restart.")
    if (under_way := rotation().new) is not None:
        raise RotationError(
            f"A rotation is under way since {under_way.created_at:%Y-%m-%d %H:%M} UTC: finish it first."
        )
    value = secrets.token_hex(BYTES)
    row = store_secret(value, label=f"{LABEL} {timezone.now():%Y-%m-%d %H:%M} UTC")
    return NewSecret(row, value)


def set_at_github(*, access: GitHubAccess, sleep: Callable[[float], object] = time.sleep) -> None:
    """Let GitHub sign with the new secret, once every process accepts it; RotationError if GitHub did not take it."""
    row = _under_way()
    left_s = (row.created_at + KNOWN_AFTER - timezone.now()).total_seconds()
    if left_s > 0:
        sleep(left_s)
    try:
        value = decrypt(row.encrypted_value)
        answer = access.patch_as_app("/app/hook/config", purpose=PURPOSE, body={"secret": value})
    except NoCredentialsError as error:
        raise RotationError("There is no key of the App: put the secret into the App's page on GitHub.") from error
    except UndecryptableError as error:
        raise RotationError("The new secret cannot be decrypted: its key is missing in FERNET_KEYS.") from error
    if answer.kind is not ResponseKind.OK:
        raise RotationError(f"GitHub did not take it: {answer.message}. Nothing changed; try again.")


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


def retire() -> int:
    """End the old secrets in a few minutes; return how many. RotationError before the new one has signed a delivery."""
    row = _under_way()
    now = rotation()
    if not now.is_proven:
        raise RotationError("GitHub has not signed with the new secret yet: the old one has to stay.")
    with transaction.atomic():
        old = WebhookSecret.objects.filter(not_after=None).exclude(pk=row.pk)
        return old.update(not_after=timezone.now() + ON_THEIR_WAY)


def give_up() -> None:
    """Delete the new secret; RotationError if GitHub signs with it already."""
    row = _under_way()
    if rotation().is_proven:
        raise RotationError("GitHub signs with the new secret already: retire the old one instead.")
    row.delete()


def _under_way() -> WebhookSecret:
    new = rotation().new
    if new is None:
        raise RotationError("No rotation is under way: begin one.")
    return WebhookSecret.objects.get(slot=new.slot)


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
            }
            for each in state.accepted
        ],
    }
