"""Files that only their owner may read, written whole or not at all."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from tformance.embedded.errors import EmbeddedError


def write_private(path: Path, text: str) -> None:
    """Replace the file's content in one step; mode 0600 from its first byte."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_private_json(path: Path, content: dict[str, Any]) -> None:
    """Replace the file with the content as JSON."""
    write_private(path, json.dumps(content, indent=2) + "\n")


def read_private_json(path: Path) -> dict[str, Any]:
    """The file's content; empty when there is no such file."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        raise EmbeddedError(
            f"{path} belongs to somebody else. Run this as its owner, or set TFORMANCE_VAR to a folder of your own."
        ) from error
    except ValueError as error:
        raise EmbeddedError(
            f"{path} is damaged ({error}). Restore it from a backup, or move the folder away."
        ) from error
    if not isinstance(content, dict):
        raise EmbeddedError(f"{path} is damaged. Restore it from a backup, or move the folder away.")
    return content
