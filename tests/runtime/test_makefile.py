"""make, and what a start says while it lasts."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from tests.runtime.test_settings import DOCUMENTED, VARIABLES
from tformance.celery_settings import QUEUES
from tformance.local import console
from tformance.local.__main__ import arguments, chosen_program
from tformance.local.console import step
from tformance.local.programs import STOP_SECONDS
from tformance.local.stop_processes import wait_until

PROJECT = Path(__file__).resolve().parent.parent.parent
MAKEFILE = PROJECT / "Makefile"
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE.read_text(), re.MULTILINE)

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="about make")


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """As from a terminal: a make that was started by another says which folder it enters."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=PROJECT, env=outside, capture_output=True, text=True, timeout=60, check=False
    )


@needs_make
def test_help_is_what_make_says_by_itself_and_lists_every_target() -> None:
    listed = {line.split()[0] for line in make().stdout.splitlines() if line.startswith("  ")}
    assert listed == set(TARGETS)
    assert all(len(line.split(maxsplit=1)) == 2 for line in make("help").stdout.splitlines())


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE.read_text(), re.MULTILINE)
    assert phony
    assert set(phony[1].replace("\\\n", " ").split()) == set(TARGETS)


@pytest.mark.parametrize(
    "name",
    [
        *("demo", "run", "stop", "test", "check", "lint", "types", "migrate", "bench", "backup", "restore", "upgrade"),
        *("celery-worker", "celery-beat", "celery-dev", "lock", "clean"),
    ],
)
def test_the_targets_that_people_know_exist(name: str) -> None:
    assert name in TARGETS


