"""Settings in files: what counts before what, who reads them, and what is said of a mistake."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tformance.local.console import EmbeddedError
from tformance.settings_files import load_settings_files, read_settings_file

pytestmark = pytest.mark.proof

PROJECT = Path(__file__).resolve().parent.parent.parent
COMPLETE = {
    "SECRET_KEY": "a-secret-key-of-more-than-fifty-characters-0123456789",
    "DATABASE_URL": "postgres://nobody:hunter2@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
MISTAKES = [
    ("GITHUB_WEBHOOK_SECRET", "a-webhook-secret-0123456789", "GITHUB_WEBHOOK_SECRETS, in the plural"),
    ("PUBLIC_URL", "ftp://ana:hunter2@h", "PUBLIC_URL is invalid: it is not an address like https://"),
    ("SECRET_KEY", "changeme", "SECRET_KEY is invalid: it is weak. Use 50 random characters or more"),
    ("DATABASE_URL", "mysql://root@127.0.0.1/tformance", "DATABASE_URL names no PostgreSQL"),
    (
        "GITHUB_APP_PRIVATE_KEY_FILE",
        "/does/not/exist",
        "/does/not/exist, which cannot be read (No such file or directory)",
    ),
]
ENTRY_POINTS = {
    "manage.py": ("manage.py", "check"),
    "make run": ("-m", "tformance.local", "run"),
    "make celery-dev": ("-m", "tformance.local", "dev"),
    "web alone": ("-m", "tformance.local", "only", "web"),
    "celery worker": ("-m", "celery", "--app", "tformance", "worker"),
    "celery beat": ("-m", "celery", "--app", "tformance", "beat"),
}


@pytest.fixture
def var(tmp_path: Path) -> Path:
    folder = tmp_path / "var"
    folder.mkdir()
    return folder


def run(
    command: Sequence[str], *, var: Path, dotenv: Path | str = os.devnull, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run Python with these variables and no others of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env=kept | {"TFORMANCE_VAR": str(var), "TFORMANCE_ENV_FILE": str(dotenv)} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def setting(name: str, **environment: str | Path) -> str:
    """What a process of this environment finds in this setting."""
    code = f"from django.conf import settings; print(settings.{name})"
    options = {"dotenv": environment.pop("dotenv", os.devnull), "var": environment.pop("var")}
    answer = run(("-c", f"import tformance; {code}"), **options, **environment)  # type: ignore[arg-type]
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_the_environment_counts_before_dotenv_and_that_before_the_file_in_var(var: Path, tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    complete = "".join(f"{name}={value}\n" for name, value in COMPLETE.items())
    (var / "settings.env").write_text(f"{complete}BACKFILL_DAYS=1\nBODY_RETENTION_DAYS=1\nALLOWED_ACCOUNTS=first\n")
    dotenv.write_text(f"TFORMANCE_VAR={var}\nBACKFILL_DAYS=2\nBODY_RETENTION_DAYS=2\n")
    found = {
        name: setting(name, var="", dotenv=dotenv, BACKFILL_DAYS="3", BODY_RETENTION_DAYS="")
        for name in ("BACKFILL_DAYS", "BODY_RETENTION_DAYS", "ALLOWED_ACCOUNTS")
    }
    assert found == {"BACKFILL_DAYS": "3", "BODY_RETENTION_DAYS": "2", "ALLOWED_ACCOUNTS": "['first']"}


def test_a_file_counts_before_what_make_run_generated(var: Path) -> None:
    run(("-m", "tformance.local", "engines", "env"), var=var)
    (var / "settings.env").write_text(f"DATABASE_URL=postgres://a/b\nREDIS_URL={COMPLETE['REDIS_URL']}\n")
    assert len(setting("GITHUB_WEBHOOK_SECRETS", var=var)) > 60
    with (var / "settings.env").open("a") as file:
        file.write("GITHUB_WEBHOOK_SECRETS=my-own-secret-0123456789\n")
    assert setting("GITHUB_WEBHOOK_SECRETS", var=var) == "['my-own-secret-0123456789']"


def test_the_variables_for_other_programs_are_those_that_count(var: Path) -> None:
    (var / "settings.env").write_text("DATABASE_URL=postgres://mine/one\nGITHUB_APP_ID=12\n")
    answer = run(("-m", "tformance.local", "engines", "env"), var=var, GITHUB_APP_ID="13")
    lines = answer.stdout.splitlines()
    assert "export DATABASE_URL=postgres://mine/one" in lines
    assert "export GITHUB_APP_ID=13" in lines
    assert any(line.startswith("export REDIS_URL=redis://") for line in lines)


def test_quotes_comments_and_keys_of_several_lines_are_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        """# ours\nexport A=plain # said of it\nB='with $ and # inside'\nKEY="-----BEGIN\nkey\n-----END"\nEMPTY=\n"""
    )
    assert read_settings_file(file) == {
        "A": "plain",
        "B": "with $ and # inside",
        "KEY": "-----BEGIN\nkey\n-----END",
        "EMPTY": "",
    }


