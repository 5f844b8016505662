"""Settings: everything from the environment, validated at start. docs/operations.md explains each variable.

A file may complete the environment: tformance/settings_files.py.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from environs import EnvError, validate

from apps.common.github_host import GitHubHost
from tformance import __version__, admin_settings, celery_settings, environment
from tformance.api import settings as api_settings
from tformance.environment import MISTAKES, Environment, SettingsError
from tformance.local import programs
from tformance.local.console import EmbeddedError
from tformance.local.state import local_settings, var_folder
from tformance.log_format import logging_configuration
from tformance.settings_files import load_settings_files

BASE_DIR = Path(__file__).resolve().parent.parent
try:
    load_settings_files()
    TFORMANCE_VAR = var_folder()
    LOCAL_SETTINGS = local_settings(TFORMANCE_VAR)
except EmbeddedError as error:
    raise SettingsError(str(error)) from error
env = Environment(LOCAL_SETTINGS)

# --- What the environment says -------------------------------------------------------------------------------------

try:
    ROLE: str = env.str("TFORMANCE_ROLE", "command", validate=validate.OneOf(["web", "worker", "beat", "command"]))
    DEBUG: bool = env.bool("DEBUG", False)
    PORT: int = env.int("PORT", 8000, validate=validate.Range(min=1, max=65535))
    PUBLIC_URL: str = env.str("PUBLIC_URL", f"http://127.0.0.1:{PORT}", validate=environment.absolute_url).rstrip("/")
    SECRET_KEY: str = env.str("SECRET_KEY", validate=environment.strong_key)
    FERNET_KEYS: list[str] = env.list("FERNET_KEYS", [])
    DATABASE: dict[str, Any] = environment.postgres(env)
    REDIS_URL: str = env.str("REDIS_URL", validate=environment.redis_url)
    OUTGOING_WEBHOOK_ORIGINS: list[str] = env.list("OUTGOING_WEBHOOK_ORIGINS", [], validate=environment.origins)
    EMAIL: dict[str, Any] = environment.email(env, default="console:" if DEBUG else "dummy:")
    ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", [])
    TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", [], validate=environment.networks)
    GITHUB_WEBHOOK_SECRETS: list[str] = environment.webhook_secrets(env)
    GITHUB_APP_ID: int | None = env.int("GITHUB_APP_ID", None)
    GITHUB_APP_PRIVATE_KEY: str = environment.private_key(env)
    GITHUB_CLIENT_ID: str = env.str("GITHUB_CLIENT_ID", "")
    GITHUB_CLIENT_SECRET: str = env.str("GITHUB_CLIENT_SECRET", "")
    GITHUB_SIGN_IN_MEMBERS_ONLY: bool = env.bool("GITHUB_SIGN_IN_MEMBERS_ONLY", False)
    OIDC_ISSUER: str = env.str("OIDC_ISSUER", "", validate=environment.issuer)
    OIDC_CLIENT_ID: str = environment.needed_with(env, "OIDC_CLIENT_ID", other="OIDC_ISSUER")
    OIDC_CLIENT_SECRET: str = env.str("OIDC_CLIENT_SECRET", "")
    OIDC_NAME: str = env.str("OIDC_NAME", "single sign-on")
    OIDC_DOMAINS: list[str] = env.list("OIDC_DOMAINS", [])
    GITHUB_API_URL: str = env.str("GITHUB_API_URL", "https://api.github.com", validate=environment.github_url)
    ALLOWED_ACCOUNTS: list[str] = env.list("ALLOWED_ACCOUNTS", [])
    BACKFILL_DAYS: int = env.int("BACKFILL_DAYS", 90, validate=validate.Range(min=1))
    SCAN_REDELIVERS: bool = env.bool("SCAN_REDELIVERS", False)
    SMALLEST_GROUP: int = env.int("SMALLEST_GROUP", 1, validate=validate.Range(min=1))
    SMALLEST_GROUP_ACROSS_TEAMS: int = env.int("SMALLEST_GROUP_ACROSS_TEAMS", 5, validate=validate.Range(min=1))
    METRICS_TOKEN: str = env.str("METRICS_TOKEN", "")
    BODY_RETENTION_DAYS: int = env.int("BODY_RETENTION_DAYS", 30, validate=validate.Range(min=0))
except EnvError as error:
    raise environment.explain(error) from None  # the cause quotes the value, and it may hold a password

KNOWN_SETTINGS = frozenset(env.known)
MISTAKEN_SETTINGS = dict(MISTAKES)  # which only doctor goes on without

# The engines that came with the Python packages, for doctor to name.
EMBEDDED_ENGINES = [
    name
    for name, variable in (("PostgreSQL", "DATABASE_URL"), ("Redis", "REDIS_URL"))
    if env.str(variable) == LOCAL_SETTINGS.get(variable)
]
PUBLIC_HOST = str(urlsplit(PUBLIC_URL).hostname)
# Health checks and the command line come in by loopback, whatever the public name is.
ALLOWED_HOSTS = [*dict.fromkeys([PUBLIC_HOST, *ALLOWED_HOSTS, "localhost", "127.0.0.1", "[::1]"])]
GITHUB_API_URL = GITHUB_API_URL.rstrip("/")
GITHUB_GRAPHQL_URL = GitHubHost(GITHUB_API_URL).graphql_url
GITHUB_URL = GitHubHost(GITHUB_API_URL).web_url
IS_HTTPS = PUBLIC_URL.startswith("https://")

# --- Django --------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "apps.dashboard",  # first: its sign-in pages stand in for allauth's
    "tformance",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "tformance.provider_apps.GitHubProviderConfig",
    "allauth.socialaccount.providers.openid_connect",
    "axes",
    "csp",
    "django_htmx",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "django_celery_results",
    "apps.users",
    "apps.activity",
    "apps.teams",
    "apps.jobs",
    "apps.metrics",
    "apps.notifications",
    "apps.webhooks",
    "apps.github",
    "apps.integrations",
    "apps.monitoring",
    "apps.demo",
]

MIDDLEWARE = [
    "tformance.middleware.TrustedProxyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "tformance.middleware.ContentSecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
    "tformance.middleware.NulMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.dashboard.notes.unread_count",
            ],
        },
    },
]

ROOT_URLCONF = "tformance.urls"
WSGI_APPLICATION = "tformance.wsgi.application"
AUTH_USER_MODEL = "users.CustomUser"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": environment.database_settings(DATABASE, role=ROLE)}
WEB_DATABASE = environment.database_settings(DATABASE, role="web")  # for checks of the sessions that web would have

TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = "tformance.formats"

STATIC_URL = "/static/"
STATIC_ROOT = TFORMANCE_VAR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "tformance.static_files.StaticFiles"},
}

# The webhook path reads up to its own limit (apps/webhooks/request_body.py);
# every other path has no use for large bodies.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# What large bodies may take of this process at the same time (apps/webhooks/request_body.py).
LARGE_BODY_BYTES_PER_PROCESS = programs.LARGE_BODY_BYTES // programs.WEB_PROCESSES

EMAIL_BACKEND = EMAIL["EMAIL_BACKEND"]
EMAIL_HOST = EMAIL["EMAIL_HOST"]
EMAIL_PORT = EMAIL["EMAIL_PORT"]
EMAIL_HOST_USER = EMAIL["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = EMAIL["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = EMAIL["EMAIL_USE_TLS"]
EMAIL_USE_SSL = EMAIL["EMAIL_USE_SSL"]
EMAIL_FILE_PATH = EMAIL["EMAIL_FILE_PATH"]
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = EMAIL.get("DEFAULT_FROM_EMAIL") or f"tformance@{PUBLIC_HOST}"
SERVER_EMAIL = DEFAULT_FROM_EMAIL

LOGGING = logging_configuration(role=ROLE)

# --- Signing in and staying safe -----------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"

AXES_HANDLER = "apps.users.sign_in_limits.SignInLimits"
AXES_USERNAME_CALLABLE = "apps.users.sign_in_limits.user_name"
AXES_CLIENT_IP_CALLABLE = "apps.users.sign_in_limits.client_network"
AXES_LOCKOUT_CALLABLE = "apps.users.sign_in_limits.refused"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False

ACCOUNT_ADAPTER = "apps.users.sign_in_limits.ClosedSignUp"
# allauth's own limits count in each process, and by name alone: who knows a name could lock its person out.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None}
SOCIALACCOUNT_ADAPTER = "apps.integrations.openid_sign_in.Accounts"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_FORMS = {"reset_password": "apps.dashboard.password_reset.ResetForm"}
SOCIALACCOUNT_PROVIDERS = {
    "github": {
        "SCOPE": ["read:user"],
        "GITHUB_URL": GITHUB_URL,
    }
}

CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
# A message may hold a token that is shown once: no cookie carries it.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz|metrics)$"]  # called by machines of the same network, without TLS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_HTTPS
SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "https://avatars.githubusercontent.com"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],  # and GitHub, on the pages that lead there: tformance/middleware.py
        "frame-ancestors": [NONE],
    }
}

# --- The API and the admin: api/settings.py, admin_settings.py -----------------------------------------------------

REST_FRAMEWORK = api_settings.REST_FRAMEWORK
SPECTACULAR_SETTINGS = {**api_settings.SPECTACULAR_SETTINGS, "VERSION": __version__}
UNFOLD = admin_settings.UNFOLD

# --- Celery: wake-ups only; the reasons are in celery_settings.py ----------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = "tformance.task_results.RedactedResults"  # of the one task that keeps its result
globals().update(celery_settings.settings_of_role(role=ROLE, var=TFORMANCE_VAR))
