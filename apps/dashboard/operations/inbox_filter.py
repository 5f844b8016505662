"""The filter of the inbox: what its address says, checked, and the same as a filter of deliveries."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from django import forms
from django.http import QueryDict

from apps.common.db import is_id
from apps.webhooks.inbox_overview import find_values
from apps.webhooks.models import Delivery
from apps.webhooks.replay import Filter, find_repository_id, key_condition

ANY = [("", "Any")]
SEARCH_HELP = "A GUID, event, action, reason, or repository (owner/name or id), written in full."
BODIES_HELP = "Bodies are not searched: that would read all of them."


class InboxFilterForm(forms.Form):
    """The controls of the inbox. All that are set must match; when the form is valid it has `wanted`."""

    q = forms.CharField(required=False, max_length=200, label="Search", help_text=SEARCH_HELP)
    state = forms.ChoiceField(required=False, choices=[*ANY, *((name, name.capitalize()) for name in Delivery.State)])
    event = forms.ChoiceField(required=False)
    action = forms.CharField(required=False, max_length=100)
    reason = forms.ChoiceField(required=False)
    repository = forms.CharField(required=False, max_length=200, help_text="owner/name, or GitHub's id")
    installation = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, help_text="GitHub's id")
    since = forms.DateTimeField(required=False, label="From (UTC)")
    until = forms.DateTimeField(required=False, label="Until (UTC)")
    guid = forms.CharField(required=False, max_length=100, label="GUID")
    error = forms.CharField(required=False, max_length=600)

    wanted: Filter

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, auto_id="filter-%s", label_suffix="")
        self.events, self.reasons = find_values("event"), find_values("reason")
        for name, values in (("event", self.events), ("reason", self.reasons)):
            shown = dict.fromkeys([*values, *filter(None, [data.get(name)])])
            self.fields[name] = forms.ChoiceField(required=False, choices=[*ANY, *((one, one) for one in shown)])
        for name in ("since", "until"):
            self.fields[name].widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        if data["error"] and not (data["state"] in Delivery.NEEDS_ATTENTION or data["reason"]):
            raise forms.ValidationError("An error is searched only together with a reason, or a state that has errors.")
        try:
            self.wanted = self._filter_of(data)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return data

    @property
    def is_narrow(self) -> bool:
        """Return whether anything is set."""
        return self.is_valid() and self.wanted != Filter()

    def _filter_of(self, data: Mapping[str, Any]) -> Filter:
        asked = {**self._searched(data["q"].strip()), **{name: value for name, value in data.items() if value}}
        repository = asked.get("repository")
        if guid := asked.get("guid"):
            asked["key"] = guid
        if "key" in asked and key_condition(asked["key"]) is None:
            raise ValueError(f"{asked['key']!r} is not a GUID, as GitHub shows it.")
        return Filter(
            **{name: asked.get(name) for name in ("key", "event", "action", "state", "reason", "error")},
            installation_id=asked.get("installation"),
            repository_id=find_repository_id(repository) if repository else None,
            since=_in_utc(asked.get("since")),
            until=_in_utc(asked.get("until")),
        )

    def _searched(self, term: str) -> dict[str, Any]:
        """Return what the text of the search means: each meaning has its index."""
        if not term:
            return {}
        if key_condition(term) is not None:
            return {"key": term}
        if "/" in term or is_id(term):
            return {"repository": term}
        for name, values in (("event", self.events), ("reason", self.reasons)):
            if term.lower() in values:
                return {name: term.lower()}
        return {"action": term}


def _in_utc(at: Any) -> Any:
    return at and (at if at.tzinfo else at.replace(tzinfo=UTC))
