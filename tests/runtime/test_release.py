"""A release: the version in one place, its section of the changelog, one commit, one tag."""

import subprocess
import sys
from pathlib import Path

import pytest

from tformance import __version__
from tformance.local.state import CHECKOUT

SCRIPT = CHECKOUT / ".ci" / "release.py"
CHANGELOG = "# Changelog\n\n## Unreleased\n\n- A page of what is stuck.\n\n## 1.0.0 (2026-11-29)\n\n- The first one.\n"


def run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository with a released version, a changelog and checks that pass."""
    (tmp_path / "tformance").mkdir()
    (tmp_path / "tformance" / "__init__.py").write_text('"""The project."""\n\n__version__ = "1.0.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "Makefile").write_text("check:\n\t@true\n")
    for command in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("config", "user.name", "Ana"),
        ("config", "user.email", "ana@example.com"),
        ("add", "--all"),
        ("commit", "--quiet", "--message", "all"),
        ("tag", "v1.0.0"),
    ):
        assert run(tmp_path, "git", *command).returncode == 0
    return tmp_path


def release(checkout: Path, version: str) -> "subprocess.CompletedProcess[str]":
    return run(checkout, sys.executable, str(SCRIPT), version)


def test_a_release_is_one_commit_with_a_tag_that_says_what_is_new(checkout: Path) -> None:
    answer = release(checkout, "1.1.0")
    assert (answer.returncode, answer.stdout) == (0, "Released 1.1.0. Publish it with: git push --follow-tags\n")
    assert '__version__ = "1.1.0"' in (checkout / "tformance" / "__init__.py").read_text()
    changelog = (checkout / "CHANGELOG.md").read_text()
    assert changelog.startswith("# Changelog\n\n## Unreleased\n\n## 1.1.0 (20")
    assert changelog.endswith("- A page of what is stuck.\n\n## 1.0.0 (2026-11-29)\n\n- The first one.\n")
    assert run(checkout, "git", "status", "--porcelain").stdout == ""
    assert run(checkout, "git", "log", "-1", "--format=%s %D").stdout == "release: 1.1.0 HEAD -> main, tag: v1.1.0\n"
    notes = run(checkout, "git", "tag", "--list", "v1.1.0", "--format", "%(contents)").stdout
    assert notes.strip() == "tformance 1.1.0\n\n- A page of what is stuck."


@pytest.mark.parametrize(
    ("version", "complaint"),
    [("1.1", "'1.1' is no version"), ("1.0.0", "1.0.0 is released"), ("0.9.9", "1.0.0 is released")],
)
def test_a_version_that_cannot_come_next_is_refused(checkout: Path, version: str, complaint: str) -> None:
    answer = release(checkout, version)
    assert answer.returncode == 2
    assert complaint in answer.stderr


def test_with_changes_that_are_not_committed_nothing_is_released(checkout: Path) -> None:
    (checkout / "new.txt").write_text("new")
    answer = release(checkout, "1.1.0")
    assert (answer.returncode, run(checkout, "git", "tag").stdout) == (2, "v1.0.0\n")
    assert "not committed" in answer.stderr


def test_without_a_word_on_what_is_new_nothing_is_released(checkout: Path) -> None:
    assert release(checkout, "1.1.0").returncode == 0
    answer = release(checkout, "1.2.0")
    assert answer.returncode == 2
    assert 'The section "Unreleased" of CHANGELOG.md is empty' in answer.stderr


def test_a_release_whose_checks_fail_leaves_everything_as_it_was(checkout: Path) -> None:
    (checkout / "Makefile").write_text("check:\n\t@false\n")
    run(checkout, "git", "commit", "--quiet", "--all", "--message", "checks fail")
    answer = release(checkout, "1.1.0")
    assert (answer.returncode, run(checkout, "git", "tag").stdout) == (1, "v1.0.0\n")
    assert (checkout / "CHANGELOG.md").read_text() == CHANGELOG
    assert run(checkout, "git", "status", "--porcelain").stdout == ""


def test_the_version_of_the_project_is_the_last_one_of_its_changelog() -> None:
    titles = [line for line in (CHECKOUT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert titles[0] == "## Unreleased"
    assert len(titles) == 1 or titles[1].startswith(f"## {__version__} (")
