"""Notes in the admin."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from apps.notifications.models import Notification, NotificationQuerySet


@admin.register(Notification)
class NotificationAdmin(ModelAdmin):  # type: ignore[misc]
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
