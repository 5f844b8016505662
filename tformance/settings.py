"""Settings, all from the environment, validated at start."""

from pathlib import Path

from environs import Env

from tformance.embedded.remembered import remembered, var_folder

env = Env()
VAR = var_folder()
REMEMBERED = remembered(VAR)

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", REMEMBERED.get("SECRET_KEY"))
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "django_celery_results",
    "apps.users",
    "apps.notifications",
    "apps.activity",
    "apps.teams",
    "apps.metrics",
    "apps.webhooks",
    "apps.integrations",
    "apps.monitoring",
    "apps.dashboard",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
            ],
        },
    },
]

ROOT_URLCONF = "tformance.urls"
WSGI_APPLICATION = "tformance.wsgi.application"
AUTH_USER_MODEL = "users.CustomUser"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {"default": env.dj_db_url("DATABASE_URL", REMEMBERED.get("DATABASE_URL"))}

TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en-us"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"

ALLOWED_ACCOUNTS: list[str] = env.list("ALLOWED_ACCOUNTS", [])

CELERY_BROKER_URL = env.str("REDIS_URL", REMEMBERED.get("REDIS_URL"))

GITHUB_API_URL = env.str("GITHUB_API_URL", "https://api.github.com").rstrip("/")
GITHUB_WEBHOOK_SECRETS: list[str] = env.list("GITHUB_WEBHOOK_SECRETS", [])
FERNET_KEYS: list[str] = env.list("FERNET_KEYS", [])
BODY_RETENTION_DAYS = env.int("BODY_RETENTION_DAYS", 30)
