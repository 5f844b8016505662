"""Template filters of mails."""

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django import template
from django.conf import settings
from django.urls import reverse

from apps.users.models import CustomUser

register = template.Library()


@register.filter
def password_reset_url(user: CustomUser) -> str:
    """Return a new link with which the user's password can be set; it ends when it was used, or after three days."""
    arguments = [user_pk_to_url_str(user), default_token_generator.make_token(user)]
    return f"{settings.PUBLIC_URL}{reverse('account_reset_password_from_key', args=arguments)}"
