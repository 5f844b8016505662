"""Notes, messages, subscriptions and alerts in the admin."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.common.admin import ReadOnlyAdmin, SmallPagesAdmin
from apps.jobs.admin import JobRowsAdmin
from apps.notifications.models import (
    Alert,
    MailMessage,
    Notification,
    NotificationQuerySet,
    Subscription,
    WebhookMessage,
)


@admin.register(Notification)
class NotificationAdmin(SmallPagesAdmin):
    """Notes to users."""

    list_display = ("message", "user", "created_at", "read_at")
    list_filter = (("read_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("message", "user__username")
    autocomplete_fields = ("user",)
    readonly_fields = ("created_at",)
    actions = ("mark_read",)

    @admin.action(description="Mark as read")
    def mark_read(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        if isinstance(queryset, NotificationQuerySet):
            self.message_user(request, f"{queryset.mark_read()} marked as read.")


@admin.register(MailMessage, WebhookMessage)
class MessageAdmin(JobRowsAdmin):
    """Messages that were sent, wait or failed."""

    list_filter = ("state",)
    list_select_related = True

    @admin.display(description="Message")
    def title(self, row: MailMessage | WebhookMessage) -> str:
        return str(row)


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Who is notified of what."""

    list_display = ("user", "team", "topic", "by_note", "by_mail", "changed_at")
    list_filter = ("topic",)
    list_select_related = ("user", "team")
    search_fields = ("user__username__istartswith",)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What was wrong, from when until when."""

    list_display = ("words", "team", "topic", "opened_at", "over_at")
    list_filter = ("topic", ("over_at", admin.EmptyFieldListFilter))
    list_select_related = ("team",)
