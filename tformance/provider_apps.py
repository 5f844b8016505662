"""Apps of allauth's providers whose own labels are taken."""

from django.apps import AppConfig


class GitHubProviderConfig(AppConfig):
    """Signing in with GitHub; the label `github` is that of apps.github."""

    name = "allauth.socialaccount.providers.github"
    label = "github_sign_in"
