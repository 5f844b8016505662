"""Encryption of stored secrets: with the newest of FERNET_KEYS, decrypted with any of them.

Whatever is kept so is in a model field whose name starts with `encrypted_`: `rotate_keys` finds it by that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import models, transaction

PREFIX = "encrypted_"
AT_A_TIME = 500


class UndecryptableError(Exception):
    """None of FERNET_KEYS decrypts this: its key was lost or removed too early."""


@dataclass(slots=True)
class Rotation:
    """The result of rotating the values of a field."""

    name: str
    renewed: int = 0
    current: int = 0
    lost: int = 0


def can_encrypt() -> bool:
    """Return whether there is an encryption key."""
    return bool(settings.FERNET_KEYS)


def encrypt(value: str) -> bytes:
    """Return the value encrypted with the newest key; ValueError if there is none."""
    return _fernet().encrypt(value.encode())


def decrypt(kept: bytes | memoryview) -> str:
    """Return the decrypted value; UndecryptableError if no key decrypts it."""
    try:
        return _fernet().decrypt(bytes(kept)).decode()
    except (InvalidToken, ValueError) as error:
        raise UndecryptableError from error


def is_current(kept: bytes | memoryview) -> bool:
    """Return whether the value is encrypted with the newest key."""
    try:
        Fernet(settings.FERNET_KEYS[0]).decrypt(bytes(kept))
    except InvalidToken:
        return False
    return True


def encrypted_fields() -> Iterator[tuple[type[models.Model], str]]:
    """Yield every model field with encrypted values."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if field.name.startswith(PREFIX):
                yield model, field.name


def rotate(model: type[models.Model], field: str) -> Rotation:
    """Re-encrypt the values of a field that are not encrypted with the newest key, one transaction per batch."""
    done = Rotation(name=str(model._meta.verbose_name_plural))
    last = None
    while last := _rotate_batch(model, field, after=last, done=done):
        pass
    return done


@transaction.atomic
def _rotate_batch(model: type[models.Model], field: str, *, after: object, done: Rotation) -> object:
    rows = model._default_manager.order_by("pk").select_for_update()
    if after is not None:
        rows = rows.filter(pk__gt=after)
    batch = list(rows[:AT_A_TIME])
    for row in batch:
        _rotate_row(row, field, done=done)
    return batch[-1].pk if batch else None


def _rotate_row(row: models.Model, field: str, *, done: Rotation) -> None:
    kept = getattr(row, field)
    if is_current(kept):
        done.current += 1
        return
    try:
        renewed = _fernet().rotate(bytes(kept))
    except InvalidToken:
        done.lost += 1
        return
    setattr(row, field, renewed)
    row.save(update_fields=[field])
    done.renewed += 1


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FERNET_KEYS])
