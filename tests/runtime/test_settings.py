"""The environment is read and checked once, at start; what is wrong with it refuses to start and says why."""

import re
import runpy
import traceback
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

SUFFICIENT = {
    "SECRET_KEY": "a-secret-key-of-more-than-fifty-characters-0123456789",
    "DATABASE_URL": "postgres://user:password@db.example.com/name",
    "REDIS_URL": "redis://:password@redis.example.com:6379/0",
}
PROJECT = Path(__file__).resolve().parent.parent.parent
READING = re.compile(r'(?:env\.\w+\(\s*|needed_with\(env, )"([A-Z_]+)"')
SOURCES = [PROJECT / "tformance" / name for name in ("settings.py", "environment.py")]
OPERATIONS = (PROJECT / "docs" / "operations.md").read_text()
DOCUMENTED = set(
    re.findall(r"^\| `([A-Z_]+)` \|", OPERATIONS.partition("## Settings")[2].partition("\n### ")[0], re.MULTILINE)
)
OF_COMPOSE_ITSELF = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "COMPOSE_FILE"}
VARIABLES = sorted({"TFORMANCE_VAR", *(name for source in SOURCES for name in READING.findall(source.read_text()))})


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Settings as an environment of just these variables would make them."""

    def with_environment(**variables: str) -> dict[str, Any]:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in ({"TFORMANCE_VAR": str(tmp_path)} | SUFFICIENT | variables).items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(PROJECT / "tformance" / "settings.py"))

    return with_environment


@pytest.mark.parametrize("name", SUFFICIENT)
def test_what_has_no_default_is_asked_for_by_name(load: Any, name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^{name} is not set"):
        load(**{name: ""})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "eighty", "PORT is invalid: not a valid integer"),
        ("PORT", "70000", "PORT is invalid"),
        ("DEBUG", "perhaps", "DEBUG is invalid"),
        ("PUBLIC_URL", "tformance.example.com", "is not an address like https://"),
        ("DATABASE_URL", "nonsense", "DATABASE_URL names no PostgreSQL"),
        ("REDIS_URL", "http://redis", "REDIS_URL is invalid: it is not an address like redis://"),
        ("EMAIL_URL", "pigeon://loft", "EMAIL_URL names no kind of server"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,nginx", "'nginx' is neither an IP address nor a network"),
        ("GITHUB_API_URL", "http://github.example.com/api/v3", "must use https"),
        ("GITHUB_APP_ID", "my-app", "GITHUB_APP_ID is invalid"),
        ("GITHUB_APP_PRIVATE_KEY_FILE", "/does/not/exist", "cannot be read"),
        ("BODY_RETENTION_DAYS", "-1", "BODY_RETENTION_DAYS is invalid"),
        ("TFORMANCE_ROLE", "spectator", "TFORMANCE_ROLE is invalid"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_name(load: Any, name: str, value: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        load(**{name: value})
    assert words in str(refusal.value)
    assert name in str(refusal.value)


ADDRESSES = ("PUBLIC_URL", "GITHUB_API_URL", "TRUSTED_PROXIES", "DATABASE_URL", "REDIS_URL", "EMAIL_URL")


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize(
    "value",
    [
        "ftp://ana:hunter2@h.example.com/x",
        "http://ana:hunter2@h.example.com/x",
        "http://[ana:hunter2@h.example.com/x",
        "postgres://ana:hunt/hunter2@h.example.com/x",
        "ana:hunter2@h.example.com",
    ],
)
def test_no_user_and_no_password_of_an_address_is_shown(load: Any, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        load(**{name: value})
    shown = "".join(traceback.format_exception(refusal.value))
    message = shown[shown.rindex(name) :]
    assert not re.search("ana|hunt", message.replace("PUBLIC_URL is invalid", ""))
    assert not re.search(r"[\[\]{}\"']", message), "it is said in words"


def test_an_empty_variable_is_one_that_is_not_set(load: Any) -> None:
    settings = load(GITHUB_APP_ID="", BACKFILL_DAYS="", TRUSTED_PROXIES="", GITHUB_API_URL="")
    assert settings["GITHUB_APP_ID"] is None
    assert settings["TRUSTED_PROXIES"] == []
    assert settings["GITHUB_API_URL"] == "https://api.github.com"


@pytest.mark.parametrize(
    ("api", "graphql", "web"),
    [
        ("", "https://api.github.com/graphql", "https://github.com"),
        ("https://git.example.com/api/v3", "https://git.example.com/api/graphql", "https://git.example.com"),
        ("https://api.acme.ghe.com", "https://api.acme.ghe.com/graphql", "https://acme.ghe.com"),
    ],
)
def test_the_addresses_of_github_follow_from_its_api(load: Any, api: str, graphql: str, web: str) -> None:
    settings = load(GITHUB_API_URL=api)
    assert settings["GITHUB_GRAPHQL_URL"] == graphql
    assert settings["GITHUB_URL"] == web


def test_a_private_key_may_be_in_a_file_or_on_one_line(load: Any, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("one\ntwo\n")
    assert load(GITHUB_APP_PRIVATE_KEY_FILE=str(tmp_path / "key.pem"))["GITHUB_APP_PRIVATE_KEY"] == "one\ntwo\n"
    assert (
        load(GITHUB_APP_PRIVATE_KEY="one\\ntwo\\n", GITHUB_APP_PRIVATE_KEY_FILE="")["GITHUB_APP_PRIVATE_KEY"]
        == "one\ntwo\n"
    )
    with pytest.raises(ImproperlyConfigured, match="not both"):
        load(GITHUB_APP_PRIVATE_KEY="one", GITHUB_APP_PRIVATE_KEY_FILE=str(tmp_path / "key.pem"))


def test_an_https_address_makes_everything_secure(load: Any) -> None:
    settings = load(PUBLIC_URL="https://tformance.example.com")
    for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS"):
        assert settings[name]
    assert settings["ALLOWED_HOSTS"][0] == "tformance.example.com"
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://tformance.example.com"]


def test_further_hosts_are_allowed_besides_the_public_one(load: Any) -> None:
    settings = load(PUBLIC_URL="https://tformance.example.com", ALLOWED_HOSTS="inside.example.com")
    assert settings["ALLOWED_HOSTS"][:2] == ["tformance.example.com", "inside.example.com"]


def test_raw_bodies_are_kept_for_30_days_or_for_ever(load: Any) -> None:
    assert load()["BODY_RETENTION_DAYS"] == 30
    assert load(BODY_RETENTION_DAYS="0")["BODY_RETENTION_DAYS"] == 0


def test_a_loopback_address_stays_usable_without_tls(load: Any) -> None:
    settings = load(PORT="8123")
    assert settings["PUBLIC_URL"] == "http://127.0.0.1:8123"
    assert not settings["SECURE_SSL_REDIRECT"]
    assert settings["SECURE_HSTS_SECONDS"] == 0


@pytest.mark.parametrize(
    ("role", "statement", "lock", "idle"), [("web", 3000, 2000, 10_000), ("worker", 30_000, 10_000, 60_000)]
)
def test_who_may_wait_for_the_database_and_for_how_long(
    load: Any, role: str, statement: int, lock: int, idle: int
) -> None:
    options = load(TFORMANCE_ROLE=role)["DATABASES"]["default"]["OPTIONS"]
    assert options["options"] == options["options"].strip()  # some poolers refuse a blank at the end
    assert f"-c statement_timeout={statement} " in options["options"]
    assert f"-c lock_timeout={lock} " in options["options"]
    assert f"-c idle_in_transaction_session_timeout={idle}" in options["options"]
    assert (options["connect_timeout"], options["tcp_user_timeout"]) == (2, 5000)


def test_a_command_may_take_as_long_as_it_needs(load: Any) -> None:
    assert "timeout" not in load()["DATABASES"]["default"]["OPTIONS"]["options"]


@pytest.mark.parametrize("role", ["web", "worker", "beat", "command"])
def test_every_role_commits_durably_over_a_connection_that_is_checked_before_use(load: Any, role: str) -> None:
    database = load(TFORMANCE_ROLE=role)["DATABASES"]["default"]
    assert "-c synchronous_commit=on" in database["OPTIONS"]["options"]
    assert database["CONN_MAX_AGE"] == (600 if role == "web" else 60)
    assert (database["CONN_HEALTH_CHECKS"], database["ATOMIC_REQUESTS"]) == (True, False)
    assert "pool" not in database["OPTIONS"]


def test_what_a_database_url_says_of_itself_is_kept(load: Any) -> None:
    database = load(DATABASE_URL="postgres://u:p@h/n?sslmode=require&options=-c%20geqo%3Doff")["DATABASES"]["default"]
    assert database["OPTIONS"]["sslmode"] == "require"
    assert database["OPTIONS"]["options"].endswith("-c geqo=off")


def test_only_the_webhook_path_takes_large_bodies(load: Any) -> None:
    settings = load()
    assert settings["DATA_UPLOAD_MAX_MEMORY_SIZE"] == 1024 * 1024


def test_the_variables_are_found_in_the_source() -> None:
    assert set(SUFFICIENT) < set(VARIABLES)
    assert len(VARIABLES) > 20


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_is_explained_to_operators(name: str) -> None:
    assert name in DOCUMENTED or name == "GITHUB_WEBHOOK_SECRET"  # which is read to be refused


def test_the_example_of_a_settings_file_has_every_documented_setting_and_no_other() -> None:
    lines = (PROJECT / ".env.example").read_text().splitlines()
    named = {line[1:].partition("=")[0] for line in lines if re.match(r"#[A-Z_]+=", line)}
    assert named - OF_COMPOSE_ITSELF == DOCUMENTED
    assert all(not line or line.startswith("#") for line in lines)  # copied as it is, it changes nothing


def test_what_the_example_suggests_is_accepted(load: Any) -> None:
    lines = (PROJECT / ".env.example").read_text().splitlines()
    found = dict(line[1:].split("=", maxsplit=1) for line in lines if re.match(r"#[A-Z_]+=", line))
    load(**{name: value for name, value in found.items() if value and name in VARIABLES})


def found() -> set[str | None]:
    return {
        message.id for message in run_checks(include_deployment_checks=True) if str(message.id).startswith("tformance.")
    }


@pytest.fixture
def settings_in_order(settings: Settings) -> Settings:
    settings.GITHUB_APP_ID = None
    settings.GITHUB_APP_PRIVATE_KEY = settings.GITHUB_CLIENT_ID = settings.GITHUB_CLIENT_SECRET = ""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    return settings


def test_settings_in_order_pass(settings_in_order: Settings) -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("GITHUB_APP_PRIVATE_KEY", "-----BEGIN nothing", "tformance.E001"),
        ("GITHUB_APP_ID", 1, "tformance.E002"),
        ("GITHUB_CLIENT_ID", "id", "tformance.E002"),
        ("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend", "tformance.W001"),
    ],
)
def test_a_problem_is_found_by_its_id(settings_in_order: Settings, name: str, value: object, problem: str) -> None:
    setattr(settings_in_order, name, value)
    assert problem in found()
