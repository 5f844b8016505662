"""make, and what a start says while it lasts."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tformance.local import console
from tformance.local.console import step
from tformance.local.processes import wait_until

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
def test_what_takes_long_is_not_silent(tmp_path: Path) -> None:
    slow = tmp_path / "python3"
    slow.write_text('#!/bin/sh\n[ "$1" = -m ] || exit 0\nsleep 3\nmkdir -p "$3/bin" && touch "$3/bin/python"\n')
    slow.chmod(0o755)
    answer = make(f"PYTHON={slow}", f"VENV={tmp_path}/venv", "TELL_S=1", f"{tmp_path}/venv/bin/python")
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


def test_a_step_that_takes_long_says_what_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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