@pytest.mark.parametrize("line", ["PORT 8000", "SECRET_KEY", "A='never closed"])
def test_a_line_that_is_no_setting_is_named(var: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    (var / "settings.env").write_text(f"DEBUG=off\n{line}\n")
    monkeypatch.setenv("TFORMANCE_VAR", str(var))
    with pytest.raises(EmbeddedError, match=r"settings\.env, line 2, is not NAME=value"):
        load_settings_files()


@pytest.mark.parametrize(
    ("entry", "mistake"),
    [*((entry, MISTAKES[0]) for entry in ENTRY_POINTS), *(("manage.py", mistake) for mistake in MISTAKES[1:])],
    ids=[*ENTRY_POINTS, *(name for name, _, _ in MISTAKES[1:])],
)
def test_a_mistake_gets_one_clear_line(var: Path, entry: str, mistake: tuple[str, str, str]) -> None:
    name, value, words = mistake
    lines = "".join(f"{key}={text}\n" for key, text in (COMPLETE | {name: value}).items())
    (var / "settings.env").write_text(lines)
    (var / "settings.env").chmod(0o600)
    answer = run(ENTRY_POINTS[entry], var=var)
    assert answer.returncode == 1, answer.stderr
    (line,) = (answer.stdout + answer.stderr).strip().splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert f"It comes from {var / 'settings.env'}." in line
    assert "hunter2" not in line
    assert value not in line or name == "GITHUB_APP_PRIVATE_KEY_FILE"


def test_a_mistake_of_the_environment_is_said_to_be_one(var: Path) -> None:
    answer = run(("manage.py", "check"), var=var, **COMPLETE, PORT="eighty")
    assert "PORT is invalid: not a valid integer. It comes from the environment." in answer.stderr


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("GITHUB_APPID", " Did you mean GITHUB_APP_ID?"),
        ("DATABASE_URI", " Did you mean DATABASE_URL?"),
        ("BACKFIL_DAYS", " Did you mean BACKFILL_DAYS?"),
        ("QUITE_SOMETHING_ELSE", ""),
    ],
)
@pytest.mark.parametrize("entry", ["manage.py", "make run"])
def test_a_name_that_nothing_reads_is_said_with_the_nearest_that_is_read(
    var: Path, entry: str, name: str, hint: str
) -> None:
    file = var / "settings.env"
    others = ("PGSSLROOTCERT=/x", "HTTPS_PROXY=http://proxy:1", "POSTGRES_PASSWORD=x")
    file.write_text("\n".join([*(f"{key}={value}" for key, value in COMPLETE.items()), *others, f"{name}=1"]))
    file.chmod(0o600)
    commands = {"manage.py": ("manage.py", "check", "--tag", "security"), "make run": ENTRY_POINTS["make run"]}
    with socket.create_server(("127.0.0.1", 0)) as taken:  # for `make run` to end at once
        said = run(commands[entry], var=var, PORT=str(taken.getsockname()[1])).stderr
    lines = [line for line in said.splitlines() if "does not know" in line]
    assert [line.partition(str(file))[2] for line in lines] == [f" sets {name}, which tformance does not know.{hint}"]


def test_a_file_that_others_can_read_is_warned_of(var: Path) -> None:
    file = var / "settings.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in COMPLETE.items()))
    for mode, is_warned in ((0o600, False), (0o640, True), (0o644, True)):
        file.chmod(mode)
        answer = run(("manage.py", "check", "--tag", "security"), var=var)
        assert answer.returncode == 0, answer.stderr
        assert (f"chmod 600 {file}" in answer.stderr) is is_warned


def test_no_settings_file_is_taken_into_git_or_an_image() -> None:
    assert ".env" in (PROJECT / ".gitignore").read_text().splitlines()
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert "**/.env" in ignored


@pytest.mark.skipif(shutil.which("git") is None, reason="about git")
def test_git_ignores_the_settings_file() -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("about a checkout of git")
    assert subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=PROJECT, check=False).returncode == 0
