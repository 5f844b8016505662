"""The sample payloads of `tests/payloads`: EVENT.json, EVENT.ACTION.json, or EVENT.ACTION.VARIANT.json."""

import json
from pathlib import Path
from typing import NamedTuple

from apps.demo.shapes import Json

FOLDER = Path(__file__).resolve().parents[1] / "payloads"
EXPECTED = ".expected"


class Sample(NamedTuple):
    """A payload as GitHub delivers it, and its event."""

    event: str
    payload: Json


def payload_of(event: str, action: str | None = None, variant: str | None = None) -> Json:
    """Return the sample payload of this event and action."""
    return read(".".join(part for part in (event, action, variant) if part)).payload


def read(name: str) -> Sample:
    """Return the sample that has this name."""
    return Sample(name.partition(".")[0], json.loads((FOLDER / f"{name}.json").read_bytes()))


def names() -> list[str]:
    """Return the names of all samples."""
    return sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.endswith(EXPECTED))
