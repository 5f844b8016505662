"""What of whose history to read, as a form of the admin."""

from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.db.models import Q, QuerySet
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from apps.activity.models import Installation, Repository
from apps.integrations.backfill.start import NothingToStart, Scope, chosen
from apps.integrations.models import Backfill
from apps.teams.models import Team, TeamRepository

EARLIEST = date(1970, 1, 1)
MOST_CHOSEN = 300
"""So many fit into an address, and into what a request may carry."""


def completing(model: Any, field: str) -> AutocompleteSelectMultiple:
    """A choice of several that completes itself, as that field's in the admin of its model."""
    return AutocompleteSelectMultiple(model._meta.get_field(field), admin.site)


class DayField(forms.DateField):
    """A day; the browser brings the calendar."""

    widget = UnfoldAdminTextInputWidget(attrs={"type": "date"})

    def clean(self, value: Any) -> datetime | None:
        """Its first moment, UTC."""
        day = super().clean(value)
        if day is None:
            return None
        if day < EARLIEST:
            raise forms.ValidationError("Give a day from 1970 on.")
        return datetime.combine(day, time(), tzinfo=UTC)


class BackfillForm(forms.Form):
    """Which repositories, and what of each. When it is valid it has `chosen` and `scope`."""

    repositories = forms.ModelMultipleChoiceField(
        Repository.objects.filter(deleted_at__isnull=True),
        required=False,
        widget=completing(Backfill, "repository"),
    )
    installations = forms.ModelMultipleChoiceField(
        Installation.objects.all(),
        required=False,
        widget=completing(Backfill, "installation"),
        help_text="All repositories that they reach.",
    )
    teams = forms.ModelMultipleChoiceField(
        Team.objects.all(),
        required=False,
        widget=completing(TeamRepository, "team"),
        help_text="All repositories that they track.",
    )
    everything = forms.BooleanField(
        required=False, widget=UnfoldBooleanWidget, label="Everything that any installation reaches"
    )
    since = DayField(required=False, help_text="Only what was updated since that day (UTC); empty for all of it.")
    until = DayField(required=False, help_text="Nothing that was created from that day on (UTC).")
    streams = forms.MultipleChoiceField(
        choices=[(name, name.replace("_", " ").capitalize()) for name in Backfill.Stream.values],
        initial=Backfill.Stream.values,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    chosen: QuerySet[Repository]
    scope: Scope

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        try:
            self.chosen = chosen_in(data)
            self.scope = Scope(since=data["since"], until=data["until"], streams=tuple(data["streams"]))
        except NothingToStart as error:
            raise forms.ValidationError(str(error)) from error
        if self.scope.since and self.scope.since > timezone.now():
            raise forms.ValidationError({"since": "Nothing was updated since a day to come."})
        return data


def chosen_in(data: dict[str, Any]) -> QuerySet[Repository]:
    """The repositories of all the choices together; NothingToStart for none, and where one of them has none."""
    parts = [
        *([data["repositories"]] if data["repositories"] else []),
        *(chosen(installation_id=installation.pk) for installation in data["installations"]),
        *(chosen(team=team) for team in data["teams"]),
        *([chosen(everything=True)] if data["everything"] else []),
    ]
    if not parts:
        raise NothingToStart("Choose repositories, installations, teams, or everything.")
    is_chosen = Q()
    for part in parts:
        is_chosen |= Q(pk__in=part.order_by().values("pk"))
    return Repository.objects.filter(is_chosen)
