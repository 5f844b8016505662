"""Release a version: `make release VERSION=1.2.0`.

It turns the section "Unreleased" of CHANGELOG.md into that of the version, writes the version into
tformance/__init__.py, runs `make check`, commits both and tags the commit with the section as its message. It pushes
nothing: it says what to push. Where anything is not as it must be, it changes nothing and exits with 2.
"""

import argparse
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

CHANGELOG, CODE = Path("CHANGELOG.md"), Path("tformance/__init__.py")
VERSION = re.compile(r'^__version__ = "(\d+\.\d+\.\d+)"$', re.MULTILINE)
UNRELEASED = "## Unreleased\n"
SECTION = re.compile(r"(?<=^## Unreleased\n)(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
USAGE = 2


class NotReleasableError(Exception):
    """The checkout is not in a state to be released; the message says what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make release VERSION=…", description=__doc__)
    parser.add_argument("version", help="such as 1.2.0: greater than the last one")
    wanted = parser.parse_args().version
    try:
        notes = ensure_releasable(wanted)
    except NotReleasableError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    write(wanted, notes=notes)
    if subprocess.run(["make", "--no-print-directory", "check"], check=False).returncode:
        git("checkout", "--", str(CHANGELOG), str(CODE))
        print("error: `make check` failed. Nothing is changed.", file=sys.stderr)
        return 1
    git("commit", "--all", "--message", f"release: {wanted}")
    git("tag", "--annotate", f"v{wanted}", "--cleanup=verbatim", "--message", f"tformance {wanted}\n\n{notes}")
    print(f"Released {wanted}. Publish it with: git push --follow-tags")
    return 0


def ensure_releasable(wanted: str) -> str:
    """Return the notes of the version, or raise NotReleasableError."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", wanted):
        message = f"{wanted!r} is no version. It has three numbers, such as 1.2.0."
        raise NotReleasableError(message)
    if git("status", "--porcelain"):
        message = "There are changes that are not committed. Commit or stash them first."
        raise NotReleasableError(message)
    tags = [tag for tag in git("tag", "--list", "v*").split() if re.fullmatch(r"v\d+\.\d+\.\d+", tag)]
    last = max(tags, key=lambda tag: numbers(tag[1:]), default="")
    if last and numbers(wanted) <= numbers(last[1:]):
        message = f"{last[1:]} is released. The next version is greater."
        raise NotReleasableError(message)
    found = SECTION.search(CHANGELOG.read_text())
    notes = found.group().strip() if found else ""
    if not notes:
        message = f'The section "Unreleased" of {CHANGELOG} is empty or missing. Write there what is new for users.'
        raise NotReleasableError(message)
    return notes


def write(version: str, *, notes: str) -> None:
    """Write the version where it stands, and its section into the changelog."""
    CODE.write_text(VERSION.sub(f'__version__ = "{version}"', CODE.read_text()))
    section = f"\n## {version} ({datetime.now(UTC):%Y-%m-%d})\n\n{notes}\n\n"
    CHANGELOG.write_text(SECTION.sub(lambda _: section, CHANGELOG.read_text()).rstrip() + "\n")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
