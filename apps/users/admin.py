"""Users, groups, tokens and sign-ins in the admin; the admin uses the sign-in page of the dashboard."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.common.admin import SmallPagesAdmin
from apps.users.access import is_operator
from apps.users.models import ApiToken, CustomUser

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

# An account's connection to GitHub holds tokens, and the App's own credentials come from the environment.
HIDDEN = (SocialApp, SocialToken)

for model in (Group, EmailAddress, SocialAccount, AccessAttempt, AccessFailureLog, AccessLog, *HIDDEN):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, SmallPagesAdmin):
    """Groups give staff permissions in the admin."""


@admin.register(CustomUser)
class CustomUserAdmin(DjangoUserAdmin, SmallPagesAdmin):  # type: ignore[type-arg]
    """Users."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")


@admin.register(ApiToken)
class ApiTokenAdmin(SmallPagesAdmin):
    """API tokens; the secret is shown once, when a token is created."""

    list_display = ("shown", "label", "user", "created_at", "last_used_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("label", "user__username", "shown")
    autocomplete_fields = ("user",)
    readonly_fields = ("shown", "created_at", "last_used_at")

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        return (
            ("user", "label", "expires_at") if obj is None else ("user", "label", "expires_at", *self.readonly_fields)
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else ("user", *self.readonly_fields)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only the user's own account, unless an operator creates the token."""
        if db_field.name == "user" and not is_operator(request.user):
            kwargs["queryset"] = CustomUser.objects.filter(username=request.user.get_username())
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: "ModelForm[ApiToken]", change: Any) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        token, secret = ApiToken.objects.issue(user=obj.user, label=obj.label, expires_at=obj.expires_at)
        obj.pk, obj.shown = token.pk, token.shown
        messages.warning(request, format_html("Copy the token now. It cannot be shown again: <code>{}</code>", secret))


@admin.register(SocialAccount)
class SocialAccountAdmin(SmallPagesAdmin):
    """GitHub accounts that users sign in with."""

    list_display = ("user", "provider", "uid", "last_login")
    list_select_related = ("user",)
    search_fields = ("user__username", "uid")
    autocomplete_fields = ("user",)
    readonly_fields = ("provider", "uid", "last_login", "date_joined", "extra_data")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(EmailAddress)
class EmailAddressAdmin(SmallPagesAdmin):
    """E-mail addresses of users."""

    list_display = ("email", "user", "primary", "verified")
    list_select_related = ("user",)
    list_filter = ("primary", "verified")
    search_fields = ("email", "user__username")
    autocomplete_fields = ("user",)


class SignInAdmin(SmallPagesAdmin):
    """Records of django-axes; deleting a failed sign-in unlocks the user."""

    search_fields = ("username", "ip_address")
    show_full_result_count = False
    ordering = ("-attempt_time",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AccessAttempt)
class AccessAttemptAdmin(SignInAdmin):
    """Failed sign-ins."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start", "path_info")


@admin.register(AccessFailureLog)
class AccessFailureLogAdmin(SignInAdmin):
    """Each failed sign-in, if django-axes is configured to log them."""

    list_display = ("attempt_time", "username", "ip_address", "locked_out", "path_info")


@admin.register(AccessLog)
class AccessLogAdmin(SignInAdmin):
    """Sign-ins and sign-outs."""

    list_display = ("attempt_time", "logout_time", "username", "ip_address", "path_info")
