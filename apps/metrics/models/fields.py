"""Columns that derived rows share."""

from typing import TYPE_CHECKING, Any

from django.db import models

from apps.activity.models import Contributor, Repository
from apps.teams.models import AccountRule

if TYPE_CHECKING:
    Reference = models.ForeignKey[Any, Any]

RULES_VERSION = 12
"""Raise it with every change of a definition: rows of an older version are derived anew."""


def repository_reference() -> "Reference":
    """Return a reference to a repository without an index, because every index starts with it."""
    return models.ForeignKey(
        Repository, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )


def contributor_reference(*, help_text: str = "") -> "Reference":
    """Return a reference to a contributor; null if the account was deleted or is unknown."""
    return models.ForeignKey(
        Contributor,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        related_name="+",
        help_text=help_text,
    )


def author_class_field() -> "models.TextField[str, str]":
    """Return the class of the account that opened a pull request."""
    classes = AccountRule.AccountClass
    return models.TextField(choices=classes.choices, db_default=classes.HUMAN)


def current_rules() -> int:
    return RULES_VERSION


def rules_version_field() -> "models.SmallIntegerField[int, int]":
    return models.SmallIntegerField(default=current_rules, editable=False)
