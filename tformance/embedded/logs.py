"""The engines' log files: kept from growing without end, and quoted when something fails."""

from pathlib import Path
from typing import BinaryIO

LARGEST_BYTES = 10 * 1024 * 1024


def log_for_append(path: Path) -> BinaryIO:
    """The log, open for writing; a large one is set aside as .1 first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > LARGEST_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


def last_lines(path: Path, *, count: int = 12) -> str:
    """The end of the log, indented; a sentence when there is none."""
    try:
        lines = path.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"  {line}" for line in lines) or "  (nothing was logged)"