def test_every_target_that_a_document_names_exists() -> None:
    documents = [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]
    named = {target for page in documents for target in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert named
    assert named <= set(TARGETS)


@needs_make
def test_an_old_python_is_refused_in_words(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit\nexit 1\n')
    old.chmod(0o755)
    answer = make(f"PYTHON={old}", f"VENV={tmp_path}/venv", f"{tmp_path}/venv/bin/python")
    assert answer.returncode != 0
    assert "Python 3.9.2; tformance needs 3.11 or newer" in answer.stdout


@pytest.mark.proof
@needs_make
def test_a_long_installation_prints_its_progress(tmp_path: Path) -> None:
    slow = tmp_path / "python3"
    slow.write_text('#!/bin/sh\n[ "$1" = -m ] || exit 0\nsleep 3\nmkdir -p "$3/bin" && touch "$3/bin/python"\n')
    slow.chmod(0o755)
    answer = make(f"PYTHON={slow}", f"VENV={tmp_path}/venv", "PROGRESS_S=1", f"{tmp_path}/venv/bin/python")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.splitlines()[1:3] == ["  (1 s so far)", "  (2 s so far)"]


@needs_make
def test_a_missing_python_is_named(tmp_path: Path) -> None:
    answer = make("PYTHON=python9", f"VENV={tmp_path}/venv", f"{tmp_path}/venv/bin/python")
    assert answer.returncode != 0
    assert "python9 is not installed" in answer.stdout


def test_what_is_installed_is_pinned_by_hash() -> None:
    assert "--require-hashes" in MAKEFILE.read_text()
    for name in ("run.lock", "dev.lock"):
        lock = (PROJECT / "requirements" / name).read_text()
        pins = re.findall(r"^[a-z0-9-]+(?:\[[a-z,]+\])?==", lock, re.MULTILINE | re.IGNORECASE)
        assert len(pins) > 40
        assert len(re.findall(r"^\S+==.*\\\n\s+--hash=sha256:", lock, re.MULTILINE)) == len(pins)


def test_ci_runs_the_readmes_test_command() -> None:
    script = (PROJECT / ".ci" / "run").read_text()
    assert "make test" in script
    assert "make proofs" in script
    assert "make test" in (PROJECT / "README.md").read_text()
    assert "make check" in script


def test_what_may_take_ten_minutes_is_left_to_make_proofs() -> None:
    texts = {path: path.read_text() for path in (PROJECT / "tests").rglob("test_*.py")}
    long = [path for path, text in texts.items() if re.search(r"mark\.timeout\((?:[6-9]\d\d|\d{4,})\)", text)]
    assert len(long) > 5
    assert [path.name for path in long if "mark.proof" not in texts[path]] == []


def test_a_long_step_repeats_its_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(console, "SAY_EVERY_S", 0.05)
    said: list[str] = []

    def has_said_it_twice() -> bool:
        said.append(capsys.readouterr().out)
        return "".join(said).count("  tables are made (0 s so far)\n") >= 2

    with step("database", meanwhile="tables are made"):
        assert wait_until(has_said_it_twice, seconds=60)
    said.append(capsys.readouterr().out)
    assert "".join(said).startswith("  database … \n")
    assert "".join(said).splitlines()[-1].startswith("  database: ")


class EveryKeyOnce(yaml.SafeLoader):
    """Refuses a mapping that says a key twice, as Docker Compose does and YAML's usual loader does not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if len(set(keys)) < len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key occurs twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def load_yaml(text: str) -> Any:
    return yaml.load(text, Loader=EveryKeyOnce)  # noqa: S506  derived from the safe one


# Said by the image and the commands in it; PORT is where the machine publishes web.
NOT_PASSED_ON = {
    "TFORMANCE_VAR", "TFORMANCE_ROLE", "TFORMANCE_ENV_FILE",
    "PROMETHEUS_MULTIPROC_DIR", "WORKER_HEARTBEAT_FILE", "PORT",
}  # fmt: skip
COMPOSE: dict[str, Any] = load_yaml((PROJECT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("build")}
UNITS = sorted((PROJECT / "deploy" / "systemd").glob("*.service"))
DOCKERFILE = (PROJECT / "Dockerfile").read_text()

services = pytest.mark.parametrize("service", OURS.values(), ids=OURS.keys())
units = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def accept(command: list[str]) -> None:
    """Fail unless this is a command of ours that its own parser takes."""
    if command[1:3] == ["-m", "tformance.local"]:
        assert chosen_program(arguments(command[3:])).command
    else:
        assert command[1] == "manage.py"
        assert command[2] in get_commands()


@services
def test_a_service_runs_a_command_that_exists(service: dict[str, Any]) -> None:
    accept(service["command"])


@services
def test_a_service_gets_variables_that_exist_and_all_that_have_no_default(service: dict[str, Any]) -> None:
    given = set(service["environment"])
    assert given - {"WORKER_HEARTBEAT_FILE"} <= set(VARIABLES)
    assert {"SECRET_KEY", "FERNET_KEYS", "GITHUB_WEBHOOK_SECRETS", "DATABASE_URL", "REDIS_URL"} <= given


@services
def test_a_service_is_passed_every_documented_setting(service: dict[str, Any]) -> None:
    assert len(DOCUMENTED) > 25
    assert set(service["environment"]) >= DOCUMENTED - NOT_PASSED_ON
    for name in DOCUMENTED - NOT_PASSED_ON - {"GITHUB_APP_PRIVATE_KEY_FILE"}:
        assert service["environment"][name].startswith(f"${{{name}:"), name


@services
def test_what_a_service_keeps_and_its_backups_outlive_it(service: dict[str, Any]) -> None:
    named = dict(reversed(volume.split(":")) for volume in service["volumes"] if isinstance(volume, str))
    assert named == {"/var/lib/tformance": "var", "/var/lib/tformance/backups": "backups"}
    assert set(named.values()) <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("engine", ["postgres", "redis"])
def test_a_server_of_ones_own_takes_the_place_of_an_engine(engine: str) -> None:
    override = load_yaml((PROJECT / "deploy" / f"compose.own-{engine}.yml").read_text())
    assert override == {"services": {engine: {"profiles": ["not-started"]}}}
    needing = [one["depends_on"][engine] for one in COMPOSE["services"].values() if engine in one.get("depends_on", {})]
    assert needing
    assert all(one["required"] is False for one in needing)


@pytest.mark.parametrize("text", ["a: 1\na: 2", "a: {b: 1, b: 1}", "x: &x {a: 1}\ny:\n  <<: *x\n  b: 1\n  b: 2"])
def test_a_key_that_occurs_twice_would_be_found(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="occurs twice"):
        load_yaml(text)


@services
def test_the_key_of_the_app_is_where_its_variable_says(service: dict[str, Any]) -> None:
    (mount,) = (volume for volume in service["volumes"] if isinstance(volume, dict))
    assert (
        service["environment"]["GITHUB_APP_PRIVATE_KEY_FILE"] == f"${{GITHUB_APP_PRIVATE_KEY_FILE:+{mount['target']}}}"
    )
    assert mount["source"].startswith("${GITHUB_APP_PRIVATE_KEY_FILE:-")


@services
def test_a_service_has_time_to_stop_in_order(service: dict[str, Any]) -> None:
    assert int(service["stop_grace_period"].removesuffix("s")) > STOP_SECONDS


def test_every_queue_has_a_worker_and_no_worker_another_queue() -> None:
    commands = [service["command"] for service in OURS.values() if "--queues" in service["command"]]
    served = [command[command.index("--queues") + 1] for command in commands]
    assert sorted(served) == sorted(QUEUES)


def test_every_lasting_service_has_a_health_check() -> None:
    lasting = {name for name in COMPOSE["services"] if name != "migrate"}
    assert lasting == {"postgres", "redis", "web", "beat", *(f"worker-{queue}" for queue in QUEUES)}
    assert all(COMPOSE["services"][name].get("healthcheck") for name in lasting)


def test_no_secret_has_a_default() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    for name in ("SECRET_KEY", "FERNET_KEYS", "GITHUB_WEBHOOK_SECRETS", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        uses = re.findall(r"\$\{" + name + r"(:?[?-]?)", text)
        assert uses
        assert set(uses) == {":?"}


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_image_copies_files_that_exist_and_leaves_root() -> None:
    copied = [line.split()[1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    assert copied
    assert all((PROJECT / source).exists() for source in copied)
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert all(f"!{source}" in ignored for source in copied)
    assert re.findall(r"^USER (\w+)", DOCKERFILE, re.MULTILINE)[-1] == "tformance"


def test_the_image_runs_web_by_default() -> None:
    (command,) = re.findall(r"^CMD (\[.*\])", DOCKERFILE, re.MULTILINE)
    accept(yaml.safe_load(command))


@units
def test_a_unit_runs_commands_that_exist(unit: Path) -> None:
    lines = re.findall(r"^ExecStart(?:Pre)?=/opt/tformance/\.venv/bin/(python .*)$", unit.read_text(), re.MULTILINE)
    assert lines
    for line in lines:
        accept(shlex.split(line.replace("%i", "live")))


@units
def test_a_unit_stops_its_main_process_first_and_gives_it_time(unit: Path) -> None:
    text = unit.read_text()
    assert "KillMode=mixed" in text
    (seconds,) = re.findall(r"TimeoutStopSec=(\d+)", text)
    assert int(seconds) > STOP_SECONDS


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    key, certificate = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    site = (PROJECT / "deploy" / "nginx.conf").read_text().replace("/etc/ssl/tformance", str(tmp_path))
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{ include {tmp_path}/site.conf; }}\n"
    )
    answer = subprocess.run(["nginx", "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "warn" not in answer.stderr
