"""An edit that figures depend on appends a Change, in the same transaction as the edit."""

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction

from apps.activity.models import Change

Marked = TypeVar("Marked", bound="MarksChange")


class MarkingQuerySet(models.QuerySet[Marked]):
    """A queryset whose bulk edits leave their marks too."""

    def update(self, **values: Any) -> int:
        with transaction.atomic():
            before = list(self.select_for_update())
            mark(before)
            changed = super().update(**values)
            mark(self.model._default_manager.filter(pk__in=[row.pk for row in before]))
        return changed

    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            mark(self)
            return super().delete()

    def bulk_create(self, objs: Iterable[Marked], *args: Any, **options: Any) -> list[Marked]:
        with transaction.atomic():
            created = super().bulk_create(objs, *args, **options)
            mark(created)
        return created


class MarksChange(models.Model):
    """A row whose every edit is a change like any other: before and after the edit, as a key may move."""

    objects: ClassVar[Any] = MarkingQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            if self.pk and (before := type(self)._default_manager.filter(pk=self.pk).first()):
                mark([before])
            super().save(*args, **options)
            mark([self])

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            mark([self])
            return super().delete(*args, **options)

    def change(self) -> tuple[Change.Kind, str]:
        """The kind and key of what must be derived again."""
        raise NotImplementedError


def mark(rows: Iterable[MarksChange]) -> None:
    """Append one Change for each thing that the rows' edits touch."""
    touched = {row.change() for row in rows}
    Change.objects.bulk_create(Change(kind=kind, key=key) for kind, key in sorted(touched))
