"""The inbox in the admin: search and replay deliveries; bodies are shown on demand, secrets never."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from apps.activity.models import Repository
from apps.common.admin import ReadOnlyAdmin, SmallPagesAdmin
from apps.common.db import is_id
from apps.common.encryption import encrypt
from apps.webhooks import inbox_overview, replay
from apps.webhooks.inspection import readable_body
from apps.webhooks.models import Delivery, DeliveryQuerySet, Refusal, WebhookSecret
from apps.webhooks.signature import fingerprint_of, is_strong

LONGEST_SHOWN = 200_000


def body_as_html(delivery: Delivery) -> SafeString:
    """Return the body as escaped HTML."""
    body = delivery.body
    if body is None:
        return format_html("<em>{}</em>", "The body has expired.")
    text = readable_body(body)[:LONGEST_SHOWN]
    return format_html('<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>', text)


def link_to_body(delivery: Delivery) -> SafeString:
    """Return a link that shows the body in the admin."""
    url = reverse("admin:webhooks_delivery_change", args=[delivery.pk])
    return format_html('<a href="{}?body=1">Show ({} bytes)</a>', url, delivery.size)


def headers_as_text(delivery: Delivery) -> str:
    """Return the stored headers, one per line."""
    body = delivery.body
    return "\n".join(f"{name}: {value}" for name, value in sorted(body.headers.items())) if body else ""


COLOURS = {
    "processed": "success",
    "received": "info",
    "running": "info",
    "failed": "warning",
    "quarantined": "warning",
    "dead": "danger",
}


INTERNALS = (
    "attempts",
    "crashes",
    "claim_number",
    "is_claimed_alone",
    "is_slow",
    "claimed_at",
    "lease_until",
    "leased_by",
    "notified_at",
    "not_before",
    "signed_by",
    "is_replayed_body",
    "is_sanitised",
    "body_digest",
)
"""Columns that only matter when a delivery is debugged."""


class ValueFilter(admin.SimpleListFilter):
    """Filter by a column whose values come from an index; Django's own filter would read the whole table."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, value) for value in inbox_overview.find_values(self.parameter_name or "")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class ReasonFilter(ValueFilter):
    """Filter by reason."""

    title, parameter_name = "reason", "reason"


class EventFilter(ValueFilter):
    """Filter by event."""

    title, parameter_name = "event", "event"


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries; `?body=1` on a delivery shows its body."""

    list_display = ("received_at", "what", "shown_state", "reason", "repository", "source", "attempts")
    list_filter = ("state", "source", "is_conflict", "is_replayed_body", "is_sanitised", ReasonFilter, EventFilter)
    sortable_by = ()  # only the order of ids has an index for every filter
    search_fields = ("event",)
    search_help_text = "GUID, HOOK:GUID, repository id or event"
    actions = ("replay_selected",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        named = Repository.objects.filter(pk=OuterRef("repository_id")).values("full_name")
        rows: DeliveryQuerySet = super().get_queryset(request)
        return rows.annotate(repository_name=Subquery(named))

    @admin.display(description="Event")
    def what(self, delivery: Any) -> str:
        return f"{delivery.event}.{delivery.action}" if delivery.action else str(delivery.event)

    @display(description="State", label=COLOURS)  # type: ignore[untyped-decorator]  # unfold is not typed
    def shown_state(self, delivery: Any) -> str:
        return str(delivery.state)

    @admin.display(description="Repository")
    def repository(self, delivery: Any) -> str:
        return str(delivery.repository_name or delivery.repository_id or "")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by equality only, so that an index serves every search."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if is_id(term):
            return queryset.filter(Q(repository_id=int(term)) | Q(installation_id=int(term))), False
        condition = replay.key_condition(term)
        return queryset.filter(condition if condition is not None else Q(event=term)), False

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("webhooks.change_delivery")

    @admin.action(description="Replay: process again", permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: DeliveryQuerySet) -> None:
        wanted = queryset.count()
        replayed = replay.replay(Delivery.objects.filter(id__in=list(queryset.values_list("id", flat=True))))
        self.message_user(request, f"{replayed} of {wanted} deliveries will be processed again.", messages.SUCCESS)
        if replayed < wanted:
            self.message_user(request, "The others are running, or their body has expired.", messages.WARNING)

    def get_fields(self, request: HttpRequest, obj: Delivery | None = None) -> list[str]:
        columns = [field.name for field in Delivery._meta.concrete_fields if field.name != "body_sha256"]
        return [*columns, "body_digest", "stored_headers", "body_text" if "body" in request.GET else "body_on_demand"]

    def get_fieldsets(self, request: HttpRequest, obj: Delivery | None = None) -> list[tuple[str | None, Any]]:
        shown = [name for name in self.get_fields(request, obj) if name not in INTERNALS]
        return [(None, {"fields": shown}), ("Internals", {"classes": ("collapse",), "fields": INTERNALS})]

    def get_readonly_fields(self, request: HttpRequest, obj: Delivery | None = None) -> list[str]:
        return self.get_fields(request, obj)

    @admin.display(description="SHA-256 of the body")
    def body_digest(self, delivery: Delivery) -> str:
        return bytes(delivery.body_sha256).hex()

    @admin.display(description="Stored headers")
    def stored_headers(self, delivery: Delivery) -> str:
        return headers_as_text(delivery)

    @admin.display(description="Body")
    def body_text(self, delivery: Delivery) -> str:
        return body_as_html(delivery)

    @admin.display(description="Body")
    def body_on_demand(self, delivery: Delivery) -> str:
        return link_to_body(delivery)


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin):
    """Requests that the receiver rejected."""

    list_display = ("refused_at", "status", "reason", "count", "size")
    list_filter = ("status", "reason")


class SecretMeta:
    """What both forms of a secret have."""

    model = WebhookSecret
    fields = ("label", "not_after")
    labels: ClassVar = {"label": "Name", "not_after": "Stops being accepted at"}
    help_texts: ClassVar = {"label": "", "not_after": "Empty for no end."}
    widgets: ClassVar = {"label": UnfoldAdminTextInputWidget()}


class WebhookSecretForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """Form of a new secret, which is never shown again."""

    value = forms.CharField(
        label="Secret",
        widget=UnfoldAdminPasswordWidget(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text="At least 16 random characters. It is stored encrypted and cannot be shown again.",
    )

    class Meta(SecretMeta):
        pass

    def clean_value(self) -> str:
        value: str = self.cleaned_data["value"]
        if not is_strong(value):
            raise forms.ValidationError("Too weak: use at least 16 random characters.")
        if WebhookSecret.objects.filter(slot=fingerprint_of(value).name).exists():
            raise forms.ValidationError("This secret is stored already.")
        return value


class StoredSecretForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """Form of a stored secret: everything but the secret itself."""

    class Meta(SecretMeta):
        pass


@admin.register(WebhookSecret)
class WebhookSecretAdmin(SmallPagesAdmin):
    """Webhook secrets, stored encrypted."""

    list_display = ("label", "slot", "created_at", "not_after")
    readonly_fields = ("slot", "created_at")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = StoredSecretForm if obj else WebhookSecretForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["label", "slot", "created_at", "not_after"] if obj else ["label", "value", "not_after"]

    def save_model(self, request: HttpRequest, obj: WebhookSecret, form: Any, change: bool) -> None:
        if not change:
            value = form.cleaned_data["value"]
            obj.slot = fingerprint_of(value).name
            obj.encrypted_value = encrypt(value)
        super().save_model(request, obj, form, change)
